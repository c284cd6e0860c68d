"""Heights as whole numbers, so that no result depends on where a cell lies in an array.

Sums of floating-point numbers differ in their last bit with the order of addition, which libraries
choose by position and alignment. Sums of integers do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processes.detect.thresholds import TALLEST, UNITS

LOWEST = -100.0  # metres; what is lower is an undeclared nodata value


@dataclass(frozen=True)
class Heights:
    """One window of nDOM: arrays of shape (rows, cols)."""

    valid: NDArray[np.bool_]
    raw: NDArray[np.int32]
    """Centimetres above ground, not negative; 0 where there are no data."""
    smooth: NDArray[np.int32]
    """Smoothed, sixteenths of a centimetre."""


def quantise(ndom: NDArray[np.float32], kernel: int) -> Heights:
    """Turn metres (NaN: no data) into whole centimetres and smooth them.

    Args:
        ndom: Array of shape (rows, cols), metres.
        kernel: Order of the binomial kernel, even; 0 does not smooth.
    """
    valid = ndom > LOWEST  # False for NaN
    metres = np.where(valid, ndom, np.float32(0)).clip(0, TALLEST)
    raw = np.rint(metres * np.float32(100)).astype(np.int32)
    return Heights(valid, raw, _smooth(raw, kernel))


def _smooth(raw: NDArray[np.int32], order: int) -> NDArray[np.int32]:
    if order == 0:
        return raw * UNITS
    weights = np.array([comb(order, k) for k in range(order + 1)], dtype=np.float64)
    # The kernel sums to 2**(2 * order), a height needs 15 bits: exact in 24 or 53 bits.
    short = 2 * order + 15 <= 24
    source: NDArray[Any] = raw.astype(np.float32 if short else np.float64)
    depth = cv2.CV_32F if short else cv2.CV_64F
    total = cv2.sepFilter2D(source, depth, weights, weights, borderType=cv2.BORDER_CONSTANT)
    smooth: NDArray[np.int32] = np.floor(total * (UNITS / 4.0**order)).astype(np.int32)
    return smooth
