"""Which flight or satellite pass an object's evidence comes from, and of what date.

Rules about age and independence rest on this, so it is taken from the items per object, not per
batch.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from shapely.geometry import box, shape

from processes.assess.evidence import Source
from processes.assess.independence import GROUPS
from processes.stage import InputDataError

GROUP_OF_PRODUCT = {"ndom": "surface", "dop": "image", "sentinel-2-l2a": "sentinel2"}


Span = tuple[dt.date, dt.date]


@dataclass(frozen=True)
class _Row:
    footprint: Any
    campaign: str | None
    taken: Span | None


class Provenance:
    """The footprints of the items of each group, to be asked by place."""

    def __init__(self, items: Iterable[dict[str, Any]], crs: Any, dates_used: set[str] | None):
        rows: dict[str, list[_Row]] = {group: [] for group in GROUPS}
        for item in items:
            properties = item.get("properties", {})
            acquisition = properties.get("cdi:acquisition") or {}
            group = acquisition.get("group") or GROUP_OF_PRODUCT.get(properties.get("cdi:product"))
            taken = _taken(acquisition, properties)
            if group not in rows or _unused(group, taken, dates_used):
                continue
            rows[group].append(_Row(_footprint(item, crs), acquisition.get("campaign"), taken))
        self._rows = rows
        self._trees = {
            group: shapely.STRtree([row.footprint for row in rows[group]]) for group in GROUPS
        }

    @classmethod
    def read(cls, path: Path, crs: Any, dates_used: set[str] | None) -> Provenance:
        """Read a STAC FeatureCollection.

        Raises:
            InputDataError: The file is no JSON or no FeatureCollection.
        """
        try:
            items = json.loads(path.read_text(encoding="utf-8"))["features"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputDataError(
                "items cannot be read", f"{path.name}: expected a FeatureCollection; {error!r}"
            ) from error
        return cls(items, crs, dates_used)

    def of(self, geometry: Any) -> dict[str, Source]:
        """Return the source of each group that has an item at `geometry`."""
        sources = {}
        for group in GROUPS:
            hits = np.sort(self._trees[group].query(geometry, predicate="intersects"))
            if len(hits):
                sources[group] = _source(group, [self._rows[group][hit] for hit in hits])
        return sources


def _source(group: str, rows: list[_Row]) -> Source:
    campaigns = [row.campaign for row in rows]
    # One item of unknown campaign or date makes the whole unknown: it may be the deciding one.
    known = frozenset(name for name in campaigns if name) if all(campaigns) else frozenset()
    spans = sorted(row.taken for row in rows if row.taken is not None)
    if len(spans) < len(rows):
        newest = spans[-1] if spans and group == "sentinel2" else None
        return Source(group, known, shown=_shown(newest))
    months = frozenset(month for span in spans for month in _months(span))
    chosen = spans[-1] if group == "sentinel2" else spans[0]
    return Source(group, known, spans[0][0], _shown(chosen), months)


def _taken(acquisition: dict[str, Any], properties: dict[str, Any]) -> Span | None:
    """Return the first and last day that an item can be from."""
    day = acquisition.get("date") or properties.get("datetime")
    start = day or properties.get("start_datetime")
    if not start:
        return None
    end = day or properties.get("end_datetime") or start
    try:
        return dt.date.fromisoformat(str(start)[:10]), dt.date.fromisoformat(str(end)[:10])
    except ValueError as error:
        raise InputDataError("item has no valid date", f"{start}, {end}: {error}") from error


def _shown(span: Span | None) -> str | None:
    if span is None:
        return None
    start, end = span
    if start == end:
        return start.isoformat()
    if (start.month, start.day, end.month, end.day) == (1, 1, 12, 31) and start.year == end.year:
        return str(start.year)
    return f"{start.isoformat()}/{end.isoformat()}"


def _months(span: Span) -> set[int]:
    start, end = span
    count = (end.year - start.year) * 12 + end.month - start.month + 1
    return {(start.month - 1 + step) % 12 + 1 for step in range(min(count, 12))}


def _unused(group: str, taken: Span | None, dates_used: set[str] | None) -> bool:
    if group != "sentinel2" or dates_used is None or taken is None:
        return False
    return taken[0].isoformat() not in dates_used


def _footprint(item: dict[str, Any], crs: Any) -> Any:
    properties = item.get("properties", {})
    code = properties.get("proj:code") or properties.get("proj:epsg")
    bounds = properties.get("proj:bbox")
    if code and bounds and pyproj.CRS.from_user_input(code) == crs:
        return box(*bounds)
    transformer = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    geometry = shapely.segmentize(shape(item["geometry"]), 0.05)
    return shapely.transform(
        geometry, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )
