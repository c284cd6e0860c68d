"""Tree tops: local maxima in a window that grows with height.

Heights are compared by a total order, so that flat places have one highest cell: higher first, then
further north, then further west.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from processes.detect.heights import Heights
from processes.detect.thresholds import UNITS, Reach

Cells = NDArray[np.int64]
"""Flat indexes of cells in a padded array."""
# Neighbours in the order of the array: of equally high ones the first is the highest.
NEIGHBOURS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (1, 1)]
SELF = 4


@dataclass(frozen=True)
class Peaks:
    """Local maxima and the tops that they belong to; cells as flat indexes of the window."""

    cells: NDArray[np.int64]
    """All cells higher than their eight neighbours, and high enough for a crown."""
    top: NDArray[np.int64]
    """For each of `cells` the number of its top, -1 without one."""
    tops: NDArray[np.int64]
    """Cells of the tops, in the order of the array."""
    heights: NDArray[np.int32]
    """Highest raw height at each top or beside it, centimetres."""


def find_peaks(heights: Heights, steps: NDArray[np.int8], reach: Reach) -> Peaks:
    """Find tree tops and assign every other local maximum to the nearest higher top.

    Args:
        heights: The window.
        steps: Index into `NEIGHBOURS` of each cell's highest neighbour (`highest_neighbours`).
        reach: Thresholds on this grid.
    """
    limits = reach.thresholds
    highest = cv2.dilate(heights.raw.astype(np.float32), np.ones((3, 3), np.uint8))
    tall = highest >= np.float32(round(limits.min_height * 100))
    everywhere = np.flatnonzero((steps == SELF) & (heights.smooth >= reach.lowest))
    order = np.pad(
        heights.smooth, max(reach.crown, reach.window, math.isqrt(max(reach.merge, reach.saddle)))
    )
    cells = _padded(everywhere, steps.shape, order.shape)

    metres = order.ravel()[cells] / (100.0 * UNITS)
    windows = reach.windows(metres)
    alone = tall.ravel()[everywhere]
    alone[alone] = ~_beaten(order, cells[alone], windows[alone])
    standing = np.zeros(order.size, dtype=bool)
    standing[cells[alone]] = True
    alone[alone] = ~_part_of_higher(order, standing, cells[alone], reach)

    number = np.full(order.size, -1, dtype=np.int32)
    number[cells[alone]] = np.arange(np.count_nonzero(alone))
    top = np.where(alone, number[cells], -1).astype(np.int64)
    top[~alone] = _nearest(order, number, cells[~alone], reach.crown)
    tops = everywhere[alone]
    return Peaks(everywhere, top, tops, highest.ravel()[tops].astype(np.int32))


def highest_neighbours(smooth: NDArray[np.int32]) -> NDArray[np.int8]:
    """Return for each cell the index into `NEIGHBOURS` of the highest cell of its 3 x 3 window."""
    rows, cols = smooth.shape
    codes = np.pad(smooth, 1, constant_values=-1) << 4
    best = np.full(smooth.shape, np.iinfo(np.int32).min, dtype=np.int32)
    shifted = np.empty_like(best)
    for index, (row, col) in enumerate(NEIGHBOURS):
        part = codes[1 + row : 1 + row + rows, 1 + col : 1 + col + cols]
        np.bitwise_or(part, len(NEIGHBOURS) - 1 - index, out=shifted)
        np.maximum(best, shifted, out=best)
    return (len(NEIGHBOURS) - 1 - (best & 15)).astype(np.int8)


def _beaten(order: NDArray[np.int32], cells: Cells, limits: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which cells have a higher one within their squared distance."""
    beaten = np.zeros(len(cells), dtype=bool)
    if not len(cells):
        return beaten
    flat = order.ravel()
    alive = np.arange(len(cells))
    for square, offset in _offsets(int(limits.max()), order.shape[1]):
        alive = alive[limits[alive] >= square]
        if not len(alive):
            break
        higher = _higher(flat, cells[alive] + offset, cells[alive], offset)
        beaten[alive[higher]] = True
        alive = alive[~higher]
    return beaten


def _part_of_higher(
    order: NDArray[np.int32], standing: NDArray[np.bool_], cells: Cells, reach: Reach
) -> NDArray[np.bool_]:
    """Tell which tops belong to a higher one: near it, or without a saddle on the way to it.

    All tops in `standing` count, also those that belong to another one themselves: what becomes of
    a top must not depend on a chain of others.
    """
    part = np.zeros(len(cells), dtype=bool)
    flat, stride = order.ravel(), order.shape[1]
    share = 1 - reach.thresholds.saddle_depth
    for square, row, col in _disc(max(reach.merge, reach.saddle)):
        offset = row * stride + col
        near = np.flatnonzero(standing[cells + offset])
        near = near[_higher(flat, cells[near] + offset, cells[near], offset)]
        if square > reach.merge and len(near):
            way = cells[near, None] + np.array(_way(row, col, stride), dtype=np.int64)
            near = near[flat[way].min(axis=1) >= flat[cells[near]] * share]
        part[near] = True
    return part


def _nearest(
    order: NDArray[np.int32], number: NDArray[np.int32], cells: Cells, radius: int
) -> NDArray[np.int64]:
    """Return the number of the nearest higher top within `radius` cells of each cell, or -1."""
    found = np.full(len(cells), -1, dtype=np.int64)
    flat = order.ravel()
    # Far from all tops, as in a field of crops, there is nothing to look for.
    square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    near = cv2.dilate((number >= 0).astype(np.uint8).reshape(order.shape), square)
    open_ = np.flatnonzero(near.ravel()[cells])
    for _, offset in _offsets(radius * radius, order.shape[1]):
        if not len(open_):
            break
        other = cells[open_] + offset
        here = number[other]
        hit = here >= 0
        hit[hit] = _higher(flat, other[hit], cells[open_[hit]], offset)
        found[open_[hit]] = here[hit]
        open_ = open_[~hit]
    return found


def _higher(flat: NDArray[np.int32], other: Cells, cells: Cells, offset: int) -> NDArray[np.bool_]:
    if offset < 0:
        return flat[other] >= flat[cells]
    return flat[other] > flat[cells]


def _offsets(square: int, stride: int) -> list[tuple[int, int]]:
    """Return squared distances and flat offsets of the cells of a disc, nearest first."""
    return [(distance, row * stride + col) for distance, row, col in _disc(square)]


def _disc(square: int) -> list[tuple[int, int, int]]:
    """Return (squared distance, row, col) of the cells within a distance, without (0, 0)."""
    radius = math.isqrt(square)
    disc = [
        (row * row + col * col, row, col)
        for row in range(-radius, radius + 1)
        for col in range(-radius, radius + 1)
        if 0 < row * row + col * col <= square
    ]
    return sorted(disc)


def _way(row: int, col: int, stride: int) -> list[int]:
    """Return the flat offsets of the cells on the straight line to (row, col), without its ends."""
    count = max(abs(row), abs(col))
    steps = range(1, count)
    return [
        (2 * k * row + count) // (2 * count) * stride + (2 * k * col + count) // (2 * count)
        for k in steps
    ]


def _padded(cells: Cells, shape: tuple[int, ...], padded: tuple[int, ...]) -> Cells:
    row, col = np.divmod(cells, shape[1])
    margin = (padded[1] - shape[1]) // 2
    return (row + margin) * padded[1] + col + margin
