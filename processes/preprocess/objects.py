"""The inventory objects of a batch, read without the data frame libraries.

Those cost three core-seconds to load, in every batch; a GeoPackage is an SQLite file and all that
is needed here is an id and a shape.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyproj
import shapely

from processes.grid import Bounds
from processes.preprocess.georeference import crs_of
from processes.stage import InputDataError

LAYER = "objects"
ENVELOPE_BYTES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}


@dataclass(frozen=True)
class InventoryObject:
    """An object: its id, its polygon, and its home (a point inside it that decides who owns it)."""

    id: str
    shape: Any
    home: tuple[float, float]

    def around(self, margin: float) -> Bounds:
        """Give its bounding box with `margin` (metres) on each side."""
        return Bounds(*(float(value) for value in self.shape.bounds)).grow(margin)


def objects_near(path: Path, area: Bounds, crs: str) -> list[InventoryObject]:
    """Read the objects whose bounding box meets `area`, ordered by id.

    Raises:
        InputDataError: The file is missing, no GeoPackage with a layer `objects`, or in another
            CRS than `crs`.
    """
    if not path.is_file():
        raise InputDataError("file not found", f"{path} does not exist or is no file")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as file:
            found = [
                InventoryObject(name, shape, _home(shape))
                for name, shape in _rows(file, path, crs)
                if not shape.is_empty and Bounds(*shape.bounds).intersects(area)
            ]
    except (sqlite3.DatabaseError, shapely.errors.GEOSException, struct.error) as error:
        raise InputDataError(
            "objects cannot be read",
            f"{path.name}: {error}; expected a GeoPackage with the layer `{LAYER}`",
        ) from error
    return sorted(found, key=lambda item: item.id)


def _rows(file: sqlite3.Connection, path: Path, crs: str) -> Iterator[tuple[str, Any]]:
    column = file.execute(
        "SELECT column_name, organization, organization_coordsys_id "
        "FROM gpkg_geometry_columns JOIN gpkg_spatial_ref_sys USING (srs_id) WHERE table_name = ?",
        (LAYER,),
    ).fetchone()
    if column is None:
        raise InputDataError(
            "objects cannot be read", f"{path.name} has no layer `{LAYER}` with geometries"
        )
    name, authority, code = column
    if not pyproj.CRS.from_authority(authority, code).equals(crs_of(crs), ignore_axis_order=True):
        raise InputDataError(
            "objects in another CRS", f"{path.name} is in {authority}:{code}, the run is in {crs}"
        )
    quoted = '"' + name.replace('"', '""') + '"'
    for identifier, blob in file.execute(
        f"SELECT object_id, {quoted} FROM {LAYER} WHERE {quoted} IS NOT NULL"  # noqa: S608
    ):
        # GeoPackage 1.3, 2.1.3: magic, version, flags (bits 1-3: envelope), SRS, envelope, WKB
        yield str(identifier), shapely.from_wkb(blob[8 + ENVELOPE_BYTES[blob[3] >> 1 & 7] :])


def _home(shape: Any) -> tuple[float, float]:
    point = shape.representative_point()
    return point.x, point.y
