"""The fields of a process's form, one for each input, derived from the process description.

A field says how a value is asked for; that the value is right is checked where every execute
request is checked (`k8s_manager.acceptance`), so that a form and a client meet the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k8s_manager import description
from k8s_manager.cwl_model import Input, Process, Texts
from k8s_manager.cwl_types import Array, Primitive, required
from ogcapi.translation import decimal
from ogcapi.translation import gettext as _

UNIT = re.compile(r"\s*\b(Unit|Einheit): (?P<unit>[^.]+)\.\s*$")
LONG = 200  # characters from which on a text has room to be long
HTML_TYPES = {"date": "date", "email": "email", "uri": "url", "time": "time"}


@dataclass(frozen=True)
class Field:
    """One input as a form asks for it."""

    id: str
    kind: str
    """``text``, ``long``, ``number``, ``boolean``, ``choice``, ``choices``, ``lines``, ``bbox``,
    ``file``, ``folder`` or ``json``."""
    title: str
    description: str
    unit: str
    """Of a number, as the last sentence of the description says it (``Unit: m.``)."""
    translated: frozenset[str]
    """Which of ``title`` and ``description`` (with the unit) are not English."""
    symbols: Mapping[str, str]
    """Names of what there is to choose from, where they are not those that are sent."""
    expects: str
    """Type and range in words."""
    required: bool
    alternative: bool
    """Whether it is one of several ways to say the same thing."""
    schema: Mapping[str, Any]
    map: str
    """``bbox``, or what GeoJSON is wanted (``geometry``, ``feature``, ``feature-collection``),
    where the value can be drawn."""

    @property
    def default(self) -> Any:
        """The value that is taken where none is given; None for none."""
        return self.schema.get("default")

    @property
    def main(self) -> bool:
        """Whether it has to be thought of; what has a sensible default stands apart."""
        return self.required or self.alternative

    @property
    def html_type(self) -> str:
        """The type of the input element of a text."""
        return HTML_TYPES.get(str(self.schema.get("format")), "text")

    @property
    def variants(self) -> list[Mapping[str, Any]]:
        """The ways in which a file may be given."""
        return list(self.schema.get("oneOf") or [self.schema])

    @property
    def media_types(self) -> list[str]:
        """The media types that a file may have."""
        found = [str(variant.get("contentMediaType", "")) for variant in self.variants]
        return list(dict.fromkeys(name for name in found if name))

    @property
    def accept(self) -> str:
        """What a browser offers to choose from: media types, and suffixes for unknown ones."""
        suffixes = [SUFFIXES[name] for name in self.media_types if name in SUFFIXES]
        return ",".join([*self.media_types, *suffixes])


_KEPT: dict[tuple[str, str, str, str], list[Field]] = {}
"""Fields by process and language: texts never change while both their digests are the same."""
SUFFIXES = {
    "application/geo+json": ".geojson,.json",
    "application/geopackage+sqlite3": ".gpkg",
    "application/json": ".json",
    "text/csv": ".csv",
}


def fields_of(process: Process, language: str) -> list[Field]:
    """Return the fields of a process; titles and explanations are in the language of the page."""
    key = (process.id, process.digest, language, process.translation(language).digest)
    if key not in _KEPT:
        _KEPT[key] = _fields_of(process, language)
    return _KEPT[key]


def _fields_of(process: Process, language: str) -> list[Field]:
    described = description.describe(process)["inputs"]
    said = process.translation(language)
    either = {name for names in alternatives(process) for name in names}
    return [
        _field(process.inputs[name], part, said.of_input(name), name in either)
        for name, part in described.items()
    ]


def alternatives(process: Process) -> list[list[str]]:
    """Return groups of inputs of which one has to be given (``oneOf``, ``anyOf`` of `required`)."""
    groups = []
    for keyword in ("oneOf", "anyOf"):
        branches = process.schema.get(keyword) or []
        if branches and all(set(branch) == {"required"} for branch in branches):
            groups.append([name for branch in branches for name in branch["required"]])
    return groups


def _field(declared: Input, part: Mapping[str, Any], said: Texts, alternative: bool) -> Field:
    schema = part["schema"]
    text = said.description or str(part.get("description", "")).strip()
    unit = UNIT.search(text)
    kind = _kind(declared, schema)
    return Field(
        id=declared.id,
        kind=kind,
        title=said.title or str(part.get("title", declared.id)),
        description=text[: unit.start()] if unit else text,
        unit=unit["unit"] if unit and kind == "number" else "",
        translated=frozenset(name for name in ("title", "description") if getattr(said, name)),
        symbols=said.symbols,
        expects=_expects(kind, schema),
        required=bool(part.get("minOccurs", 1)),
        alternative=alternative,
        schema=schema,
        map="bbox" if kind == "bbox" else _geojson(schema),
    )


def _kind(declared: Input, schema: Mapping[str, Any]) -> str:
    type_ = required(declared.type)
    if description.is_bbox(declared):
        return "bbox"
    if type_ == Primitive("File"):
        return "file"
    if type_ == Primitive("Directory"):
        return "folder"
    if isinstance(type_, Array):
        items = schema.get("items") or {}
        if required(type_.items) in (Primitive("File"), Primitive("Directory")):
            return "json"
        if "enum" in items:
            return "choices"
        return "lines" if items.get("type") in ("string", "integer", "number") else "json"
    if "enum" in schema:
        return "choice"
    match schema.get("type"):
        case "boolean":
            return "boolean"
        case "integer" | "number":
            return "number"
        case "string":
            long = "contentMediaType" in schema or schema.get("maxLength", 0) > LONG
            return "long" if long else "text"
    return "json"


def _geojson(schema: Mapping[str, Any]) -> str:
    """Return the simplest GeoJSON that the schema takes; "" where it takes none."""
    parts = [schema, *(schema.get("oneOf") or []), *(schema.get("allOf") or [])]
    formats = {str(part.get("format", "")) for part in parts}
    kinds = ("geometry", "feature", "feature-collection")
    return next((kind for kind in kinds if f"geojson-{kind}" in formats), "")


def _expects(kind: str, schema: Mapping[str, Any]) -> str:
    """Say type and range in words; "" where the field itself shows it."""
    match kind:
        case "number":
            return _number(schema)
        case "text" | "long":
            return _text(schema)
        case "lines":
            return _("One entry a line.") + _count(schema)
        case "choices":
            return _count(schema).strip()
        case "bbox":
            return _("Lower corner, then upper corner.")
        case "file":
            names = [str(part.get("contentMediaType", "")) for part in _parts(schema)]
            return _("File of type %(types)s.") % {"types": ", ".join(dict.fromkeys(names))}
        case "folder":
            return _("The address of a folder.")
        case "json":
            return _("A value in JSON.")
    return ""


def _parts(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(schema.get("oneOf") or [schema])


def _number(schema: Mapping[str, Any]) -> str:
    word = _("Whole number") if schema.get("type") == "integer" else _("Number")
    low, high = schema.get("minimum"), schema.get("maximum")
    words = {"word": word}
    words |= {
        key: decimal(value) for key, value in (("low", low), ("high", high)) if value is not None
    }
    if low is not None and high is not None:
        return _("%(word)s from %(low)s to %(high)s.") % words
    if low is not None:
        return _("%(word)s, at least %(low)s.") % words
    if high is not None:
        return _("%(word)s, at most %(high)s.") % words
    return f"{word}."


def _text(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minLength"), schema.get("maxLength")
    found = []
    if low is not None and high is not None:
        found.append(_("%(low)s to %(high)s characters.") % {"low": low, "high": high})
    elif high is not None:
        found.append(_("At most %(high)s characters.") % {"high": high})
    if "pattern" in schema:
        found.append(_("Of the form %(pattern)s") % {"pattern": schema["pattern"]})
    if "contentMediaType" in schema:
        found.append(_("Text of type %(type)s.") % {"type": schema["contentMediaType"]})
    return " ".join(found)


def _count(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minItems"), schema.get("maxItems")
    if low is not None and high is not None:
        return " " + _("%(low)s to %(high)s entries.") % {"low": low, "high": high}
    if low is not None:
        return " " + _("At least %(low)s entries.") % {"low": low}
    if high is not None:
        return " " + _("At most %(high)s entries.") % {"high": high}
    return ""
