"""Reading an inventory as offices hand it over: any CRS, any column names, broken geometries too.

Every change made on the way (repair, new id, object left out) is written down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from processes.ingest.area import polygons
from processes.ingest.findings import Findings
from processes.ingest.reference_systems import moved
from processes.stage import InputDataError
from processes.vector import DRIVERS, layers_of, read_layer

# Column of the result -> names that inventories use for it, best first, compared without case.
COLUMNS: dict[str, tuple[str, ...]] = {
    "object_id": ("object_id", "objektkennung", "kennung", "objekt_id", "objectid", "id", "gml_id"),
    "name": ("name", "bezeichnung", "objektbezeichnung", "gebietsname"),
    "municipality": ("municipality", "gemeinde", "gemeindename", "kommune"),
    "district": ("district", "kreis", "kreisname", "landkreis"),
    "code": ("code", "biotoptyp", "biotopcode", "hk", "typ"),
    "inventory_date": (
        *("inventory_date", "erfassungsdatum", "kartierdatum", "kartierung"),
        *("aufnahmedatum", "datum", "date"),
    ),
    "inventory_trees": ("inventory_trees", "baumzahl", "anzahl_baeume", "baeume", "trees"),
}


SHAPEFILE_NAME = 10
"""Characters of a column's name that a Shapefile keeps."""


def read_inventory(path: Path, crs: CRS, findings: Findings) -> Any:
    """Read all objects of an inventory, in file order, as a GeoDataFrame in `crs`.

    Columns: object_id (unique text), name, municipality, district, code, inventory_date (ISO; a
    month or year where no day is given), inventory_trees (whole number or missing), area_m2,
    source_fid (row in the file, from 1), geometry_note, geometry (MultiPolygon, 2D, valid).

    Raises:
        InputDataError: Unreadable, without CRS, without objects, or with coordinates that its
            CRS does not allow.
    """
    frame = _read(path)
    if not len(frame):
        raise InputDataError(
            "inventory holds no objects", f"{path.name} is readable but empty; expected polygons"
        )
    if frame.crs is None:
        raise InputDataError(
            "inventory has no coordinate reference system",
            f"{path.name} does not say which CRS its coordinates are in; set it and try again",
        )
    _check_coordinates(frame, path.name)
    shapes, comments = _polygons_of(frame, path.name, findings)
    result = _known_columns(frame, findings)
    result["source_fid"] = np.arange(1, len(frame) + 1)
    result["geometry_note"] = comments
    kept = np.array([not shape.is_empty for shape in shapes], dtype=bool)
    if not kept.any():
        raise InputDataError(
            "inventory holds no polygons",
            f"none of the {len(frame)} objects in {path.name} has one",
        )
    placed = [polygons(moved(shape, CRS(frame.crs), crs)) for shape in shapes]
    result["object_id"] = _unique_ids(frame, placed, findings)
    result["area_m2"] = [round(shape.area, 2) for shape in placed]
    result = result[list(_ORDER)]
    objects = gpd.GeoDataFrame(result, geometry=placed, crs=crs.to_wkt())[kept]
    objects = objects.reset_index(drop=True)
    objects.attrs["geometry_type"] = "MultiPolygon"
    return objects


_ORDER = (
    *("object_id", "name", "municipality", "district", "code"),
    *("inventory_date", "inventory_trees", "area_m2", "source_fid", "geometry_note"),
)


def at_home(objects: Any, area: BaseGeometry) -> Any:
    """Return the objects whose representative point lies in the area."""
    points = shapely.point_on_surface(objects.geometry.to_numpy())
    shapely.prepare(area)
    home = objects[shapely.intersects(area, points)].reset_index(drop=True)
    home.attrs["geometry_type"] = "MultiPolygon"
    return home


