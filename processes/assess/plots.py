"""The ground that a group of trees stands on, as polygons, without rows leading away."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

EDGE = 4.0  # metres of ground around the outermost trees
ONE_ROW = 2 * EDGE + 2.0  # metres; what is narrower holds one row of trees


def plots_of(tops: NDArray[np.float64], link: float, min_width: float) -> list[Any]:
    """Return the polygons around trees that stand at most `link` metres apart.

    Parts narrower than `min_width` metres or with one row of trees only, such as hedges, are left
    out; so an orchard that a hedge touches keeps its own shape.

    Args:
        tops: Shape (n, 2), metres.
        link: Largest distance of trees that belong together.
        min_width: Smallest width of a plot.
    """
    if len(tops) < 3:
        return []
    points: Any = shapely.multipoints(tops)
    # Four trees at the corners of a square with sides of one link: its middle is 0.71 links away.
    reach = 0.75 * link
    ground = points.buffer(reach, quad_segs=4).buffer(EDGE - reach, quad_segs=4)
    return wide_parts(ground, min_width)


def wide_parts(ground: Any, min_width: float) -> list[Any]:
    """Return the polygons of `ground` without what is narrower than `min_width` metres or a row."""
    narrow = max(min_width, ONE_ROW) / 2
    wide = ground.buffer(-narrow, quad_segs=4).buffer(narrow, quad_segs=4)
    parts = shapely.get_parts(shapely.set_precision(wide, 0.01))
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]


def trees_in(plot: Any, tops: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of the trees stand in a plot."""
    return np.asarray(shapely.contains_xy(plot, tops[:, 0], tops[:, 1]), dtype=bool)
