"""Writing judged objects and candidates, with everything that a person needs to check a verdict."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from processes.assess.candidates import Candidate
from processes.assess.evidence import Evidence, Source
from processes.assess.independence import GROUPS
from processes.assess.objects import Judged
from processes.assess.thresholds import Thresholds
from processes.vector import append

KINDS = {
    "verdict": "str", "rejected_as": "object", "reasons": "str", "reason_main": "str",
    "confidence": "float64", "trees": "Int64", "trees_per_ha": "float64", "cover": "float64",
    "height_p50": "float64", "height_p90": "float64", "spacing_m": "float64",
    "clark_evans": "float64", "ndvi_p50": "float64", "bare_dates": "float64",
    "grassland_signal": "Int64", "elongation": "float64", "values": "str", "thresholds": "str",
    "sources": "str", "date_surface": "object", "date_image": "object",
    "date_sentinel2": "object", "verdict_human": "object", "decided": "object",
    "home_tile": "object",
}  # fmt: skip
CANDIDATE_KINDS = {
    "candidate_id": "str", "trees": "int64", "trees_per_ha": "float64", "area_m2": "float64",
    "cover": "float64", "ndvi_p50": "float64", "score": "float64", "reasons": "str",
}  # fmt: skip


def append_objects(
    path: Path,
    objects: Any,
    judged: Sequence[Judged],
    decisions: Mapping[str, tuple[str, str]],
    limits: Thresholds,
) -> None:
    """Add the inventory's columns and the verdicts of the objects judged to the layer objects.

    Without any, the layer is made.
    """
    thresholds = _json(limits.as_dict())
    frame = objects.iloc[[entry.index for entry in judged]]
    frame = frame.drop(columns=[name for name in KINDS if name in objects])
    rows = [_row(entry, thresholds) for entry in judged]
    for row, object_id in zip(rows, frame["object_id"], strict=True):
        row["verdict_human"], row["decided"] = decisions.get(object_id, (None, None))
    for name, kind in KINDS.items():
        frame[name] = pd.Series([row[name] for row in rows], dtype=kind, index=frame.index)
    append(path, "objects", frame, "MultiPolygon")


def append_candidates(path: Path, candidates: Sequence[Candidate], crs: Any) -> None:
    """Add candidates to the layer candidates, which is made if need be."""
    if path.exists() and not candidates:
        return
    rows = [{**asdict(item), "reasons": _json(list(item.reasons))} for item in candidates]
    columns = {
        name: pd.Series([row[name] for row in rows], dtype=kind)
        for name, kind in CANDIDATE_KINDS.items()
    }
    polygons = gpd.GeoSeries([item.polygon for item in candidates], crs=crs)
    append(path, "candidates", gpd.GeoDataFrame(columns, geometry=polygons), "Polygon")


def values_of(evidence: Evidence) -> dict[str, Any]:
    """Return all measured values of an object, flat, named by group where they need it."""
    values: dict[str, Any] = {
        "area_m2": evidence.area_m2,
        "elongation": evidence.elongation,
        "width_m": evidence.width_m,
        "inventory_date": _iso(evidence.inventory_date),
        "inventory_trees": evidence.inventory_trees,
        "shift_m": evidence.shift_m,
    }
    for group in GROUPS:
        part = getattr(evidence, group)
        if part is not None:
            values |= {f"{group}_{name}": value for name, value in asdict(part).items()}
    if evidence.sentinel2 is not None and evidence.sentinel2.difference is not None:
        values["sentinel2_ndvi_difference"] = round(evidence.sentinel2.difference, 4)
    return {name: _finite(value) for name, value in values.items()}


def _row(entry: Judged, thresholds: str) -> dict[str, Any]:
    evidence, decision = entry.evidence, entry.decision
    surface, sentinel2 = evidence.surface, evidence.sentinel2
    dates = {group: _date(entry, group) for group in GROUPS}
    signal = decision.grassland_signal
    return {
        "verdict": decision.verdict,
        "rejected_as": decision.rejected_as,
        "reasons": _json(list(decision.reasons)),
        "reason_main": decision.reason_main,
        "confidence": decision.confidence,
        # Without surface data nothing was counted, which is not zero trees.
        "trees": surface.trees if surface else None,
        "trees_per_ha": surface.trees_per_ha if surface else None,
        "cover": surface.cover if surface else None,
        "height_p50": surface.height_p50 if surface else None,
        "height_p90": surface.height_p90 if surface else None,
        "spacing_m": surface.spacing_m if surface else None,
        "clark_evans": surface.clark_evans if surface else None,
        "ndvi_p50": sentinel2.ndvi_p50 if sentinel2 else None,
        "bare_dates": sentinel2.bare_dates if sentinel2 else None,
        "grassland_signal": None if signal is None else int(signal),
        "elongation": _finite(evidence.elongation),
        "values": _json(values_of(evidence)),
        "thresholds": thresholds,
        "sources": _json(_sources(entry)),
        "date_surface": dates["surface"],
        "date_image": dates["image"],
        "date_sentinel2": dates["sentinel2"],
        "verdict_human": None,
        "decided": None,
        "home_tile": None,
    }


def _sources(entry: Judged) -> list[dict[str, Any]]:
    return [
        {
            "group": group,
            "campaign": "+".join(sorted(_source(entry, group).campaigns)) or None,
            "date": _date(entry, group),
            "supports": entry.decision.supports[group],
        }
        for group in GROUPS
        if group in entry.decision.supports
    ]


def _source(entry: Judged, group: str) -> Source:
    return entry.sources.get(group, Source(group))


def _date(entry: Judged, group: str) -> str | None:
    """Return the date of a group that gave evidence."""
    used = getattr(entry.evidence, group) is not None
    return _source(entry, group).shown if used else None


def _iso(value: dt.date | None) -> str | None:
    return value.isoformat() if value else None


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=isinstance(value, dict), allow_nan=False)
