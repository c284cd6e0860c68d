"""The squares of a fixed grid in which the stage works: memory follows a square, not the area.

The grid begins at the origin of the CRS, so no result depends on how the area was cut into batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from processes.grid import Bounds

SIDE = 2000.0  # metres


def squares_over(extent: Bounds | None) -> Iterator[Bounds]:
    """Give the squares that meet `extent`, from west to east, in each column from south to north.

    What is found in one square and may go on in another counts on this order.
    """
    if extent is None:
        return
    for column in range(math.floor(extent.left / SIDE), math.floor(extent.right / SIDE) + 1):
        for row in range(math.floor(extent.bottom / SIDE), math.floor(extent.top / SIDE) + 1):
            yield Bounds(column * SIDE, row * SIDE, (column + 1) * SIDE, (row + 1) * SIDE)


def squares_of(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return column and row, shape (n, 2), of the squares that own the points (n, 2)."""
    return np.floor(points / SIDE).astype(np.int64)


def owned(square: Bounds, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of the points (n, 2) a square owns: those on its left and bottom edge, too."""
    x, y = points[:, 0], points[:, 1]
    inside = (x >= square.left) & (x < square.right) & (y >= square.bottom) & (y < square.top)
    return np.asarray(inside)