def check_place(objects: Any, area: BaseGeometry) -> None:
    """Check that an inventory reaches to the area: else a release would lose the area's objects.

    Raises:
        InputDataError: It lies elsewhere as a whole, as with a wrong CRS or file.
    """
    left, bottom, right, top = (float(value) for value in objects.total_bounds)
    if not shapely.box(left, bottom, right, top).intersects(shapely.box(*area.bounds)):
        own = ", ".join(f"{value:.0f}" for value in area.bounds)
        raise InputDataError(
            "inventory lies elsewhere",
            f"its objects reach over ({left:.0f}, {bottom:.0f}, {right:.0f}, {top:.0f}) in the "
            f"run's CRS, the area over ({own}). Is it the right file, and does it state the right "
            "CRS?",
        )


def _read(path: Path) -> Any:
    """Read the layer of polygons; ids that GeoJSON features have as numbers become a column."""
    frame = read_layer(path, _polygon_layer(path), drop_broken=True, fids=True)
    numbers = frame.index.to_numpy()
    frame = frame.reset_index(drop=True)
    # Features without ids are numbered from 0, which says no more than their order.
    told = DRIVERS[path.suffix.lower()] == "GeoJSON" and (numbers != np.arange(len(frame))).any()
    if told and _find(frame, "object_id") is None:
        frame["id"] = numbers.astype(str)
    return frame


def _polygon_layer(path: Path) -> str:
    layers = layers_of(path)
    for name, kind in layers:
        if kind is not None and "Polygon" in kind:
            return name
    for name, kind in layers:
        if kind in ("Unknown", "GeometryCollection"):
            return name
    raise InputDataError(
        "inventory holds no polygon layer",
        f"{path.name} has {', '.join(f'{name} ({kind})' for name, kind in layers) or 'no layer'}",
    )


def _check_coordinates(frame: Any, name: str) -> None:
    if not frame.crs.is_geographic:
        return
    left, bottom, right, top = frame.total_bounds
    if left < -180.1 or right > 180.1 or bottom < -90.1 or top > 90.1:
        raise InputDataError(
            "inventory has the wrong coordinate reference system",
            f"{name} says {frame.crs.name} (degrees), but reaches from ({left:.0f}, {bottom:.0f}) "
            f"to ({right:.0f}, {top:.0f}). GeoJSON holds lon/lat unless a `crs` member says more",
        )


def _polygons_of(
    frame: Any, name: str, findings: Findings
) -> tuple[list[BaseGeometry], list[str | None]]:
    shapes: list[BaseGeometry] = []
    comments: list[str | None] = []
    for row, geometry in enumerate(frame.geometry, 1):
        whole = geometry is not None and not geometry.is_empty
        flat = shapely.force_2d(geometry) if whole else shapely.MultiPolygon()
        fixed = polygons(flat)
        if fixed.is_empty:
            findings.note(
                f"inventory: object in row {row} of {name} has no polygon and is left out"
            )
            comments.append("no polygon")
        elif not flat.is_valid:
            reason = shapely.is_valid_reason(flat).split("[")[0].strip()
            comments.append(f"repaired: {reason}")
            findings.note(f"inventory: geometry in row {row} of {name} was repaired ({reason})")
        else:
            comments.append(None)
        shapes.append(fixed)
    return shapes, comments


def _known_columns(frame: Any, findings: Findings) -> Any:
    result = pd.DataFrame(index=frame.index)
    for column in ("name", "municipality", "district", "code"):
        result[column] = _texts(_find(frame, column), len(frame))
    dates = _find(frame, "inventory_date")
    result["inventory_date"] = _dates(dates, len(frame))
    _note_unread("inventory_date", dates, result["inventory_date"], findings)
    trees = _find(frame, "inventory_trees")
    numbers = pd.to_numeric(trees, errors="coerce") if trees is not None else None
    result["inventory_trees"] = pd.array(
        [None] * len(frame) if numbers is None else numbers.round().to_numpy(), dtype="Int64"
    )
    _note_unread("inventory_trees", trees, result["inventory_trees"], findings)
    return result


