"""What the layers of a release look like, so that schema, types and units are said in one place.

The stage that assesses writes these columns; further ones are kept as they come. Readers of a
release (the service, people) get units and kinds from here through the manifest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import shapely

from processes.stage import InputDataError
from processes.vector import read_layer, write_layers

Kind = Literal["string", "integer", "number", "array", "object", "date"]  # array, object: JSON
VERDICTS = ("confirmed", "rejected", "uncertain")
REJECTED_AS = ("lost", "never-an-orchard", "not-detectable", "geometry-wrong")
PROVENANCE = "provenance"


@dataclass(frozen=True)
class Column:
    """One column: kind, unit (UCUM), whether it must be there, and the codes it may hold."""

    kind: Kind
    unit: str | None = None
    required: bool = True
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Layer:
    """One vector layer of a release; `id_field` is unique, `indexed` columns are searched often."""

    name: str
    id_field: str
    geometry_type: Literal["Polygon", "MultiPolygon"]
    columns: Mapping[str, Column]
    indexed: tuple[str, ...]


OBJECTS = Layer(
    "objects",
    "object_id",
    "MultiPolygon",
    {
        "object_id": Column("string"),
        "name": Column("string", required=False),
        "municipality": Column("string", required=False),
        "district": Column("string", required=False),
        "code": Column("string", required=False),
        "inventory_date": Column("date", required=False),
        "inventory_trees": Column("integer", required=False),
        "area_m2": Column("number", "m2"),
        "source_fid": Column("integer", required=False),
        "geometry_note": Column("string", required=False),
        "verdict": Column("string", codes=VERDICTS),
        "rejected_as": Column("string", required=False, codes=REJECTED_AS),
        "reasons": Column("array"),
        "reason_main": Column("string"),
        "confidence": Column("number", "1"),
        "trees": Column("integer", "1"),
        "trees_per_ha": Column("number", "har-1", required=False),
        "cover": Column("number", "1", required=False),
        "height_p50": Column("number", "m", required=False),
        "height_p90": Column("number", "m", required=False),
        "spacing_m": Column("number", "m", required=False),
        "clark_evans": Column("number", "1", required=False),
        "elongation": Column("number", "1", required=False),
        "ndvi_p50": Column("number", "1", required=False),
        "bare_dates": Column("number", "1", required=False),
        "grassland_signal": Column("integer", required=False),
        "values": Column("object", required=False),
        "thresholds": Column("object", required=False),
        "sources": Column("array", required=False),
        "date_surface": Column("date", required=False),
        "date_image": Column("date", required=False),
        "date_sentinel2": Column("date", required=False),
        "verdict_human": Column("string", required=False),
        "decided": Column("date", required=False),
        PROVENANCE: Column("string", required=False),
    },
    ("verdict", "reason_main", "municipality"),
)
TREES = Layer(
    "trees",
    "tree_id",
    "Polygon",
    {
        "tree_id": Column("string"),
        "object_id": Column("string"),
        "height_m": Column("number", "m"),
        "area_m2": Column("number", "m2", required=False),
        "diameter_m": Column("number", "m", required=False),
        "score": Column("number", "1", required=False),
        "flatness": Column("number", "1", required=False),
        "top_x": Column("number", "m"),
        "top_y": Column("number", "m"),
        "surface_date": Column("date", required=False),
        "ndvi": Column("number", "1", required=False),
        "is_tree": Column("integer", required=False),
        PROVENANCE: Column("string", required=False),
    },
    ("object_id",),
)
CANDIDATES = Layer(
    "candidates",
    "candidate_id",
    "MultiPolygon",
    {
        "candidate_id": Column("string"),
        "trees": Column("integer", "1", required=False),
        "trees_per_ha": Column("number", "har-1", required=False),
        "area_m2": Column("number", "m2", required=False),
        "cover": Column("number", "1", required=False),
        "ndvi_p50": Column("number", "1", required=False),
        "score": Column("number", "1", required=False),
        "reasons": Column("array", required=False),
        PROVENANCE: Column("string", required=False),
    },
    (),
)
LAYERS = (OBJECTS, TREES, CANDIDATES)


def read(path: Path, layer: Layer) -> Any:
    """Read one layer with the column types of the release (empty columns keep their type).

    Raises:
        InputDataError: The file cannot be read, or a value does not fit its column.
    """
    frame = read_layer(path, layer.name)
    for name, column in layer.columns.items():
        if name in frame.columns:
            frame[name] = _cast(frame[name], column, path, name)
    return frame


def write(path: Path, layer: Layer, frame: Any) -> None:
    """Write `frame` as GeoPackage, ordered by id, with a unique index on the id.

    Columns stand in the order of the layer, further ones behind them by name.
    """
    known = [name for name in layer.columns if name in frame.columns]
    extra = sorted(set(frame.columns) - set(known) - {frame.geometry.name})
    ordered = frame[[*known, *extra, frame.geometry.name]]
    ordered = ordered.sort_values(layer.id_field, kind="stable").reset_index(drop=True)
    if layer.geometry_type == "MultiPolygon":
        ordered = ordered.set_geometry(_multi(ordered.geometry), crs=frame.crs)
    ordered.attrs["geometry_type"] = layer.geometry_type
    write_layers(path, {layer.name: ordered})
    with closing(sqlite3.connect(path)) as connection, connection:
        _index(connection, layer, layer.id_field, unique=True)
        for name in layer.indexed:
            if name in known:
                _index(connection, layer, name, unique=False)


def fields(layer: Layer, frame: Any) -> dict[str, dict[str, Any]]:
    """Describe the columns of a written frame for the manifest: kind and, where known, unit."""
    described: dict[str, dict[str, Any]] = {}
    for name in frame.columns:
        if name == frame.geometry.name:
            continue
        column = layer.columns.get(name)
        described[name] = {"type": column.kind if column else _kind_of(frame[name])}
        if column and column.unit:
            described[name]["unit"] = column.unit
        if column and column.codes:
            described[name]["enum"] = list(column.codes)
    return described


def _cast(values: Any, column: Column, path: Path, name: str) -> Any:
    try:
        if column.kind == "integer":
            return pd.array(pd.to_numeric(values), dtype="Int64")
        if column.kind == "number":
            return pd.to_numeric(values).astype("float64")
    except (TypeError, ValueError) as error:
        raise InputDataError(
            "check failed: schema",
            f"{path.name}: column {name!r} must be {column.kind}: {error}",
        ) from error
    if pd.api.types.is_datetime64_any_dtype(values):
        values = values.dt.strftime("%Y-%m-%d")
    return values.astype("object").where(values.notna(), None)


def _kind_of(values: Any) -> Kind:
    if pd.api.types.is_integer_dtype(values):
        return "integer"
    return "number" if pd.api.types.is_numeric_dtype(values) else "string"


def _multi(geometries: Any) -> list[Any]:
    return [
        shapely.MultiPolygon([shape])
        if shape is not None and shape.geom_type == "Polygon"
        else shape
        for shape in geometries
    ]


def _index(connection: sqlite3.Connection, layer: Layer, column: str, *, unique: bool) -> None:
    kind = "UNIQUE INDEX" if unique else "INDEX"
    connection.execute(f'CREATE {kind} "{layer.name}_{column}" ON "{layer.name}" ("{column}")')
