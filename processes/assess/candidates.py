"""Possible orchards that the inventory lacks: orchard-like groups of trees on green ground.

From the surface model and Sentinel-2 alone, because orthophotos are read only where inventory
objects lie. A candidate is a place to look at, not a verdict.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from processes.assess import pattern
from processes.assess.clusters import Groups, Limits
from processes.assess.evidence import Evidence, Sentinel2, Surface
from processes.assess.evidence_sentinel2 import sentinel2_evidence
from processes.assess.evidence_surface import shape_of
from processes.assess.gathered import Gathered
from processes.assess.objects import Assessor
from processes.assess.plots import EDGE, plots_of, trees_in, wide_parts
from processes.assess.stems import Stems
from processes.assess.thresholds import Thresholds
from processes.assess.votes import cast
from processes.grid import Bounds

HOUSE_AREA = 60.0  # m2; smaller raised flat areas are sheds, bales or flat crowns
GAP = 5.0  # metres kept from inventory objects, whose edge is drawn only so well


@dataclass(frozen=True)
class Candidate:
    """One possible orchard."""

    candidate_id: str
    trees: int
    trees_per_ha: float
    area_m2: float
    cover: float
    ndvi_p50: float | None
    score: float
    reasons: tuple[str, ...]
    polygon: Any


class CandidateSearch:
    """The search for candidates whose centre lies in `area`, fed with trees square by square."""

    def __init__(self, assessor: Assessor, area: Any) -> None:
        self._assessor, self._area = assessor, area
        limits = assessor.limits
        stand = Limits(
            limits.candidate_link, limits.max_density, limits.max_cover, limits.min_trees
        )
        self.margin = stand.margin
        self._groups = Groups(stand)

    def add(self, square: Bounds, stems: Stems) -> list[Candidate]:
        """Return the candidates that no further square can change.

        Args:
            square: The next one in the order of `squares_over`.
            stems: All trees in it and within `margin` of it.
        """
        return self._candidates(self._groups.add(square, stems))

    def rest(self) -> list[Candidate]:
        """Return those that are left after the last square."""
        return self._candidates(self._groups.rest())

    def _candidates(self, groups: list[Stems]) -> list[Candidate]:
        limits, gathered = self._assessor.limits, self._assessor.gathered
        found = []
        for group in groups:
            usable = ~group.in_object & (group.heights <= limits.candidate_max_height)
            trees = group.take(usable)
            if len(trees) < limits.min_trees:
                continue
            for plot in _plots(trees.tops, self._assessor):
                inside = trees.take(trees_in(plot, trees.tops))
                if len(inside) < limits.min_trees:
                    continue
                if np.percentile(inside.heights, 90) < limits.plantation_height:
                    continue  # a plantation or nursery
                candidate = _judge(plot, inside.tops, inside.areas, gathered, limits)
                if candidate is not None and _home(plot, self._area):
                    found.append(candidate)
        return found


def _plots(tops: NDArray[np.float64], assessor: Assessor) -> list[Any]:
    """Return the ground of a group of trees without inventory objects and gardens, in parts."""
    limits = assessor.limits
    parts: list[Any] = []
    for plot in plots_of(tops, limits.candidate_link, limits.min_width):
        houses = _houses(plot.buffer(limits.candidate_house_distance), assessor.gathered)
        gardens: Any = shapely.union_all(houses).buffer(limits.candidate_house_distance)
        near = np.sort(assessor.index.query(plot.buffer(GAP)))
        objects: Any = shapely.union_all(assessor.polygons[near])
        taken = shapely.union_all([gardens, objects.buffer(GAP, quad_segs=4)])
        parts += wide_parts(plot.difference(taken), limits.min_width)
    return [part for part in parts if part.area >= limits.candidate_min_area]


def _houses(ground: Any, gathered: Gathered) -> NDArray[Any]:
    structures = gathered.read_structures(Bounds(*ground.bounds)).geometry.array
    polygons = np.asarray(structures)
    return polygons[shapely.area(polygons) >= HOUSE_AREA] if len(polygons) else polygons


def _judge(
    plot: Any,
    tops: NDArray[np.float64],
    crown_areas: NDArray[np.float64],
    gathered: Gathered,
    limits: Thresholds,
) -> Candidate | None:
    """Return the candidate, or None where something speaks against an orchard."""
    density = len(tops) / plot.area * 10_000
    cover = min(float(crown_areas.sum()) / plot.area, 1.0)
    elongation, width = shape_of(plot)
    row = pattern.row_width(tops) or 0.0
    if (
        not limits.min_density <= density <= limits.max_density
        or not limits.min_cover <= cover <= limits.max_cover
        or elongation > limits.max_elongation
        or min(width, row + 2 * EDGE) < limits.min_width
    ):
        return None
    metrics = sentinel2_evidence(plot, gathered.sentinel2, limits.min_pixels)
    grassland, reasons = _ground(plot, len(tops), density, cover, metrics, limits)
    if grassland is False:
        return None
    index = pattern.clark_evans(tops, plot.area, plot.length) or 0.0
    centre = plot.centroid
    return Candidate(
        candidate_id=f"c{round(centre.x)}_{round(centre.y)}",
        trees=len(tops),
        trees_per_ha=round(density, 2),
        area_m2=round(plot.area, 2),
        cover=round(cover, 4),
        ndvi_p50=metrics.ndvi_p50 if metrics else None,
        score=_score(len(tops), index, pattern.grid_share(tops), grassland, limits),
        reasons=reasons,
        polygon=plot,
    )


def _ground(
    plot: Any,
    trees: int,
    density: float,
    cover: float,
    metrics: Sentinel2 | None,
    limits: Thresholds,
) -> tuple[bool | None, tuple[str, ...]]:
    """Return Sentinel-2's grassland signal and the candidate's reasons."""
    surface = Surface(share=1.0, trees=trees, trees_per_ha=density, cover=cover)
    evidence = Evidence(
        area_m2=plot.area, elongation=1.0, width_m=limits.min_width, period_end=dt.date.max,
        surface=surface, sentinel2=metrics,
    )  # fmt: skip
    grassland = cast(evidence, limits).grassland_sentinel2
    if grassland:
        return grassland, ("trees-enough", "grassland-from-sentinel2")
    return grassland, ("trees-enough", "sentinel2-weak" if metrics else "sentinel2-missing")


def _score(
    trees: int, index: float, grid: float, grassland: bool | None, limits: Thresholds
) -> float:
    """Return 0 to 1: the mean of number of trees, regularity and grassland (unknown: 0.5)."""
    number = min(trees / (2 * limits.min_trees), 1.0)
    regular = min(max(index - 0.6, 0.0) / 0.8, 1.0)
    ground = 0.5 if grassland is None else 1.0
    return round((number + max(regular, grid) + ground) / 3, 3)


def _home(polygon: Any, area: Any) -> bool:
    home = polygon.representative_point()
    return bool(shapely.contains_xy(area, home.x, home.y))