def _note_unread(column: str, given: Any, read: Any, findings: Findings) -> None:
    """Say which values count as unknown although the inventory has something there."""
    if given is None:
        return
    unread = [
        (row, text)
        for row, (value, known) in enumerate(zip(given, read, strict=True), 1)
        if pd.isna(known) and (text := _text(value)) is not None
    ]
    if unread:
        row, text = unread[0]
        findings.note(
            f"inventory: {len(unread)} of {len(given)} values of {given.name} are not understood "
            f"as {column} and count as unknown; the first is {text!r} in row {row}"
        )


def _find(frame: Any, column: str) -> Any:
    """Return the column of an inventory that stands for one of the result; None without one."""
    by_name = {str(name).lower(): name for name in frame.columns if name != frame.geometry.name}
    for alias in (*COLUMNS[column], *_cut_names(column)):
        if alias in by_name:
            return frame[by_name[alias]]
    return None


def _cut_names(column: str) -> list[str]:
    """Return what Shapefiles leave of a column's names, where that is no other column's name."""
    others = (alias for name, aliases in COLUMNS.items() if name != column for alias in aliases)
    cut = {alias[:SHAPEFILE_NAME] for alias in others}
    names = [alias[:SHAPEFILE_NAME] for alias in COLUMNS[column] if len(alias) > SHAPEFILE_NAME]
    return [name for name in names if name not in cut]


def _texts(values: Any, count: int) -> list[str | None]:
    return [None] * count if values is None else [_text(value) for value in values]


def _text(value: Any) -> str | None:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        if np.isnan(value):
            return None
        return str(int(value)) if value == int(value) else str(value)
    return str(value).strip() or None


def _dates(values: Any, count: int) -> list[str | None]:
    return [None] * count if values is None else [_day(value) for value in values]


def _day(value: Any) -> str | None:
    """Return an ISO date, out of a date, an ISO text or ``31.12.2020``.

    A month or a year alone stays one: which day of it is for those to say who compare dates.
    """
    text = _text(value.isoformat() if hasattr(value, "isoformat") and value == value else value)
    if text is None:
        return None
    if re.fullmatch(r"\d{4}(-\d{2})?", text):
        known = pd.to_datetime(f"{text}-01-01"[:10], format="%Y-%m-%d", errors="coerce")
        return None if pd.isna(known) else text
    parts = text.split(".")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        text = f"{parts[2]:0>4}-{parts[1]:0>2}-{parts[0]:0>2}"
    stamp = pd.to_datetime(text[:10], format="%Y-%m-%d", errors="coerce")
    return None if pd.isna(stamp) else str(stamp.date().isoformat())


def _unique_ids(frame: Any, placed: Sequence[BaseGeometry], findings: Findings) -> list[str]:
    values = _find(frame, "object_id")
    if values is None:
        findings.note(
            "inventory: no id column; objects are named by their place, at-<east>-<north> in metres"
        )
    given = _texts(values, len(frame))
    taken = {text for text in given if text}
    used: set[str] = set()
    ids: list[str] = []
    for row, text in enumerate(given, 1):
        wanted = text or _name_by_place(placed[row - 1], row)
        if wanted in used or (text is None and wanted in taken):
            renamed = _free(wanted, used | taken)
            findings.note(
                f"inventory: id {wanted} is used again in row {row}; renamed to {renamed}"
            )
            wanted = renamed
        used.add(wanted)
        ids.append(wanted)
    return ids


def _name_by_place(shape: BaseGeometry, row: int) -> str:
    """Name an object without id, the same in every file: a row means another object elsewhere."""
    if shape.is_empty:
        return f"row-{row}"
    point = shapely.point_on_surface(shape)
    return f"at-{point.x:.0f}-{point.y:.0f}"


def _free(wanted: str, taken: Iterable[str]) -> str:
    number = 2
    while f"{wanted}-{number}" in taken:
        number += 1
    return f"{wanted}-{number}"
