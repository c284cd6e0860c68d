"""How trees stand to one another: regular, random, in a row. Evidence for an orchard, never a veto.

Old orchards with gaps are only half regular, so none of these measures decides alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Points = NDArray[np.float64]


def neighbour_distances(points: Points) -> NDArray[np.float64]:
    """Return the distance of each of `points` (n, 2) to its nearest other one; empty for n < 2."""
    if len(points) < 2:
        return np.empty(0)
    distances, _ = cKDTree(points).query(points, k=2)
    return np.asarray(distances[:, 1], dtype=np.float64)


def clark_evans(points: Points, area: float, perimeter: float = 0.0) -> float | None:
    """Return the Clark-Evans index: 1 random, above regular (square grid 2.0), below clustered.

    Mean distance to the nearest neighbour over the one expected of as many random points. With
    `perimeter` the expectation holds Donnelly's correction for the edge of the plot, without
    which few trees on a small plot look too regular.

    Args:
        points: Shape (n, 2), metres.
        area: Of the plot, m2.
        perimeter: Of the plot, metres; 0 leaves the correction out.

    Returns:
        The index, or None with less than two points.

    Source: Clark and Evans 1954, Ecology 35; Donnelly 1978, Simulation methods in archaeology.
    """
    count = len(points)
    if count < 2 or area <= 0:
        return None
    expected = 0.5 * math.sqrt(area / count)
    if perimeter:
        expected += (0.0514 + 0.041 / math.sqrt(count)) * perimeter / count
    return float(neighbour_distances(points).mean() / expected)


def neighbour_cv(points: Points) -> float | None:
    """Return the coefficient of variation of the nearest neighbour distances: 0 for a grid."""
    distances = neighbour_distances(points)
    if len(distances) < 2:
        return None
    mean = float(distances.mean())
    return float(distances.std() / mean) if mean else None


def spacing(points: Points) -> float | None:
    """Return the median distance to the nearest neighbour, metres."""
    distances = neighbour_distances(points)
    return float(np.median(distances)) if len(distances) else None


def grid_share(points: Points, tolerance: float = 0.25, angle_tolerance: float = 12.0) -> float:
    """Return the share of trees that stand in a grid.

    A tree does when two of its neighbours, both about one spacing away, lie at a right angle or
    on one line with it. Gaps and irregular edges lower the share only there.

    Args:
        points: Shape (n, 2), metres.
        tolerance: Allowed deviation from the spacing, as a share of it.
        angle_tolerance: Allowed deviation from 90 or 180 degrees, degrees.
    """
    distance = spacing(points)
    if distance is None or len(points) < 3 or distance == 0:
        return 0.0
    reach = distance * (1 + tolerance)
    neighbours = cKDTree(points).query_ball_point(points, reach)
    found = 0
    for index, near in enumerate(neighbours):
        vectors = points[sorted(near)] - points[index]
        length = np.hypot(vectors[:, 0], vectors[:, 1])
        vectors, length = vectors[length > 0], length[length > 0]
        fits = length >= distance * (1 - tolerance)
        if fits.sum() >= 2 and _right_or_straight(vectors[fits], length[fits], angle_tolerance):
            found += 1
    return found / len(points)


def row_width(points: Points) -> float | None:
    """Return the width of the narrowest strip along the main direction that holds all points.

    A hedge or a row of trees gives a metre or two, two rows of an orchard their distance.
    None with fewer than five points, which may stand in line by chance.
    """
    if len(points) < 5:
        return None
    centred = points - points.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    across = centred @ vectors[:, 0]
    return float(across.max() - across.min())


def _right_or_straight(vectors: Points, length: NDArray[np.float64], tolerance: float) -> bool:
    unit = vectors / length[:, None]
    cosine = np.clip(unit @ unit.T, -1.0, 1.0)
    first, second = np.triu_indices(len(unit), 1)
    angles = np.degrees(np.arccos(cosine[first, second]))
    return bool((np.abs(angles - 90) <= tolerance).any() or (angles >= 180 - tolerance).any())
