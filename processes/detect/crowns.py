"""Crowns: the cells that belong to each tree top, and what describes them.

Cells climb to their highest neighbour until they reach a local maximum, which belongs to a top: a
watershed by rainfalling, in which each cell's answer depends on a bounded neighbourhood only.
Limits of height and distance follow Silva et al. 2016 (Canadian Journal of Remote Sensing 42(5)).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from processes.detect import outlines
from processes.detect.heights import Heights
from processes.detect.thresholds import Reach
from processes.detect.tops import NEIGHBOURS, Peaks, find_peaks, highest_neighbours

NEAR_NODATA = 0.5  # a crown that touches missing data is seen only in part


@dataclass(frozen=True)
class Crowns:
    """Crowns of one window, in the order of their tops; one entry each."""

    row: NDArray[np.int64]
    col: NDArray[np.int64]
    height: NDArray[np.int32]
    """Centimetres."""
    cells: NDArray[np.int64]
    """Enclosed area in cells."""
    flatness: NDArray[np.float64]
    score: NDArray[np.float64]
    rings: outlines.Rings


@dataclass(frozen=True)
class Structures:
    """Raised planes of one window; one entry per part and block."""

    row: NDArray[np.int64]
    col: NDArray[np.int64]
    """First cell of the part, in the order of the array."""
    height: NDArray[np.float64]
    """Mean height, centimetres."""
    cells: NDArray[np.int64]
    flatness: NDArray[np.float64]
    rings: outlines.Rings


def find_crowns(
    heights: Heights, planar: NDArray[np.bool_], inside: NDArray[np.bool_], reach: Reach
) -> Crowns:
    """Find the crowns whose tops lie where `inside` is true.

    Args:
        heights: The window, with `Reach.buffer` metres around what is inside.
        planar: Where the surface is a raised plane.
        inside: Cells whose tops are wanted.
        reach: Thresholds on this grid.
    """
    steps = highest_neighbours(heights.smooth)
    peaks = find_peaks(heights, steps, reach)
    labels = _within_limits(_climb(heights, steps, peaks, reach), heights, peaks, reach)
    _, parts = outlines.connected_parts(labels)
    own = parts.ravel()[peaks.tops]
    wanted = np.flatnonzero(inside.ravel()[peaks.tops] & (own > 0))
    sizes = np.bincount(parts.ravel())[own[wanted]]
    smallest = np.pi / 4 * (reach.thresholds.min_crown_diameter / reach.cell) ** 2
    wanted, sizes = wanted[sizes >= smallest], sizes[sizes >= smallest]
    flat = _counts(parts, planar)[own[wanted]] / sizes
    uneven = flat <= reach.thresholds.max_flatness
    return _describe(heights, peaks, parts, wanted[uneven], flat[uneven])


def find_structures(
    heights: Heights, planar: NDArray[np.bool_], blocks: NDArray[np.int32], reach: Reach
) -> Structures:
    """Find the raised planes, cut along the borders of `blocks` (numbers from 1)."""
    low = round(reach.thresholds.min_structure_height * 100)
    raised = planar & (heights.raw >= low)
    count, parts = outlines.connected_parts(np.where(raised, blocks, np.int32(0)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    smallest = reach.thresholds.min_structure_area / reach.cell**2
    wanted = np.flatnonzero(sizes >= smallest)
    firsts = outlines.first_cells(parts, count)[wanted]
    rings = outlines.trace(parts, firsts)
    inside = parts.ravel() > 0
    total = np.bincount(
        parts.ravel()[inside],
        weights=heights.raw.ravel()[inside].astype(np.float64),
        minlength=count + 1,
    )
    cells = outlines.areas(rings)
    row, col = np.divmod(firsts, parts.shape[1])
    size = sizes[wanted]
    return Structures(row, col, total[1:][wanted] / size, cells, size / cells, rings)


def _climb(
    heights: Heights, steps: NDArray[np.int8], peaks: Peaks, reach: Reach
) -> NDArray[np.int32]:
    """Return for each cell the number of its top plus 1, or 0, shape (rows, cols).

    A cell takes at most as many steps as a crown's radius has cells.
    """
    # No step leads down, so the cells above a height can be treated alone.
    active = np.flatnonzero(heights.smooth >= reach.lowest)
    place = np.zeros(steps.size, dtype=np.int32)
    place[active] = np.arange(len(active), dtype=np.int32)
    offsets = np.array([row * steps.shape[1] + col for row, col in NEIGHBOURS])
    end = _repeat(place[active + offsets[steps.ravel()[active]]], reach.crown)
    top = np.zeros(len(active), dtype=np.int32)
    top[place[peaks.cells]] = peaks.top + 1
    labels = np.zeros(steps.size, dtype=np.int32)
    labels[active] = top[end]  # 0 where the way ends before it reaches a local maximum
    return labels.reshape(steps.shape)


def _repeat(step: NDArray[np.int32], times: int) -> NDArray[np.int32]:
    """Return where `times` steps lead from each place; squaring the step saves most of them."""
    end = np.arange(len(step), dtype=np.int32)
    while times:
        if times & 1:
            end = step[end]
        times >>= 1
        if times:
            step = step[step]
    return end


def _within_limits(
    labels: NDArray[np.int32], heights: Heights, peaks: Peaks, reach: Reach
) -> NDArray[np.int32]:
    """Drop cells that are too low for their top, too far from it, or without data."""
    cells = np.flatnonzero(labels)
    top = labels.ravel()[cells] - 1
    cols = labels.shape[1]
    row, col = np.divmod(cells, cols)
    top_row, top_col = np.divmod(peaks.tops, cols)
    lowest = peaks.heights * reach.thresholds.exclusion
    keep = heights.raw.ravel()[cells] >= lowest[top]
    keep &= (row - top_row[top]) ** 2 + (col - top_col[top]) ** 2 <= reach.crown**2
    keep &= heights.valid.ravel()[cells]
    labels.ravel()[cells[~keep]] = 0
    return labels


def _describe(
    heights: Heights,
    peaks: Peaks,
    parts: NDArray[np.int32],
    wanted: NDArray[np.int64],
    flat: NDArray[np.float64],
) -> Crowns:
    """Outline and rate the crowns of the tops `wanted`.

    The score multiplies what speaks for one whole tree: not planar, not cut by missing data, and
    round (radius of the circle of equal area, divided by the longest radius).
    """
    tops = peaks.tops[wanted]
    own = parts.ravel()[tops]
    firsts = outlines.first_cells(parts, int(parts.max(initial=0)))[own - 1]
    rings = outlines.trace(parts, firsts)
    cells = outlines.areas(rings)
    nodata = cv2.dilate((~heights.valid).astype(np.uint8), np.ones((3, 3), np.uint8))
    whole = np.where(_counts(parts, nodata > 0)[own] > 0, NEAR_NODATA, 1.0)
    longest = outlines.longest_radii(rings)
    roundness = np.minimum(np.sqrt(cells / np.pi) / longest, 1.0) if len(cells) else longest
    row, col = np.divmod(tops, parts.shape[1])
    score = (1 - flat) * whole * roundness
    return Crowns(row, col, peaks.heights[wanted], cells, flat, score, rings)


def _counts(parts: NDArray[np.int32], where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each part, from 0, how many of its cells lie in `where`."""
    return np.bincount(parts[where], minlength=int(parts.max(initial=0)) + 1)
