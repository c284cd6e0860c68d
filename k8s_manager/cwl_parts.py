"""What tools and workflows have in common: names, namespaces, types, inputs, requirements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k8s_manager.cwl_custom_types import custom_type, is_custom_import
from k8s_manager.cwl_document import Place, entries, flag, json_text, known_keys, prose, text, texts
from k8s_manager.cwl_model import Input
from k8s_manager.cwl_types import (
    PRIMITIVES,
    Array,
    Binding,
    CwlType,
    Enum,
    Field,
    Optional,
    Primitive,
    Record,
    mismatches,
)

OGC = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/"
SCHEMA_ORG = ("https://schema.org/", "http://schema.org/")
CDI = "urn:cdi-nrw:cwl#"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_BINDING_REFUSED = {
    "valueFrom": "use `arguments` with $(inputs.name)",
    "shellQuote": "commands are run without a shell",
    "loadContents": "pass the file and read it in the program",
}
_INPUT_REFUSED = {
    "secondaryFiles": "declare an input for each file",
    "streamable": "leave it out",
    "loadContents": "pass the file and read it in the program",
    "loadListing": "pass the Directory and list it in the program",
    "format": "name the media type in ogc:schema as contentMediaType",
}


@dataclass
class Scope:
    """What holds for a whole document: its namespaces, its named types, its folder."""

    place: Place
    folder: Path
    namespaces: Mapping[str, str] = field(default_factory=dict)
    types: dict[str, CwlType] = field(default_factory=dict)

    def extensions(self, value: Any, place: Place) -> tuple[Any, dict[str, Any]]:
        """Split a mapping into CWL's own keys and extension keys by their full URI.

        Metadata of schema.org and other vocabularies is kept out of the way; a misspelt key in
        OGC's or our own namespace is refused.
        """
        if not isinstance(value, dict):
            return value, {}
        plain: dict[Any, Any] = {}
        extra: dict[str, Any] = {}
        for key, item in value.items():
            uri = self.uri(key, place / str(key))
            if uri is None:
                plain[key] = item
                continue
            if uri.startswith((OGC, CDI)) and uri != f"{OGC}schema":
                (place / key).refuse("is not known here", f"known is ogc:schema ({OGC}schema)")
            extra["s:" + uri[len(_vocabulary(uri)) :] if _vocabulary(uri) else uri] = item
        return plain, extra

    def uri(self, key: Any, place: Place) -> str | None:
        """Return the full URI of an extension key, None for a key of CWL."""
        if not isinstance(key, str) or ":" not in key:
            return None
        prefix, rest = key.split(":", 1)
        if rest.startswith("//"):
            return key
        if prefix not in self.namespaces:
            place.refuse(f"namespace prefix {prefix!r} is not declared", "add it under $namespaces")
        return self.namespaces[prefix] + rest


def _vocabulary(uri: str) -> str:
    return next((start for start in SCHEMA_ORG if uri.startswith(start)), "")


def parse_namespaces(value: Any, place: Place) -> dict[str, str]:
    """Return ``$namespaces``: prefix to URI."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        place.refuse("expected a mapping of prefix to URI")
    return {str(prefix): text(uri, place / str(prefix)) for prefix, uri in value.items()}


def identifier(name: str, place: Place) -> str:
    """Return the id of an input or output after checking its characters."""
    if not _IDENTIFIER.fullmatch(name):
        place.refuse(
            f"{name!r} is no usable id", "use letters, digits, _ and -, beginning with a letter"
        )
    return name


def parse_inputs(value: Any, scope: Scope, extra: Mapping[str, str]) -> dict[str, Input]:
    """Return the declared inputs.

    Args:
        value: List or map of inputs.
        scope: The document's namespaces and named types.
        extra: Keys refused here besides the common ones, with advice.
    """
    place = scope.place / "inputs"
    result = {}
    for where, entry in entries(value, place, "id", "type"):
        plain, more = scope.extensions(entry, where)
        known = {"id", "type", "label", "doc", "default", "inputBinding"} - set(extra)
        known_keys(plain, where, known, {**_INPUT_REFUSED, **extra})
        if "type" not in plain:
            where.refuse("has no type")
        type_ = parse_type(plain["type"], scope, where / "type")
        schema = json_text(more.get(f"{OGC}schema"), where / "ogc:schema")
        default = _absolute_files(plain.get("default"), scope.folder, where / "default")
        for pointer, expected, got in mismatches(Optional(type_), default, ""):
            (where / "default").refuse(f"{pointer or 'the value'}: expected {expected}, got {got}")
        result[entry["id"]] = Input(
            id=identifier(entry["id"], where),
            type=type_,
            default=default,
            has_default=default is not None,
            label=prose(plain.get("label"), where / "label"),
            doc=prose(plain.get("doc"), where / "doc"),
            schema=schema,
            internal=bool(schema.get("x-internal", False)),
            binding=parse_binding(plain.get("inputBinding"), where / "inputBinding"),
        )
    return result


def parse_binding(value: Any, place: Place) -> Binding | None:
    """Return a command line binding; an empty one is not none."""
    if value is None:
        return None
    known_keys(value, place, {"position", "prefix", "separate", "itemSeparator"}, _BINDING_REFUSED)
    position = value.get("position", 0)
    if isinstance(position, bool) or not isinstance(position, int):
        (place / "position").refuse(
            f"expected an integer, got {position!r}", "expressions are not supported"
        )
    prefix, separator = value.get("prefix"), value.get("itemSeparator")
    separate = flag(value.get("separate"), place / "separate", True)
    if prefix is None and not separate:
        place.refuse("`separate: false` needs a prefix")
    return Binding(
        position=position,
        prefix=None if prefix is None else text(prefix, place / "prefix"),
        separate=separate,
        item_separator=None if separator is None else text(separator, place / "itemSeparator"),
    )


