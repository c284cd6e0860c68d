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

Points = NDArray[np.float64]
RADIUS = 25.0  # metres around a tree in which its stand density is counted


@dataclass(frozen=True)
class Limits:
    """What an orchard-like stand is: metres, trees/ha, share of the ground, trees."""

    link: float
    max_density: float
    max_cover: float
    min_trees: int


def clusters_of(tops: Points, crown_areas: NDArray[np.float64], limits: Limits) -> list[NDArray]:  # type: ignore[type-arg]
    """Return the indexes of the trees of each group, groups ordered by their first tree.

    Two trees belong together when they are at most `link` apart, directly or over others; so the
    groups do not depend on the order of the trees.

    Args:
        tops: Shape (n, 2), metres, ordered by x, then y.
        crown_areas: m2, length n.
        limits: What an orchard-like stand is.
    """
    open_grown = np.flatnonzero(~in_wood(tops, crown_areas, limits))
    if len(open_grown) < limits.min_trees:
        return []
    points = tops[open_grown]
    pairs = cKDTree(points).query_pairs(limits.link, output_type="ndarray")
    size = len(points)
    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (size, size))
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    groups = np.split(open_grown[order], starts[1:])
    return sorted((g for g in groups if len(g) >= limits.min_trees), key=lambda g: int(g[0]))


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
