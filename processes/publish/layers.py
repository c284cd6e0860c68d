"""What the layers of a release look like, so that schema, types and units are said in one place.

The stage that assesses writes these columns; further ones are kept as they come. Readers of a
release (the service, people) get units and kinds from here through the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
    """One vector layer of a release.

    `id_field` is unique, `indexed` columns are searched often; checks and report need the
    `reported` columns of all rows, which stay in memory.
    """

    name: str
    id_field: str
    geometry_type: Literal["Polygon", "MultiPolygon"]
    columns: Mapping[str, Column]
    indexed: tuple[str, ...]
    reported: tuple[str, ...] = ()


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
    (
        "object_id", "name", "municipality", "area_m2", "verdict", "rejected_as", "reasons",
        "reason_main", "confidence", "trees",
    ),
)  # fmt: skip
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


def fields(layer: Layer, kinds: Mapping[str, Kind]) -> dict[str, dict[str, Any]]:
    """Describe the columns of a layer for the manifest: kind and, where known, unit and codes."""
    described: dict[str, dict[str, Any]] = {}
    for name, kind in kinds.items():
        column = layer.columns.get(name)
        described[name] = {"type": kind}
        if column and column.unit:
            described[name]["unit"] = column.unit
        if column and column.codes:
            described[name]["enum"] = list(column.codes)
    return described
