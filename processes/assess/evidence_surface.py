"""What the surface model says of an object: trees, density, cover, heights, pattern, buildings.

Where the surface model has no data nothing is counted: the share that it covers stands beside
every figure, and without any there is no evidence, which is not the same as no trees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from processes.assess import pattern
from processes.assess.cells import mask_of
from processes.assess.clusters import Limits, in_wood
from processes.assess.evidence import Surface
from processes.assess.mosaic import Mosaic
from processes.assess.plots import plots_of, trees_in
from processes.assess.thresholds import Thresholds
from processes.grid import Bounds

MOST_CELLS = 36_000_000  # 3 km x 3 km at 0.5 m; of larger objects every n-th cell tells enough
LOW_GROWTH_FROM = 1.0  # metres; below is grass, crops and noise of the surface model


@dataclass(frozen=True)
class Crowns:
    """Crowns near an object as arrays of equal length, ordered by their tops."""

    ids: NDArray[Any]
    polygons: NDArray[Any]
    tops: NDArray[np.float64]
    heights: NDArray[np.float64]
    flatness: NDArray[np.float64]
    is_tree: NDArray[np.bool_]

    def take(self, chosen: NDArray[Any]) -> Crowns:
        """Return the chosen crowns (indexes or a mask)."""
        return Crowns(
            self.ids[chosen],
            self.polygons[chosen],
            self.tops[chosen],
            self.heights[chosen],
            self.flatness[chosen],
            self.is_tree[chosen],
        )


def surface_evidence(
    polygon: Any,
    crowns: Crowns,
    structures: NDArray[Any],
    others: Any,
    surface: Mosaic,
    limits: Thresholds,
) -> Surface | None:
    """Measure one object.

    Args:
        polygon: The object.
        crowns: Crowns around it; only those that are trees count.
        structures: Polygons of raised flat areas around it.
        others: Union of the other inventory objects near it.
        surface: Height above ground, metres.
        limits: Thresholds.

    Returns:
        None where the surface model has no data in the object.
    """
    share, low_growth = _cover_of_data(polygon, surface, limits)
    if share == 0:
        return None
    trees = crowns.take(crowns.is_tree)
    inside = shapely.contains_xy(polygon, trees.tops[:, 0], trees.tops[:, 1])
    tops, heights = trees.tops[inside], trees.heights[inside]
    # Only an object without trees asks whether they stand beside it.
    few = len(tops) <= limits.max_trees_rejected
    nearby, density = _nearby(polygon, trees, others, limits) if few else (0, 0.0)
    index = pattern.clark_evans(tops, polygon.area, polygon.length)
    return Surface(
        share=round(share, 4),
        trees=len(tops),
        trees_per_ha=round(len(tops) / polygon.area * 10_000, 2),
        cover=round(_share_of(polygon, trees.polygons), 4),
        height_p50=_round(np.percentile(heights, 50), 2) if len(heights) else None,
        height_p90=_round(np.percentile(heights, 90), 2) if len(heights) else None,
        spacing_m=_round(pattern.spacing(tops), 2),
        nn_cv=_round(pattern.neighbour_cv(tops), 3),
        clark_evans=_round(index, 3),
        grid_share=round(pattern.grid_share(tops), 3),
        row_width_m=_round(pattern.row_width(tops), 2),
        structure_share=round(_share_of(polygon, structures), 4),
        low_growth_share=round(low_growth, 4),
        trees_nearby=nearby,
        density_nearby=round(density, 2),
    )


def shape_of(polygon: Any) -> tuple[float, float]:
    """Return length over width, and width in metres, of the smallest rectangle around an object.

    Of an object in several parts the largest one counts: a rectangle around all of them would say
    how they lie to one another.
    """
    parts = shapely.get_parts(polygon)
    largest = parts[np.argmax(shapely.area(parts))]
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(largest))[:3]
    sides = sorted(math.dist(corners[i], corners[i + 1]) for i in (0, 1))
    return round(sides[1] / sides[0], 2) if sides[0] else math.inf, round(sides[0], 2)


def _cover_of_data(polygon: Any, surface: Mosaic, limits: Thresholds) -> tuple[float, float]:
    """Return the share of cells with data and, of these, the share of low growth."""
    if not surface:
        return 0.0, 0.0
    bounds = Bounds(*polygon.bounds)
    found = surface.read(bounds, [1], surface.step_for(bounds, MOST_CELLS))
    if found is None:
        return 0.0, 0.0
    (heights,), transform = found
    cells = heights[mask_of(polygon, transform, heights.shape)]
    known = cells[np.isfinite(cells)]
    if not len(known):
        return 0.0, 0.0
    low = (known >= LOW_GROWTH_FROM) & (known < limits.min_height)
    return len(known) / len(cells), float(low.mean())


def _nearby(polygon: Any, trees: Crowns, others: Any, limits: Thresholds) -> tuple[int, float]:
    """Count the trees of an orchard-like plot around an object, in no other one; its density.

    Hedges, rows and woods beside an object are no such plot.
    """
    ring = polygon.buffer(limits.nearby_distance).difference(polygon)
    if others is not None:
        ring = ring.difference(others)
    stand = Limits(limits.candidate_link, limits.max_density, limits.max_cover, limits.min_trees)
    wood = in_wood(trees.tops, shapely.area(trees.polygons), stand)
    tops = trees.tops[trees_in(ring, trees.tops) & ~wood]
    best = (0, 0.0)
    for plot in plots_of(tops, limits.candidate_link, limits.min_width):
        count = int(trees_in(plot, tops).sum())
        best = max(best, (count, count / plot.area * 10_000))
    return best


def _share_of(polygon: Any, parts: NDArray[Any]) -> float:
    touching = parts[shapely.intersects(parts, polygon)] if len(parts) else parts
    if not len(touching):
        return 0.0
    covered = shapely.union_all(touching).intersection(polygon)
    return float(min(covered.area / polygon.area, 1.0))


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)
