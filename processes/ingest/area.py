"""The area of a run: GeoJSON, a rectangle or a district becomes one polygon in the run's CRS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from shapely.geometry import MultiPolygon, Polygon, box, mapping, shape
from shapely.geometry.base import BaseGeometry

from processes.ingest.reference_systems import LONLAT, code_of, moved, parse_crs
from processes.stage import InputDataError, write_json
from processes.vector import read_layer

# Edges of a rectangle bend when they change CRS; this many pieces keep them within centimetres.
_PIECES = 64


def area_from_geojson(path: Path, crs: CRS) -> BaseGeometry:
    """Read polygons of a GeoJSON file as one area.

    Longitude and latitude, unless a `crs` member says otherwise.

    Raises:
        InputDataError: No GeoJSON, no polygon, an empty one, or numbers that are no degrees.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        stated = parse_crs(_stated_crs(document) or LONLAT)
        parts = [shape(geometry) for geometry in _geometries(document)]
    except InputDataError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputDataError(
            "area not understood",
            f"{path.name}: {error}. Expected GeoJSON: a Polygon, MultiPolygon, or features of them",
        ) from error
    except shapely.errors.ShapelyError as error:
        raise InputDataError("area not understood", f"{path.name}: {error}") from error
    wrong = sorted({part.geom_type for part in parts} - {"Polygon", "MultiPolygon"})
    if wrong or not parts:
        raise InputDataError(
            "area not understood",
            f"{path.name} holds {', '.join(wrong) or 'no geometry'}; expected polygons",
        )
    geometry = polygons(shapely.union_all([shapely.force_2d(part) for part in parts]))
    if stated.is_geographic and not geometry.is_empty:
        _check_degrees(geometry, path.name)
    return _checked(moved(geometry, stated, crs), f"the area in {path.name}")


def area_from_bbox(values: list[float], bbox_crs: str, crs: CRS) -> BaseGeometry:
    """Turn an OGC `bbox` into an area; axes in the order of `bbox_crs` (CRS84: lon, lat).

    Raises:
        InputDataError: Not four (or six) finite numbers, or no extent.
    """
    if len(values) == 6:
        values = [values[0], values[1], values[3], values[4]]
    if len(values) != 4 or not all(abs(value) < float("inf") for value in values):
        raise InputDataError(
            "bbox not understood", f"expected four numbers left,bottom,right,top, got {values}"
        )
    left, bottom, right, top = values
    if left >= right or bottom >= top:
        raise InputDataError(
            "bbox has no extent", f"expected left < right and bottom < top, got {values}"
        )
    stated = parse_crs(bbox_crs)
    edges = shapely.segmentize(
        box(left, bottom, right, top), max(right - left, top - bottom) / _PIECES
    )
    # The run's CRS is used as x east, y north by every stage, whatever order its authority prefers.
    swap = crs.axis_info[0].direction.lower() == "north"
    if stated.equals(crs):
        ground = box(bottom, left, top, right) if swap else box(left, bottom, right, top)
        return _checked(ground, "the bbox")
    transformer = Transformer.from_crs(stated, crs, always_xy=False)

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        first, second = transformer.transform(points[:, 0], points[:, 1])
        return np.column_stack((second, first) if swap else (first, second))

    return _checked(shapely.transform(edges, project), "the bbox")


def area_from_district(path: Path, code: str, keys: tuple[str, ...], crs: CRS) -> BaseGeometry:
    """Take the polygons of one district or municipality out of a vector file.

    Args:
        path: Vector file with one of the columns `keys`.
        code: Official key (AGS), 5 digits for a district, 8 for a municipality.
        keys: Column names to look in.
        crs: CRS of the result.

    Raises:
        InputDataError: The code is no key, or the file does not hold it.
    """
    if not (code.isdigit() and len(code) in (5, 8)):
        raise InputDataError(
            "district not understood",
            f"`district` is {code!r}; expected an official key (AGS) of 5 or 8 digits, "
            "such as 05170 for Kreis Wesel",
        )
    frame = read_layer(path)
    columns = [name for name in frame.columns if name.upper() in {key.upper() for key in keys}]
    if not columns or frame.crs is None:
        raise InputDataError(
            "districts cannot be read",
            f"{path.name} needs a CRS and one of the columns {', '.join(keys)}; "
            f"it has {', '.join(map(str, frame.columns))}",
        )
    wanted = code.ljust(8, "0")
    for column in columns:
        values = frame[column].astype("string").fillna("")
        hits = frame[values.map(lambda value: value.ljust(8, "0") == wanted)]
        if len(hits):
            geometry = polygons(shapely.union_all(shapely.make_valid(hits.geometry.to_numpy())))
            return _checked(moved(geometry, CRS(frame.crs), crs), f"district {code}")
    raise InputDataError(
        "district not found", f"{path.name} holds no {code} in {', '.join(columns)}"
    )


def write_area(path: Path, area: BaseGeometry, crs: CRS, name: str) -> None:
    """Write the area as GeoJSON with a `crs` member, coordinates in mm."""
    authority = code_of(crs)
    stated = f"urn:ogc:def:crs:{authority[0]}::{authority[1]}" if authority else name
    geometry = mapping(shapely.set_precision(area, 0.001))
    write_json(
        path,
        {
            "type": "FeatureCollection",
            "crs": {"type": "name", "properties": {"name": stated}},
            "features": [{"type": "Feature", "properties": {}, "geometry": geometry}],
        },
    )


def polygons(geometry: BaseGeometry) -> MultiPolygon:
    """Return the polygonal part of a geometry, repaired; it may be empty."""
    fixed = geometry if geometry.is_valid else shapely.make_valid(geometry, method="structure")
    parts = [part for part in shapely.get_parts(fixed).tolist() if not part.is_empty]
    flat: list[Polygon] = []
    for part in parts:
        if isinstance(part, Polygon):
            flat.append(part)
        elif isinstance(part, MultiPolygon):
            flat.extend(part.geoms)
    return MultiPolygon([part for part in flat if part.area > 0])


def _geometries(document: dict[str, Any]) -> list[dict[str, Any]]:
    kind = document.get("type")
    if kind == "FeatureCollection":
        return [item["geometry"] for item in document["features"] if item.get("geometry")]
    if kind == "Feature":
        return [document["geometry"]] if document.get("geometry") else []
    if kind == "GeometryCollection":
        return list(document["geometries"])
    return [document]


def _stated_crs(document: dict[str, Any]) -> str | None:
    stated = document.get("crs")
    if isinstance(stated, dict):
        stated = stated.get("properties", {}).get("name")
    return str(stated) if stated else None


def _check_degrees(geometry: BaseGeometry, name: str) -> None:
    left, bottom, right, top = geometry.bounds
    if left < -180 or right > 180 or bottom < -90 or top > 90:
        raise InputDataError(
            "area is not in longitude and latitude",
            f"{name} reaches from ({left:.1f}, {bottom:.1f}) to ({right:.1f}, {top:.1f}); these "
            "are no degrees. Give lon/lat, or a `crs` member that names the CRS",
        )


def _checked(geometry: BaseGeometry, what: str) -> BaseGeometry:
    if geometry.is_empty or not geometry.area > 0:
        raise InputDataError("area is empty", f"{what} covers no ground")
    if not shapely.is_valid(geometry):
        geometry = polygons(geometry)
    if not all(abs(value) < 1e9 for value in geometry.bounds):
        raise InputDataError(
            "area lies outside its coordinate reference system",
            f"{what} cannot be expressed in the run's `crs`; choose one that fits the place",
        )
    return geometry
