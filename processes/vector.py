"""Reading vector files of a few formats and writing GeoPackages equal in every byte."""

from __future__ import annotations

import glob
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from shapely.errors import ShapelyError

from processes.stage import InputDataError, complete

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON", ".shp": "ESRI Shapefile"}
# GeoPackages hold the time of their last change; a fixed one keeps equal content equal in bytes.
FIXED_TIME = "2000-01-01T00:00:00.000Z"


def read_layer(
    path: str | Path,
    layer: str | None = None,
    *,
    where: str | None = None,
    drop_broken: bool = False,
    fids: bool = False,
) -> Any:
    """Read one layer as a GeoDataFrame.

    Args:
        path: GeoPackage, GeoJSON or Shapefile.
        layer: Its layer; the first one when None.
        where: SQL condition on its columns; all rows when None.
        drop_broken: Give None for a geometry that cannot be one (a ring that is not closed).
        fids: Index the rows by their feature ids, not from 0.

    Raises:
        InputDataError: The file is missing, of another format, damaged, incomplete, or lacks the
            layer.
    """
    path = Path(path)
    _check_file(path)
    try:
        return gpd.read_file(
            path,
            layer=layer,
            where=where,
            engine="pyogrio",
            on_invalid="ignore" if drop_broken else "raise",
            fid_as_index=fids,
        )
    except (DataSourceError, DataLayerError, ShapelyError, ValueError) as error:
        raise InputDataError("vector file cannot be read", f"{path.name}: {error}") from error


def layers_of(path: Path) -> list[tuple[str, str | None]]:
    """Return name and kind of geometry (``MultiPolygon``; None for a table) of each layer.

    Raises:
        InputDataError: The file is missing, of another format, damaged or incomplete.
    """
    _check_file(path)
    try:
        return [(str(name), kind and str(kind)) for name, kind in pyogrio.list_layers(path)]
    except DataSourceError as error:
        raise InputDataError("vector file cannot be read", f"{path.name}: {error}") from error


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputDataError("file not found", f"{path} does not exist or is no file")
    if path.suffix.lower() not in DRIVERS:
        raise InputDataError(
            "vector format not supported",
            f"{path.name}: expected one of {', '.join(sorted(DRIVERS))}",
        )
    if not path.stat().st_size:
        raise InputDataError("vector file cannot be read", f"{path.name} is empty (0 bytes)")
    if path.suffix.lower() == ".shp":
        _check_companions(path)


def _check_companions(path: Path) -> None:
    present = {other.suffix.lower() for other in path.parent.glob(f"{glob.escape(path.stem)}.*")}
    lacking = [suffix for suffix in (".shx", ".dbf") if suffix not in present]
    if lacking:
        raise InputDataError(
            "Shapefile is not complete",
            f"a Shapefile is several files: {' and '.join(lacking)} of {path.stem} is not beside "
            f"{path.name}. Give the layer as GeoPackage or GeoJSON, which is one file.",
        )


def write_layers(path: Path, layers: Mapping[str, Any]) -> None:
    """Write GeoDataFrames as layers of one GeoPackage; appears only when complete.

    Rows keep the order of the frames; the feature ids are 1, 2, 3, ... Frames may be empty.
    """
    with complete(path) as partial:
        for name, frame in layers.items():
            kinds = set(frame.geometry.geom_type.dropna()) if len(frame) else set()
            append(partial, name, frame, frame.attrs.get("geometry_type") or _common(kinds))


def append(path: Path, layer: str, frame: Any, geometry_type: str) -> None:
    """Add the rows of a GeoDataFrame to a layer of a GeoPackage; both are made where needed."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": FIXED_TIME})
    pyogrio.write_dataframe(
        frame,
        path,
        layer=layer,
        driver="GPKG",
        geometry_type=geometry_type,
        promote_to_multi=geometry_type.startswith("Multi") or None,
        append=path.exists(),
    )


def add_index(path: Path, layer: str, column: str, *, unique: bool = False) -> None:
    """Add an index on a column of a layer of a GeoPackage, named layer_column."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f'CREATE {kind} "{layer}_{column}" ON "{layer}" ("{column}")')


def _common(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return kinds.pop()
    if kinds and kinds <= {"Polygon", "MultiPolygon"}:
        return "MultiPolygon"
    return "Unknown"
