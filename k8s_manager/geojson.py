"""Checking GeoJSON that arrives in a request, so that a typing error is a 400 and not a failed job.

Source: RFC 7946. Only what every reader relies on is checked: types, nesting, finite numbers,
closed rings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from k8s_manager.cwl_types import describe_value

DEPTHS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
"""Geometry types to the levels of arrays around a position."""

FORMATS = {
    "geojson-geometry": ("a GeoJSON geometry", (*DEPTHS, "GeometryCollection")),
    "geojson-feature": ("a GeoJSON Feature", ("Feature",)),
    "geojson-feature-collection": ("a GeoJSON FeatureCollection", ("FeatureCollection",)),
}
"""Formats of OGC API - Processes to words and GeoJSON types."""

Problem = tuple[str, str, str]


def problems(value: Any, format_: str) -> Iterator[Problem]:
    """Yield ``(JSON pointer, expected, got)`` for each problem of a GeoJSON object.

    Args:
        value: The object as parsed from JSON.
        format_: One of `FORMATS`.
    """
    words, types = FORMATS[format_]
    found = value.get("type") if isinstance(value, Mapping) else None
    if found not in types:
        got = f"type {found!r}" if found is not None else describe_value(value)
        yield "", words, got
        return
    yield from _object(value, "")


def _object(value: Any, at: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield at, "a GeoJSON object", describe_value(value)
        return
    kind = value.get("type")
    if kind == "FeatureCollection":
        yield from _list(value, "features", at)
    elif kind == "GeometryCollection":
        yield from _list(value, "geometries", at)
    elif kind == "Feature":
        if value.get("geometry") is not None:
            yield from _object(value["geometry"], f"{at}/geometry")
        if not isinstance(value.get("properties", {}), Mapping | None):
            yield f"{at}/properties", "an object", describe_value(value["properties"])
    elif kind in DEPTHS:
        yield from _coordinates(value.get("coordinates"), DEPTHS[kind], kind, f"{at}/coordinates")
    else:
        yield f"{at}/type", "a GeoJSON type", describe_value(kind)


def _list(value: Mapping[str, Any], key: str, at: str) -> Iterator[Problem]:
    members = value.get(key)
    if not isinstance(members, list):
        yield f"{at}/{key}", "an array", "nothing" if members is None else describe_value(members)
        return
    for index, member in enumerate(members):
        where = f"{at}/{key}/{index}"
        if key == "features" and isinstance(member, Mapping) and member.get("type") != "Feature":
            yield f"{where}/type", "'Feature'", describe_value(member.get("type"))
        else:
            yield from _object(member, where)


def _coordinates(value: Any, depth: int, kind: str, at: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield at, "an array", "nothing" if value is None else describe_value(value)
        return
    if depth == 0:
        if not 2 <= len(value) <= 4 or not all(map(_is_number, value)):
            yield at, "a position of 2 or 3 finite numbers", _short(value)
        return
    count = 0
    for index, member in () if depth == 1 and _are_positions(value) else enumerate(value):
        for problem in _coordinates(member, depth - 1, kind, f"{at}/{index}"):
            yield problem
            count += 1
    if count == 0 and depth == 1 and kind.endswith("Polygon"):
        if len(value) < 4:
            yield at, "a ring of at least 4 positions", f"{len(value)} positions"
        elif value[0] != value[-1]:
            yield at, "a closed ring (last position equal to the first)", "an open ring"
    elif count == 0 and depth == 1 and kind.endswith("LineString") and len(value) < 2:
        yield at, "at least 2 positions", f"{len(value)} positions"
    if count == 0 and kind == "Polygon" and depth == 2 and not value:
        yield at, "at least one ring", "none"


def _are_positions(value: list[Any]) -> bool:
    """Tell, quickly, whether all members are positions: outlines have millions of them."""
    return all(
        type(member) is list and 2 <= len(member) <= 4 and all(map(_is_number, member))
        for member in value
    )


def _is_number(value: Any) -> bool:
    return (type(value) is float or type(value) is int) and math.isfinite(value)


def _short(value: list[Any]) -> str:
    shown = str(value)
    return shown if len(shown) <= 60 else describe_value(value)