def parse_type(value: Any, scope: Scope, place: Place) -> CwlType:
    """Return a type from any of CWL's ways to write it."""
    if isinstance(value, str):
        return _named_type(value, scope, place)
    if isinstance(value, list):
        others = [item for item in value if item != "null"]
        if len(others) != 1:
            place.refuse("a union of several types is not supported", "use one type, or `type?`")
        inner = parse_type(others[0], scope, place)
        return (
            inner if len(others) == len(value) or isinstance(inner, Optional) else Optional(inner)
        )
    if not isinstance(value, dict):
        place.refuse(f"expected a type, got {value!r}")
    plain, _ = scope.extensions(value, place)
    kind = plain.get("type")
    refused = _INPUT_REFUSED
    binding = parse_binding(plain.get("inputBinding"), place / "inputBinding")
    if kind == "array":
        known_keys(plain, place, {"type", "items", "inputBinding", "name", "label", "doc"}, refused)
        if "items" not in plain:
            place.refuse("an array needs `items`")
        return Array(parse_type(plain["items"], scope, place / "items"), binding)
    if kind == "enum":
        known_keys(
            plain, place, {"type", "symbols", "inputBinding", "name", "label", "doc"}, refused
        )
        symbols = texts(plain.get("symbols"), place / "symbols")
        if not symbols or len(set(symbols)) < len(symbols):
            place.refuse("an enum needs `symbols`, each of them once")
        return Enum(
            tuple(symbol.rsplit("#", 1)[-1] for symbol in symbols), binding, plain.get("name")
        )
    if kind == "record":
        known_keys(
            plain, place, {"type", "fields", "inputBinding", "name", "label", "doc"}, refused
        )
        return Record(
            _fields(plain.get("fields"), scope, place / "fields"), binding, plain.get("name")
        )
    if set(plain) == {"type"}:
        return parse_type(kind, scope, place / "type")
    return place.refuse(f"type {kind!r} is not supported", "use a primitive, enum, record or array")


def _named_type(name: str, scope: Scope, place: Place) -> CwlType:
    if name.endswith("?"):
        inner = _named_type(name[:-1], scope, place)
        return inner if isinstance(inner, Optional) else Optional(inner)
    if name.endswith("[]"):
        return Array(_named_type(name[:-2], scope, place))
    if name in PRIMITIVES:
        return Primitive(name)
    for candidate in (name, name.removeprefix("#")):
        if candidate in scope.types:
            return scope.types[candidate]
    full = name if name.startswith(("http://", "https://")) else None
    if full is None and ":" in name:
        full = scope.uri(name, place)
    found = custom_type(full or name)
    if found is not None:
        return found
    advice = {
        "Any": "name the type",
        "null": "use `type?` for a value that may be absent",
        "stdin": "pass the file by its name",
        "stdout": "only an output can have it",
        "stderr": "the runner keeps it as the log",
    }
    return place.refuse(
        f"type {name!r} is not supported",
        advice.get(name, "use " + ", ".join(PRIMITIVES) + ", an enum, a record, `T?` or `T[]`"),
    )


def _fields(value: Any, scope: Scope, place: Place) -> tuple[Field, ...]:
    result = []
    for where, entry in entries(value, place, "name", "type"):
        plain, _ = scope.extensions(entry, where)
        known_keys(plain, where, {"name", "type", "label", "doc", "inputBinding"}, _INPUT_REFUSED)
        if "type" not in plain:
            where.refuse("has no type")
        result.append(
            Field(
                name=identifier(entry["name"].rsplit("/", 1)[-1], where),
                type=parse_type(plain["type"], scope, where / "type"),
                binding=parse_binding(plain.get("inputBinding"), where / "inputBinding"),
                label=prose(plain.get("label"), where / "label"),
                doc=prose(plain.get("doc"), where / "doc"),
            )
        )
    if not result:
        place.refuse("a record needs at least one field")
    return tuple(result)


def parse_named_types(value: Any, scope: Scope, place: Place) -> None:
    """Read SchemaDefRequirement's ``types`` into the scope; nothing is fetched."""
    for index, entry in enumerate(value if isinstance(value, list) else [value]):
        where = place / index
        if isinstance(entry, dict) and set(entry) == {"$import"}:
            if not is_custom_import(text(entry["$import"], where)):
                where.refuse(
                    f"$import of {entry['$import']} is not supported",
                    "write the type here, or use the EO application package types "
                    "(ogc.yaml, geojson.yaml, string_format.yaml)",
                )
            continue
        type_ = parse_type(entry, scope, where)
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            where.refuse("a type defined here needs a name")
        scope.types[name.removeprefix("#")] = type_


def _absolute_files(value: Any, folder: Path, place: Place) -> Any:
    """Return a default whose files are named by absolute ``file:`` addresses."""
    if isinstance(value, list):
        return [_absolute_files(item, folder, place / index) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if value.get("class") not in ("File", "Directory"):
        return {key: _absolute_files(item, folder, place / key) for key, item in value.items()}
    given = value.get("location") or value.get("path")
    if not isinstance(given, str) or "://" in given:
        place.refuse("a default file needs a `location` relative to this document")
    path = (folder / given).resolve()
    return {
        "class": value["class"],
        "location": path.as_uri(),
        "basename": value.get("basename", path.name),
    }
