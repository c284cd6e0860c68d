"""From an execute request to CWL values: every violation at once, and nothing silently dropped.

A client corrects a request in one go when it learns everything that is wrong with it, so no check
stops at the first problem.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from k8s_manager.bbox import bbox_problems, bbox_value
from k8s_manager.cwl_model import Input, Process
from k8s_manager.cwl_types import (
    Array,
    CwlType,
    Optional,
    Primitive,
    Record,
    describe_value,
    mismatches,
    required,
)
from k8s_manager.description import file_variants, input_schema, is_bbox
from k8s_manager.errors import InvalidInputs, Violation
from k8s_manager.input_files import file_value, is_qualified, is_reference, qualifier_problems
from k8s_manager.outgoing import Guard
from k8s_manager.requested_outputs import check_outputs, check_response, check_subscriber
from k8s_manager.schema_check import violations
from k8s_manager.settings import Settings

_MEMBERS = ("inputs", "outputs", "response", "subscriber", "mode")
MOST_VIOLATIONS = 100
"""Violations that are reported; more tell a client nothing new."""
_DEEPEST = 64
"""Levels of nesting; a GeoJSON MultiPolygon in a FeatureCollection has nine."""
Problem = tuple[str, str, str]


@dataclass(frozen=True)
class AcceptedRequest:
    """A request that fits the process."""

    values: dict[str, Any]
    """CWL values by input id. A file that came inline is
    ``{"class": "File", "basename": ..., "contents": text}``, or ``contents_base64`` for binary."""
    outputs: dict[str, Any] | None
    """Requested outputs with their options; None for all."""
    response: str
    """``raw`` or ``document``; a document where the request does not say."""
    subscriber: dict[str, Any] | None


def accept(
    process: Process, body: Mapping[str, Any], settings: Settings, *, trusted: bool = False
) -> AcceptedRequest:
    """Check an execute request against the process and convert its inputs.

    Args:
        process: The process to execute.
        body: The request as parsed from JSON.
        settings: Names the hosts from which inputs may be fetched.
        trusted: Whether inputs may name files of this machine (the command line's may).

    Raises:
        InvalidInputs: Something is wrong; holds every violation.
    """
    found: list[Violation] = []
    if not isinstance(body, Mapping):
        raise InvalidInputs([Violation("", "", "an object with inputs", describe_value(body))])
    for member in body:
        if member not in _MEMBERS and not str(member).startswith(("$", "x-")):
            got = f"the unknown member {member!r}"
            found.append(Violation("", f"/{member}", "one of " + ", ".join(_MEMBERS), got))
    given = body.get("inputs")
    given = {} if given is None else given
    values: dict[str, Any] = {}
    if isinstance(given, Mapping):
        found += _unknown(process, given)
        for declared in process.inputs.values():
            if not declared.internal:
                value, problems = _input(declared, given, settings, trusted)
                found += _named(declared.id, problems)
                if value is not None:
                    values[declared.id] = value
        found += islice(conditions(process, given), MOST_VIOLATIONS)
    else:
        found.append(Violation("", "/inputs", "an object", describe_value(given)))
    outputs, wrong = check_outputs(process, body.get("outputs"))
    callbacks = Guard.of_callbacks(settings.outside)
    found += [*wrong, *check_response(body)]
    found += check_subscriber(body.get("subscriber"), callbacks)
    if found:
        raise InvalidInputs(found[:MOST_VIOLATIONS])
    return AcceptedRequest(
        values, outputs, body.get("response", "document"), body.get("subscriber")
    )


def _named(name: str, problems: list[Problem]) -> list[Violation]:
    start = "/inputs/" + name.replace("~", "~0").replace("/", "~1")
    return [Violation(name, start + pointer, expected, got) for pointer, expected, got in problems]


def _unknown(process: Process, given: Mapping[str, Any]) -> Iterator[Violation]:
    known = [declared.id for declared in process.inputs.values() if not declared.internal]
    for name in given:
        if name not in known:
            expected = f"one of the inputs {', '.join(known)}" if known else "no inputs"
            yield Violation(str(name), f"/inputs/{name}", expected, f"the unknown input {name!r}")


def _input(
    declared: Input, given: Mapping[str, Any], settings: Settings, trusted: bool
) -> tuple[Any, list[Problem]]:
    value = given.get(declared.id)
    optional = isinstance(declared.type, Optional) or declared.has_default
    if value is None:
        if optional:
            return None, []
        return None, [("", "a value", "null" if declared.id in given else "nothing")]
    bad = list(_unreadable(value))
    if bad:
        return None, bad
    type_ = required(declared.type)
    item = required(type_.items) if isinstance(type_, Array) else None
    if type_ in _FILES:
        return _file(declared.id, type_, value, declared.schema, settings, trusted)
    if item in _FILES:
        return _files(declared, item, value, settings, trusted)
    return _plain(declared, value)


_FILES = (Primitive("File"), Primitive("Directory"))


def _file(
    name: str,
    type_: CwlType,
    value: Any,
    schema: Mapping[str, Any],
    settings: Settings,
    trusted: bool,
) -> tuple[Any, list[Problem]]:
    kind = "Directory" if type_ == Primitive("Directory") else "File"
    variants = file_variants(schema) if kind == "File" else []
    return file_value(name, value, variants, Guard.of_inputs(settings.outside), trusted, kind)


def _files(
    declared: Input, item: CwlType, value: Any, settings: Settings, trusted: bool
) -> tuple[Any, list[Problem]]:
    if not isinstance(value, list):
        return None, [("", "an array", describe_value(value))]
    schema = declared.schema.get("items") or {}
    limits = {
        key: limit for key, limit in declared.schema.items() if key in ("minItems", "maxItems")
    }
    result, found = [], list(violations(limits, value))
    for index, member in enumerate(value):
        converted, problems = _file(
            f"{declared.id}-{index}", item, member, schema, settings, trusted
        )
        result.append(converted)
        found += [(f"/{index}{pointer}", expected, got) for pointer, expected, got in problems]
    return result, found


def _plain(declared: Input, value: Any) -> tuple[Any, list[Problem]]:
    """Return the CWL value of anything but a file."""
    type_, at = required(declared.type), ""
    if is_reference(value) and not isinstance(type_, Record):
        return None, [("", "the value itself (only files are fetched)", "a reference")]
    if is_qualified(value) and not _has_field(type_, "value"):
        wrong = list(qualifier_problems(value)) or list(_wrong_media_type(declared, value))
        if wrong:
            return None, wrong
        value, at = value["value"], "/value"
    if isinstance(type_, Record) and _is_text_format(type_) and isinstance(value, Mapping):
        value, at = value.get("value"), at + "/value"
    if isinstance(type_, Array) and isinstance(value, list):
        wrong = [
            (f"{at}/{index}{pointer}", expected, got)
            for index, part in enumerate(value)
            if is_qualified(part)
            for pointer, expected, got in qualifier_problems(part)
        ]
        if wrong:
            return None, wrong
        value = [part["value"] if is_qualified(part) else part for part in value]
    about = declared.doc or declared.label
    found = islice(violations(input_schema(declared), value, about), MOST_VIOLATIONS)
    problems = [*found, *_hidden_files(value)]
    if not problems and is_bbox(declared):
        problems = list(bbox_problems(value))
        value = bbox_value(type_, value)
    elif not problems:
        value = _integers(type_, {"value": value} if _is_text_format(type_) else value)
    problems = problems or list(islice(mismatches(type_, value), MOST_VIOLATIONS))
    return value, [(at + pointer, expected, got) for pointer, expected, got in problems]


def _has_field(type_: CwlType, name: str) -> bool:
    """Tell whether ``{"value": ...}`` may be the value itself: a record with such a field."""
    return isinstance(type_, Record) and type_.field(name) is not None


def _wrong_media_type(declared: Input, value: Mapping[str, Any]) -> Iterator[Problem]:
    given = value.get("mediaType")
    wanted = declared.schema.get("contentMediaType")
    allowed = [wanted] if wanted else ["application/json", "text/plain"]
    plain = str(given).split(";")[0].strip().lower()
    if given is None or plain in allowed or (not wanted and plain.endswith("+json")):
        return
    yield "/mediaType", " or ".join(allowed), describe_value(given)


def _is_text_format(type_: CwlType) -> bool:
    return isinstance(type_, Record) and (type_.name or "").startswith("string_format.yaml#")


def _integers(type_: CwlType, value: Any) -> Any:
    """Return the value with ``3.0`` as ``3`` where an integer is declared: JSON has one kind."""
    match required(type_):
        case Primitive("int" | "long") if isinstance(value, float) and value.is_integer():
            return int(value)
        case Array(items) if isinstance(value, list):
            return [_integers(items, item) for item in value]
        case Record() as record if isinstance(value, Mapping):
            members = {name: record.field(name) for name in value}
            return {
                name: _integers(members[name].type, item) if members[name] else item  # type: ignore[union-attr]
                for name, item in value.items()
            }
    return value


def _unreadable(value: Any) -> Iterator[Problem]:
    """Yield what later checks could not handle: NaN, text that is none, endless nesting."""
    if _is_readable(value):
        return
    open_ = [("", value, 0)]
    while open_:
        pointer, part, depth = open_.pop()
        if depth > _DEEPEST:
            yield "", f"at most {_DEEPEST} levels of nesting", "more"
            return
        if isinstance(part, float) and not math.isfinite(part):
            yield pointer, "a finite number", str(part)
        elif isinstance(part, str) and not _is_text(part):
            yield pointer, "text in UTF-8 without NUL", "a string with other characters"
        elif isinstance(part, Mapping):
            open_ += [(pointer, key, depth + 1) for key in part]
            open_ += [(f"{pointer}/{key}", item, depth + 1) for key, item in part.items()]
        elif isinstance(part, list):
            open_ += [(f"{pointer}/{index}", item, depth + 1) for index, item in enumerate(part)]


def _is_readable(value: Any) -> bool:
    """Tell whether there is nothing to complain about; quick, as inventories have many numbers."""
    level: list[Any] = [[value]]
    for _ in range(_DEEPEST + 2):
        below: list[Any] = []
        for part in level:
            for item in chain(part, part.values()) if isinstance(part, dict) else part:
                kind = type(item)
                if kind is float:
                    if not math.isfinite(item):
                        return False
                elif kind is str:
                    if not _is_text(item):
                        return False
                elif kind is list or kind is dict:
                    below.append(item)
        if not below:
            return True
        level = below
    return False


def _is_text(value: str) -> bool:
    """Tell whether files, command lines and every database can hold the text."""
    if value.isascii():
        return "\0" not in value
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _hidden_files(value: Any) -> Iterator[Problem]:
    """Yield the files inside a value of another type: nobody has checked where they lie."""
    open_ = [("", value)]
    while open_:
        pointer, part = open_.pop()
        if isinstance(part, Mapping):
            if part.get("class") in ("File", "Directory"):
                yield pointer, "no file inside this input", describe_value(part)
            open_ += [(f"{pointer}/{key}", item) for key, item in part.items()]
        elif isinstance(part, list):
            open_ += [(f"{pointer}/{index}", item) for index, item in enumerate(part)]


def conditions(process: Process, given: Mapping[str, Any]) -> Iterator[Violation]:
    """Check what the process says about its inputs together."""
    present = {name: value for name, value in given.items() if value is not None}
    for keyword, words in (("oneOf", "exactly one of"), ("anyOf", "at least one of")):
        names = _alternatives(process.schema.get(keyword))
        there = [name for name in names if name in present]
        if names and (not there or (keyword == "oneOf" and len(there) > 1)):
            got = " and ".join(there) if there else "none of them"
            yield Violation(" ".join(names), "/inputs", f"{words} {', '.join(names)}", got)
    rest = {
        key: value
        for key, value in process.schema.items()
        if key not in ("oneOf", "anyOf") or not _alternatives(value)
    }
    if rest:
        for pointer, expected, got in violations(rest, present):
            yield Violation("", f"/inputs{pointer}", expected, got)


def _alternatives(branches: Any) -> list[str]:
    """Return the inputs of ``[{"required": ["a"]}, {"required": ["b"]}]``, else nothing."""
    names: list[str] = []
    for branch in branches or []:
        needed = branch.get("required") or []
        if set(branch) != {"required"} or len(needed) != 1:
            return []
        names += needed
    return names
