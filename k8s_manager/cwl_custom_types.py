"""The Earth Observation application packages' custom types, known by name.

Packages import them by address (``.../eoap/schemas/main/ogc.yaml#BBox``). They are few, and a
process must load without a network, so the part after the file's name decides.
Source: https://github.com/eoap/schemas (ogc.yaml, geojson.yaml, string_format.yaml).
"""

from __future__ import annotations

import re
from typing import Any

from k8s_manager.cwl_types import Array, CwlType, Enum, Field, Primitive, Record

_URI = re.compile(r".*?/?(ogc|geojson|string_format)\.ya?ml(?:#(?:.*/)?(\w+))?")

STRING_FORMATS = {
    "Date": "date",
    "DateTime": "date-time",
    "Duration": "duration",
    "Email": "email",
    "Hostname": "hostname",
    "IDNEmail": "idn-email",
    "IDNHostname": "idn-hostname",
    "IPv4": "ipv4",
    "IPv6": "ipv6",
    "IRI": "iri",
    "IRIReference": "iri-reference",
    "JsonPointer": "json-pointer",
    "Password": "password",
    "RelativeJsonPointer": "relative-json-pointer",
    "Time": "time",
    "URI": "uri",
    "URIReference": "uri-reference",
    "URITemplate": "uri-template",
    "UUID": "uuid",
}
"""Custom string types to JSON Schema formats; each is a record with the one field ``value``."""

GEOJSON = {
    "Point": "geojson-geometry",
    "LineString": "geojson-geometry",
    "Polygon": "geojson-geometry",
    "MultiPoint": "geojson-geometry",
    "MultiLineString": "geojson-geometry",
    "MultiPolygon": "geojson-geometry",
    "GeometryCollection": "geojson-geometry",
    "Feature": "geojson-feature",
    "FeatureCollection": "geojson-feature-collection",
}
"""GeoJSON types to the formats of OGC API - Processes (18-062r2, table 13)."""


def is_custom_import(uri: str) -> bool:
    """Tell whether the address is one of the type files known here."""
    match = _URI.fullmatch(uri)
    return match is not None and match.group(2) is None


def custom_type(uri: str) -> CwlType | None:
    """Return the type that the address names, None for any other name."""
    match = _URI.fullmatch(uri)
    if match is None or match.group(2) is None:
        return None
    file, name = match.groups()
    tagged = f"{file}.yaml#{name}"
    if file == "string_format" and name in STRING_FORMATS:
        return Record((Field("value", Primitive("string")),), name=tagged)
    if file == "geojson" and name in GEOJSON:
        return Record((Field("type", Enum((name,))),), name=tagged, open=True)
    if file == "ogc" and name == "BBox":
        crs = Field("crs", Enum(("CRS84", "CRS84h")))
        return Record((Field("bbox", Array(Primitive("double"))), crs), name=tagged)
    if file == "ogc" and name == "CRS":
        return Enum(("CRS84", "CRS84h"), name=tagged)
    return None


def custom_schema(type_: Any) -> dict[str, Any] | None:
    """Return the schema that a client sees for a custom type, None for any other type."""
    name = type_.name if isinstance(type_, Record) else None
    file, _, fragment = (name or "").partition(".yaml#")
    if file == "string_format":
        return {"type": "string", "format": STRING_FORMATS[fragment]}
    if file == "geojson":
        return {
            "allOf": [{"format": GEOJSON[fragment]}, {"type": "object"}],
            "required": ["type"],
            "properties": {"type": {"enum": [fragment]}},
        }
    return None
