"""Collecting the evidence of each object from all batches and judging it.

Objects are taken in squares of a fixed grid: one read of crowns serves many objects, memory does
not grow with the area, and the result does not depend on how the area was cut into batches.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from processes.assess import evidence_image as images
from processes.assess.evidence import Evidence, Source
from processes.assess.evidence_sentinel2 import sentinel2_evidence
from processes.assess.evidence_surface import Crowns, shape_of, surface_evidence
from processes.assess.gathered import Gathered
from processes.assess.inventory import inventory_date
from processes.assess.provenance import Provenance
from processes.assess.registration import Registration
from processes.assess.rules import Decision, decide
from processes.assess.seen import Seen
from processes.assess.squares import squares_of
from processes.assess.thresholds import Thresholds
from processes.grid import Bounds

MARGIN = 45.0  # metres beyond the trees beside an object: what tells them from a wood


@dataclass(frozen=True)
class Judged:
    """One object with all that the verdict rests on."""

    index: int
    evidence: Evidence
    decision: Decision
    sources: dict[str, Source]


class Assessor:
    """Judges the objects of one run."""

    def __init__(
        self,
        objects: Any,
        gathered: Gathered,
        provenance: Provenance,
        limits: Thresholds,
        end: dt.date,
        default_date: dt.date | None,
        seen: Seen,
    ) -> None:
        self.objects = objects
        self.polygons = np.asarray(objects.geometry.array)
        self.gathered, self.provenance, self.limits = gathered, provenance, limits
        self.end, self.default_date, self.seen = end, default_date, seen
        self.index = shapely.STRtree(self.polygons)
        self.points = np.asarray(shapely.point_on_surface(self.polygons))
        places = {
            object_id: (point.x, point.y)
            for object_id, point in zip(objects["object_id"], self.points, strict=True)
        }
        self.registration = Registration(gathered.prepared.values(), places)

    def judge(self) -> Iterator[list[Judged]]:
        """Judge all objects, square by square."""
        reach = self.limits.nearby_distance + MARGIN
        for members in self._by_square():
            left, bottom, right, top = shapely.total_bounds(self.polygons[members])
            window = Bounds(left, bottom, right, top).grow(reach)
            crowns = self._crowns(window)
            self.seen.load(crowns.tops)
            tree = shapely.STRtree(crowns.polygons)
            structures = np.asarray(self.gathered.read_structures(window).geometry.array)
            judged = []
            for member in members:
                near = self.polygons[member].buffer(reach).bounds
                around = np.sort(tree.query(shapely.box(*near)))
                judged.append(self._judge(member, crowns.take(around), structures))
            yield judged

    def _by_square(self) -> list[list[int]]:
        """Return the indexes of the objects by the square that holds their inner point."""
        points = np.column_stack([shapely.get_x(self.points), shapely.get_y(self.points)])
        groups: dict[tuple[int, int], list[int]] = {}
        for index, (column, row) in enumerate(squares_of(points).tolist()):
            groups.setdefault((column, row), []).append(index)
        return [groups[key] for key in sorted(groups)]

    def _judge(self, member: int, crowns: Crowns, structures: NDArray[Any]) -> Judged:
        polygon, limits = self.polygons[member], self.limits
        sources = self.provenance.of(polygon)
        home = self.points[member]
        shift = self.registration.shift(home.x, home.y, limits.max_shift)
        months = sources.get("image", Source("image")).months
        seen = shapely.dwithin(crowns.polygons, polygon, images.MARGIN)
        moved: NDArray[Any] = shapely.transform(
            crowns.polygons[seen], lambda xy: xy - np.asarray(shift)
        )
        view = images.view_of(polygon, moved, self.gathered.image)
        ndvi = np.full(len(crowns.ids), np.nan)
        ndvi[seen] = images.crown_ndvi(view, len(moved))
        crowns = self._trees_only(crowns, ndvi, images.leaf_on(months, limits))
        surface = surface_evidence(
            polygon, crowns, structures, self._others(member), self.gathered.surface, limits
        )
        row = self.objects.iloc[member]
        elongation, width = shape_of(polygon)
        trees = row.get("inventory_trees")
        code = row.get("code")
        evidence = Evidence(
            area_m2=round(polygon.area, 2),
            elongation=elongation,
            width_m=width,
            period_end=self.end,
            inventory_date=inventory_date(row.get("inventory_date"), self.default_date),
            inventory_trees=None if trees is None or pd.isna(trees) else int(trees),
            code=None if code is None or pd.isna(code) else str(code),
            surface=surface,
            image=images.image_evidence(polygon, view, months, limits),
            sentinel2=sentinel2_evidence(polygon, self.gathered.sentinel2, limits.min_pixels),
            sources=sources,
            shift_m=round(math.hypot(*shift), 2) if view is not None and any(shift) else None,
        )
        return Judged(member, evidence, decide(evidence, limits), sources)

    def _crowns(self, window: Bounds) -> Crowns:
        frame = self.gathered.read_crowns(window)
        return Crowns(
            ids=frame["tree_id"].to_numpy(),
            polygons=np.asarray(frame.geometry.array),
            tops=frame[["top_x", "top_y"]].to_numpy(dtype=np.float64),
            heights=frame["height_m"].to_numpy(dtype=np.float64),
            flatness=frame["flatness"].to_numpy(dtype=np.float64),
            is_tree=np.ones(len(frame), dtype=bool),
        )

    def _trees_only(self, crowns: Crowns, ndvi: NDArray[np.float64], leaves: bool | None) -> Crowns:
        """Return the crowns with `is_tree` set, and keep what was found for the layer of trees."""
        limits = self.limits
        known = np.isfinite(ndvi)
        green = (ndvi[known] >= limits.min_crown_ndvi) | (leaves is not True)
        self.seen.add(crowns.ids[known], crowns.tops[known], ndvi[known], green)
        is_tree = self.seen.is_tree(crowns.ids, crowns.flatness, limits.max_flatness)
        return Crowns(
            crowns.ids, crowns.polygons, crowns.tops, crowns.heights, crowns.flatness, is_tree
        )

    def _others(self, member: int) -> Any:
        reach = self.polygons[member].buffer(self.limits.nearby_distance)
        near = [index for index in np.sort(self.index.query(reach)) if index != member]
        return shapely.union_all(self.polygons[near]) if near else None
