"""Which JSON Schema keywords a description may hold, checked when a process is loaded.

OGC API - Processes 1.0 takes OpenAPI 3.0's schema object and allows nothing else in it, so a
misspelt keyword is an error here, not a limit that silently never applies. Walking a table takes
microseconds where validating against the meta-schema takes milliseconds for each input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

TYPES = ("array", "boolean", "integer", "number", "object", "string")


def schema_problem(schema: Any, place: str = "") -> str | None:
    """Return the first thing that is wrong with a schema, None for a usable one.

    Args:
        schema: A schema; keywords that begin with ``x-`` are ours.
        place: Where it stands, as ``/items/0``.
    """
    if not isinstance(schema, Mapping):
        return f"{place or 'the schema'}: expected an object"
    for keyword, value in schema.items():
        where = f"{place}/{keyword}"
        if keyword.startswith("x-") or keyword in ("default", "example"):
            continue
        problem = _nested_problem(keyword, value, where)
        if problem is not None:
            return problem or None
        if keyword == "$ref":
            return f"{where}: is not followed; write the schema itself"
        if keyword not in _KEYWORDS:
            return f"{where}: is no keyword of OpenAPI 3.0's schema object"
        expected, fits = _KEYWORDS[keyword]
        if not fits(value):
            return f"{where}: expected {expected}, got {value!r}"
    return None


def _nested_problem(keyword: str, value: Any, where: str) -> str | None:
    """Return what is wrong inside; an empty text where nothing is; None for other keywords."""
    if keyword in ("allOf", "oneOf", "anyOf"):
        if not isinstance(value, list) or not value:
            return f"{where}: expected a list of schemas"
        parts = {str(index): part for index, part in enumerate(value)}
    elif keyword == "properties":
        if not isinstance(value, Mapping):
            return f"{where}: expected schemas by name"
        parts = dict(value)
    elif keyword in ("items", "not") or (
        keyword == "additionalProperties" and not isinstance(value, bool)
    ):
        parts = {"": value}
    else:
        return None
    found = (schema_problem(part, f"{where}/{name}".rstrip("/")) for name, part in parts.items())
    return next((problem for problem in found if problem), "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and re.compile(value) is not None
    except re.error:
        return False


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


_NUMBER = ("a number", _is_number)
_COUNT = ("a count", _is_count)
_FLAG = ("true or false", _is_flag)
_TEXT = ("text", _is_text)
_KEYWORDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "type": ("one of " + ", ".join(TYPES), lambda value: value in TYPES),
    "enum": ("a list of values", lambda value: isinstance(value, list) and bool(value)),
    "required": ("a list of names", _are_texts),
    "pattern": ("a regular expression", _is_pattern),
    "multipleOf": ("a number greater than 0", lambda value: _is_number(value) and value > 0),
    "additionalProperties": _FLAG,
    **dict.fromkeys(("minimum", "maximum"), _NUMBER),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), _FLAG),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _COUNT),
    **dict.fromkeys(("minProperties", "maxProperties"), _COUNT),
    **dict.fromkeys(("uniqueItems", "nullable", "readOnly", "writeOnly", "deprecated"), _FLAG),
    **dict.fromkeys(("title", "description", "format"), _TEXT),
    **dict.fromkeys(("contentMediaType", "contentEncoding", "contentSchema"), _TEXT),
}
