"""Raised planes: roofs, solar panels and sheds are flat, crowns are not.

A cell is part of a raised plane when some square window that holds it is fitted by a plane within
the roughness threshold. Sloping roofs count too; a ridge does not separate its two planes, because
each side has windows of its own.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from processes.detect.heights import Heights
from processes.detect.thresholds import Reach


def raised_planes(heights: Heights, reach: Reach) -> NDArray[np.bool_]:
    """Return where the surface is planar and raised, shape (rows, cols)."""
    limits = reach.thresholds
    # Crops are planes as well, and lower than what counts as a structure.
    low = round(min(limits.min_structure_height, limits.min_height / 2) * 100)
    high = heights.raw >= low
    side = 2 * reach.roof + 1
    square = np.ones((side, side), np.uint8)
    whole = cv2.erode(
        high.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0
    ).astype(bool)
    if not whole.any():
        return whole
    planar = whole & (_residual(heights.raw, reach.roof) <= (limits.roof_roughness * 100) ** 2)
    near = cv2.dilate(planar.astype(np.uint8), square)
    return near.astype(bool)


def _residual(raw: NDArray[np.int32], radius: int) -> NDArray[np.float64]:
    """Return the mean squared distance, in cm², of each square window to its best plane.

    With x and y counted from the window's middle, sums of x, y and xy vanish, so the residual is
    sum(z²) - sum(z)²/n - sum(xz)²/sum(x²) - sum(yz)²/sum(y²). All sums are integers below 2**53.
    """
    side = 2 * radius + 1
    ramp = np.arange(-radius, radius + 1, dtype=np.float64)
    ones = np.ones(side)
    values = raw.astype(np.float64)

    def total(
        source: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        sums = cv2.sepFilter2D(source, cv2.CV_64F, x, y, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(sums, dtype=np.float64)

    count, spread = side * side, side * float((ramp**2).sum())
    residual = total(values * values, ones, ones)
    residual -= total(values, ones, ones) ** 2 / count
    residual -= total(values, ramp, ones) ** 2 / spread
    residual -= total(values, ones, ramp) ** 2 / spread
    return residual / count
