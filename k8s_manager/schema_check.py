"""Checking JSON values against the schemas of descriptions, in sentences that a client can use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from json import dumps, loads
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from k8s_manager.cwl_types import describe_value

FORMATS = FormatChecker(formats=("date", "email", "ipv4", "ipv6", "uuid", "regex"))


_LONGEST = 300
"""Characters of a description that an error repeats."""


def violations(
    schema: Mapping[str, Any], value: Any, about: str | None = None
) -> Iterator[tuple[str, str, str]]:
    """Yield ``(JSON pointer, expected, got)`` for each way in which a value breaks a schema.

    Args:
        schema: The schema.
        value: The value.
        about: What people are told about the value; says in words what a ``pattern`` means, where
            the schema beside the pattern has no ``description`` or ``title`` that does.
    """
    for error in _validator(dumps(schema, sort_keys=True)).iter_errors(value):
        yield from _explain(error, about or "")


@lru_cache(maxsize=1024)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(_modern(loads(schema)), format_checker=FORMATS)


def _modern(schema: Any) -> Any:
    """Translate OpenAPI 3.0's way to write limits and null into JSON Schema's."""
    if isinstance(schema, list):
        return [_modern(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    result = {key: _modern(value) for key, value in schema.items()}
    for name in ("Minimum", "Maximum"):
        exclusive, limit = f"exclusive{name}", name.lower()
        if result.get(exclusive) is True:
            result[exclusive] = result.pop(limit, 0)
        elif result.get(exclusive) is False:
            del result[exclusive]
    if result.get("nullable") is True and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    result.pop("nullable", None)
    return result


_TYPES = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


_FORMAT_WORDS = {
    "date": "a date such as 2023-05-01",
    "date-time": "a date and time with its zone, such as 2023-05-01T12:00:00Z",
    "email": "an e-mail address",
    "ipv4": "an IPv4 address such as 192.0.2.1",
    "ipv6": "an IPv6 address such as 2001:db8::1",
    "uri": "an absolute address such as https://example.org/a",
    "uuid": "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
}


def _explain(error: ValidationError, about: str) -> Iterator[tuple[str, str, str]]:
    pointer = "".join(
        f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path
    )
    got = describe_value(error.instance)
    limit: Any = error.validator_value
    keyword = str(error.validator)
    match keyword:
        case "type":
            names = limit if isinstance(limit, list) else [limit]
            yield pointer, " or ".join(_TYPES.get(str(name), str(name)) for name in names), got
        case "minimum":
            yield pointer, f"a number of at least {limit}", got
        case "maximum":
            yield pointer, f"a number of at most {limit}", got
        case "exclusiveMinimum":
            yield pointer, f"a number greater than {limit}", got
        case "exclusiveMaximum":
            yield pointer, f"a number less than {limit}", got
        case "enum":
            yield pointer, "one of " + ", ".join(str(item) for item in limit), got
        case "pattern":
            yield pointer, _pattern_in_words(error, about), got
        case "format":
            yield pointer, _FORMAT_WORDS.get(str(limit), f"text of format {limit}"), got
        case "required":
            name = re.sub(r"^'(.*)' is a required property$", r"\1", error.message)
            yield f"{pointer}/{name}", "a value", "nothing"
        case "additionalProperties" if isinstance(error.instance, dict):
            known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            for key in error.instance:
                if key not in known:
                    yield (
                        f"{pointer}/{key}",
                        f"one of {', '.join(known)}",
                        f"the unknown member {key!r}",
                    )
        case "minItems" | "maxItems":
            word = "least" if keyword == "minItems" else "most"
            yield pointer, f"at {word} {limit} items", got
        case "minLength" | "maxLength":
            word = "least" if keyword == "minLength" else "most"
            yield pointer, f"at {word} {limit} characters", got
        case "uniqueItems":
            yield pointer, "items that differ", got
        case "oneOf" | "anyOf":
            yield from _explain_choice(error, pointer, got)
        case _:
            yield pointer, f"{keyword} {limit}", got


def _pattern_in_words(error: ValidationError, about: str) -> str:
    """Say what a pattern means as its author says it to people; the pattern itself comes last."""
    schema: Any = error.schema if isinstance(error.schema, Mapping) else {}
    words = schema.get("description") or about or schema.get("title")
    if not words:
        return f"text of the form {error.validator_value}"
    sentence = " ".join(str(words).split()).rstrip(".")
    if len(sentence) > _LONGEST:
        sentence = sentence[:_LONGEST].rsplit(" ", 1)[0] + " ..."
    return f"{sentence} (pattern {error.validator_value})"


def _explain_choice(
    error: ValidationError, pointer: str, got: str
) -> Iterator[tuple[str, str, str]]:
    """Name the choices briefly: lengths, types or titles, whatever tells them apart."""
    names = []
    branches: Any = error.validator_value
    for branch in branches:
        if "minItems" in branch and branch.get("minItems") == branch.get("maxItems"):
            names.append(f"{branch['minItems']} items")
        elif "enum" in branch:
            names.append("one of " + ", ".join(map(str, branch["enum"])))
        else:
            names.append(str(branch.get("title") or _TYPES.get(branch.get("type"), "another form")))
    start = "exactly one of: " if error.validator == "oneOf" and not error.context else ""
    yield pointer, start + " or ".join(names), got


@FORMATS.checks("date-time", raises=ValueError)
def _date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", value):
        return False
    return datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uri", raises=ValueError)
def _uri(value: object) -> bool:
    return not isinstance(value, str) or (bool(urlsplit(value).scheme) and " " not in value)
