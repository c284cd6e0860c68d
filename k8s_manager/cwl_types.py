"""CWL types as values, because reading, binding, describing and checking all ask about them.

Only the supported subset exists here: primitives, enumerations, records, arrays, File, Directory,
and each of them optional. Compatibility follows CWL v1.2 (Workflow, "Data links"), strictly: a
source that may be null does not fit a sink that may not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PRIMITIVES = ("boolean", "int", "long", "float", "double", "string", "File", "Directory")
_RANGES = {"int": 2**31, "long": 2**63}


@dataclass(frozen=True)
class Binding:
    """How a value appears on the command line (CWL ``CommandLineBinding``)."""

    position: int = 0
    prefix: str | None = None
    separate: bool = True
    item_separator: str | None = None


@dataclass(frozen=True)
class Primitive:
    """One of `PRIMITIVES`."""

    name: str


@dataclass(frozen=True)
class Enum:
    """One of the `symbols`."""

    symbols: tuple[str, ...]
    binding: Binding | None = None
    name: str | None = None


@dataclass(frozen=True)
class Array:
    """A list of `items`."""

    items: CwlType
    binding: Binding | None = None


@dataclass(frozen=True)
class Field:
    """A field of a record."""

    name: str
    type: CwlType
    binding: Binding | None = None
    label: str | None = None
    doc: str | None = None


@dataclass(frozen=True)
class Record:
    """A mapping with declared `fields`; `name` is a type URI for the community's custom types."""

    fields: tuple[Field, ...]
    binding: Binding | None = None
    name: str | None = None
    open: bool = False
    """Further keys are allowed (GeoJSON objects)."""

    def field(self, name: str) -> Field | None:
        """Return the field of that name."""
        return next((field for field in self.fields if field.name == name), None)


@dataclass(frozen=True)
class Optional:
    """Null or `item`."""

    item: CwlType


CwlType = Primitive | Enum | Array | Record | Optional


def required(type_: CwlType) -> CwlType:
    """Return the type without null."""
    return type_.item if isinstance(type_, Optional) else type_


def is_file_like(type_: CwlType) -> bool:
    """Tell whether the type (or its items, at any depth) is File or Directory."""
    inner = required(type_)
    while isinstance(inner, Array):
        inner = required(inner.items)
    return inner in (Primitive("File"), Primitive("Directory"))


def type_to_json(type_: CwlType) -> Any:
    """Write the type as canonical CWL: no shorthand, no bindings."""
    match type_:
        case Optional(item):
            return ["null", type_to_json(item)]
        case Array(items):
            return {"type": "array", "items": type_to_json(items)}
        case Enum(symbols):
            return {"type": "enum", "symbols": list(symbols)}
        case Record(fields):
            return {
                "type": "record",
                "fields": [
                    {"name": field.name, "type": type_to_json(field.type)} for field in fields
                ],
            }
        case Primitive(name):
            return name


def type_name(type_: CwlType) -> str:
    """Name the type for people, with CWL's shorthand."""
    match type_:
        case Optional(item):
            return type_name(item) + "?"
        case Array(items):
            return type_name(items) + "[]"
        case Enum(symbols):
            return "enum (" + ", ".join(symbols) + ")"
        case Record(fields, name=name):
            return name or "record (" + ", ".join(field.name for field in fields) + ")"
        case Primitive(name):
            return name


def accepts(sink: CwlType, source: CwlType) -> bool:
    """Tell whether every value of type `source` may flow into `sink`."""
    match sink, source:
        case Optional(wanted), Optional(given):
            return accepts(wanted, given)
        case Optional(wanted), _:
            return accepts(wanted, source)
        case _, Optional():
            return False
        case Array(wanted), Array(given):
            return accepts(wanted, given)
        case Enum(wanted_symbols), Enum(given_symbols):
            return set(given_symbols) <= set(wanted_symbols)
        case Record(), Record() if sink.open or source.open:
            return sink.name == source.name
        case Record(fields), Record():
            return all(_field_fits(field, source) for field in fields)
        case _:
            return sink == source


def _field_fits(wanted: Field, source: Record) -> bool:
    given = source.field(wanted.name)
    if given is None:
        return isinstance(wanted.type, Optional)
    return accepts(wanted.type, given.type)


def mismatches(type_: CwlType, value: Any, pointer: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield ``(JSON pointer, expected, got)`` for every place where the value breaks the type."""
    match type_:
        case Optional(item):
            if value is not None:
                yield from mismatches(item, value, pointer)
        case Array(items):
            if not isinstance(value, list):
                yield pointer, "an array", describe_value(value)
                return
            for index, item in enumerate(value):
                yield from mismatches(items, item, f"{pointer}/{index}")
        case Enum(symbols):
            if value not in symbols:
                yield pointer, "one of " + ", ".join(symbols), describe_value(value)
        case Record():
            yield from _record_mismatches(type_, value, pointer)
        case Primitive(name):
            if not _primitive_matches(name, value):
                yield pointer, _EXPECTED[name], describe_value(value)


def _record_mismatches(type_: Record, value: Any, pointer: str) -> Iterator[tuple[str, str, str]]:
    if not isinstance(value, Mapping):
        yield pointer, "an object", describe_value(value)
        return
    for field in type_.fields:
        if field.name in value or not isinstance(field.type, Optional):
            if field.name not in value:
                yield f"{pointer}/{field.name}", f"a value ({type_name(field.type)})", "nothing"
            else:
                yield from mismatches(field.type, value[field.name], f"{pointer}/{field.name}")
    for key in value:
        if not type_.open and type_.field(key) is None:
            known = ", ".join(field.name for field in type_.fields)
            yield f"{pointer}/{key}", f"one of the fields {known}", f"the unknown field {key!r}"


_EXPECTED = {
    "boolean": "true or false",
    "int": "an integer of 32 bits",
    "long": "an integer of 64 bits",
    "float": "a finite number",
    "double": "a finite number",
    "string": "a string",
    "File": "a File",
    "Directory": "a Directory",
}


def _primitive_matches(name: str, value: Any) -> bool:
    if name in ("File", "Directory"):
        return isinstance(value, Mapping) and value.get("class") == name
    if name == "string":
        return isinstance(value, str)
    if name == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if name in _RANGES:
        return isinstance(value, int) and -_RANGES[name] <= value < _RANGES[name]
    return math.isfinite(value)


def describe_value(value: Any) -> str:
    """Name a JSON value briefly for an error message."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return (
                f"the string {value!r}"
                if len(value) <= 60
                else f"a string of {len(value)} characters"
            )
        case int() | float():
            return f"the number {value}"
        case list():
            return f"an array of {len(value)}"
        case Mapping():
            return "an object" + (f" of class {value['class']}" if "class" in value else "")
    return f"a {type(value).__name__}"
