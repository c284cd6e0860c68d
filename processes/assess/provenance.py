"""Which flight or satellite pass an object's evidence comes from, and of what date.

Rules about age and independence rest on this, so it is taken from the items per object, not per
batch.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
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


class Provenance:
    """The footprints of the items of each group, to be asked by place."""

    def __init__(self, items: Iterable[dict[str, Any]], crs: Any, dates_used: set[str] | None):
        rows: dict[str, list[tuple[Any, str | None, dt.date | None]]] = {g: [] for g in GROUPS}
        for item in items:
            properties = item.get("properties", {})
            acquisition = properties.get("cdi:acquisition") or {}
            group = acquisition.get("group") or GROUP_OF_PRODUCT.get(properties.get("cdi:product"))
            taken = _date_of(acquisition, properties)
            if group not in rows or _unused(group, taken, dates_used):
                continue
            rows[group].append((_footprint(item, crs), acquisition.get("campaign"), taken))
        self._rows = rows
        self._trees = {group: shapely.STRtree([r[0] for r in rows[group]]) for group in GROUPS}

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


def _source(group: str, rows: list[tuple[Any, str | None, dt.date | None]]) -> Source:
    campaigns = [campaign for _, campaign, _ in rows]
    dates = [taken for _, _, taken in rows if taken is not None]
    # One item of unknown campaign or date makes the whole unknown: it may be the deciding one.
    known = frozenset(name for name in campaigns if name) if all(campaigns) else frozenset()
    oldest = min(dates) if len(dates) == len(rows) else None
    shown = max(dates, default=None) if group == "sentinel2" else oldest
    return Source(group=group, campaigns=known, date=shown, since=oldest)


def _date_of(acquisition: dict[str, Any], properties: dict[str, Any]) -> dt.date | None:
    text = acquisition.get("date") or properties.get("datetime") or properties.get("start_datetime")
    if not text:
        return None
    try:
        return dt.date.fromisoformat(str(text)[:10])
    except ValueError as error:
        raise InputDataError("item has no valid date", f"{text!r}: {error}") from error


def _unused(group: str, taken: dt.date | None, dates_used: set[str] | None) -> bool:
    if group != "sentinel2" or dates_used is None or taken is None:
        return False
    return taken.isoformat() not in dates_used


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
