"""Groups of trees that stand as far apart as in an orchard, found without knowing any plots.

Density clustering (DBSCAN, Ester et al. 1996, KDD) with one change: trees that stand as densely
as in a wood are left out first, together with the trees at the edge of the wood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from processes.assess.squares import owned
from processes.assess.stems import Stems
from processes.grid import Bounds

Points = NDArray[np.float64]
RADIUS = 25.0  # metres around a tree in which its stand density is counted


@dataclass(frozen=True)
class Limits:
    """What an orchard-like stand is: metres, trees/ha, share of the ground, trees."""

    link: float
    max_density: float
    max_cover: float
    min_trees: int

    @property
    def margin(self) -> float:
        """Metres around a square that tell which of its trees stand at a wood.

        One link away a tree of that wood may stand, and `RADIUS` around it its neighbours.
        """
        return self.link + RADIUS


class Groups:
    """Groups of open-grown trees, found square by square; the squares do not change them.

    Two trees belong together when they are at most `link` apart, directly or over others. A group
    is given out as soon as no tree of a later square can belong to it; only groups at the edge of
    what was seen wait.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting, self._group = Stems.none(), np.empty(0, dtype=np.int64)

    def add(self, square: Bounds, stems: Stems) -> list[Stems]:
        """Return the groups that are complete now, each ordered by x, then y.

        Args:
            square: The next one in the order of `squares_over`.
            stems: All trees in it and within `Limits.margin` of it.
        """
        wood = in_wood(stems.tops, stems.areas, self._limits)
        new = stems.take(~wood & owned(square, stems.tops))
        trees = Stems.joined([self._waiting, new])
        labels = self._labels(trees, square)
        # Later squares lie east of this column, or in it and north of this square.
        link = self._limits.link
        x, y = trees.tops[:, 0] + link, trees.tops[:, 1] + link
        rim = (x >= square.right) | ((x >= square.left) & (y >= square.top))
        waits = np.isin(labels, labels[rim])
        self._waiting, self._group = trees.take(waits), labels[waits]
        return self._large(trees.take(~waits), labels[~waits])

    def rest(self) -> list[Stems]:
        """Return the groups that still wait, after the last square."""
        waiting, group = self._waiting, self._group
        self._waiting, self._group = Stems.none(), np.empty(0, dtype=np.int64)
        return self._large(waiting, group)

    def _labels(self, trees: Stems, square: Bounds) -> NDArray[np.int64]:
        """Return the number of each tree's group; `trees` are those that wait, then the new."""
        known, link = len(self._waiting), self._limits.link
        x, y = self._waiting.tops[:, 0], self._waiting.tops[:, 1]
        near = (x >= square.left - link) & (x <= square.right + link)
        near &= (y >= square.bottom - link) & (y <= square.top + link)
        chosen = np.concatenate([np.flatnonzero(near), np.arange(known, len(trees))])
        if not len(chosen):
            return self._group
        pairs = chosen[cKDTree(trees.tops[chosen]).query_pairs(link, output_type="ndarray")]
        # What was linked before stays linked: each tree of a group that waits, to its first one.
        _, first, group = np.unique(self._group, return_index=True, return_inverse=True)
        rows = np.concatenate([pairs[:, 0], np.arange(known)])
        cols = np.concatenate([pairs[:, 1], first[group]])
        shape = (len(trees), len(trees))
        graph = coo_matrix((np.ones(len(rows), dtype=bool), (rows, cols)), shape)
        return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)

    def _large(self, trees: Stems, labels: NDArray[np.int64]) -> list[Stems]:
        """Return the groups with enough trees, ordered by their first tree."""
        if not len(trees):
            return []
        order = np.lexsort((trees.tops[:, 1], trees.tops[:, 0], labels))
        starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
        groups = [
            trees.take(members)
            for members in np.split(order, starts[1:])
            if len(members) >= self._limits.min_trees
        ]
        return sorted(groups, key=lambda group: tuple(group.tops[0]))


def in_wood(tops: Points, crown_areas: NDArray[np.float64], limits: Limits) -> NDArray[np.bool_]:
    """Tell which trees stand in a wood or within one link of one that does."""
    if not len(tops):
        return np.zeros(0, dtype=bool)
    tree = cKDTree(tops)
    plot = np.pi * RADIUS**2
    count = tree.query_ball_point(tops, RADIUS, return_length=True)
    # Mean crown of a coarse cell stands for the neighbours' crowns: cheap, and good enough to
    # tell a closed canopy.
    cover = count * _mean_near(tops, crown_areas) / plot
    # One orchard in a square grid seen from a tree at its edge has half this density.
    wood = (count / plot * 10_000 > 1.5 * limits.max_density) | (cover > limits.max_cover)
    if not wood.any():
        return np.asarray(wood)
    distance, _ = cKDTree(tops[wood]).query(tops, distance_upper_bound=limits.link)
    return np.asarray(wood | (distance <= limits.link))


def _mean_near(tops: Points, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of `values` in each tree's cell of a fixed grid of `RADIUS`."""
    cells = np.floor(tops / RADIUS).astype(np.int64)
    _, index = np.unique(cells, axis=0, return_inverse=True)
    index = np.ravel(index)
    total = np.bincount(index, values)
    mean: NDArray[np.float64] = (total / np.bincount(index))[index]
    return mean
