"""One batch from nDOM tiles to crowns, block by block, so that memory does not grow with the batch.

Results do not depend on the blocks: each owns the tops in it and reads what they depend on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processes.detect import crowns, outlines
from processes.detect.heights import quantise
from processes.detect.planes import raised_planes
from processes.detect.thresholds import BLOCK, Reach
from processes.grid import Bounds

BLOCK_CELLS = 2048
Read = Callable[[Bounds], tuple[NDArray[np.float32], Any]]
"""Reads nDOM within bounds: array of shape (rows, cols), NaN without data, and its transform."""


@dataclass(frozen=True)
class Found:
    """Crowns or structures of a block: columns of equal length, places in the CRS (metres)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    columns: dict[str, NDArray[Any]]
    corners: NDArray[np.float64]
    """(x, y) of ring corners, shape (corners, 2)."""
    starts: NDArray[np.int64]
    """First corner of each ring, and one more at the end."""


@dataclass(frozen=True)
class Axes:
    """Coordinates that are the same numbers in every window of one grid.

    A transform differs in its last bits with the window it was computed for; counting cells from
    zero of the CRS does not.
    """

    cell: float
    phase_x: float
    phase_y: float
    col: int
    row: int

    @classmethod
    def of(cls, transform: Any) -> Axes:
        """Take cell size and corner of a north-up window."""
        cell = round(float(transform.a), 9)
        col, phase_x = _split(float(transform.c), cell)
        row, phase_y = _split(float(transform.f), cell)
        return cls(cell, phase_x, phase_y, col, row)

    def x(self, cols: NDArray[Any]) -> NDArray[np.float64]:
        """Return eastings of columns counted from the window's left edge."""
        east: NDArray[np.float64] = np.round(self.phase_x + (self.col + cols) * self.cell, 6)
        return east

    def y(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return northings of rows counted from the window's top edge."""
        north: NDArray[np.float64] = np.round(self.phase_y + (self.row - rows) * self.cell, 6)
        return north


def detect(
    read: Read,
    core: Bounds,
    reach: Reach,
    *,
    block_cells: int = BLOCK_CELLS,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[Found, Found]]:
    """Yield the crowns and the structures of each block of `core`.

    Args:
        read: Source of the surface.
        core: Where the tops lie, half-open.
        reach: Thresholds on the grid of the surface.
        block_cells: Side of a block.
        report: Called with blocks done and blocks in all.
    """
    blocks = list(_blocks(core, block_cells * reach.cell))
    for number, block in enumerate(blocks, 1):
        ndom, transform = read(block.grow(reach.buffer + reach.cell))
        yield detect_block(ndom, Axes.of(transform), block, reach)
        report(number, len(blocks))


def detect_block(
    ndom: NDArray[np.float32], axes: Axes, block: Bounds, reach: Reach
) -> tuple[Found, Found]:
    """Find what `block` owns in a window that reaches `Reach.buffer` further."""
    heights = quantise(ndom, reach.kernel)
    rows, cols = np.arange(ndom.shape[0]), np.arange(ndom.shape[1])
    x, y = axes.x(cols + 0.5), axes.y(rows + 0.5)
    in_x = (x >= block.left) & (x < block.right)
    in_y = (y >= block.bottom) & (y < block.top)
    planar = raised_planes(heights, reach)
    trees = crowns.find_crowns(heights, planar, in_y[:, None] & in_x, reach)
    crown_columns = {
        "height_m": np.round(trees.height / 100, 2),
        "area_m2": np.round(trees.cells * axes.cell**2, 2),
        "diameter_m": np.round(np.sqrt(trees.cells * 4 / np.pi) * axes.cell, 2),
        "score": np.round(trees.score, 3),
        "flatness": np.round(trees.flatness, 3),
    }
    found = _place(trees.row, trees.col, crown_columns, trees.rings, axes)

    squares_x, squares_y = np.floor(x / BLOCK), np.floor(y / BLOCK)
    wide = int(squares_x[-1] - squares_x[0]) + 1
    squares = (squares_y[0] - squares_y)[:, None] * wide + (squares_x - squares_x[0]) + 1
    roofs = crowns.find_structures(heights, planar, squares.astype(np.int32), reach)
    roof_columns = {
        "height_m": np.round(roofs.height / 100, 2),
        "area_m2": np.round(roofs.cells * axes.cell**2, 2),
        "flatness": np.round(roofs.flatness, 3),
    }
    raised = _place(roofs.row, roofs.col, roof_columns, roofs.rings, axes)
    return found, _select(raised, in_y[roofs.row] & in_x[roofs.col])


def _place(
    row: NDArray[np.int64],
    col: NDArray[np.int64],
    columns: dict[str, NDArray[Any]],
    rings: outlines.Rings,
    axes: Axes,
) -> Found:
    corners = np.column_stack([axes.x(rings.corners[:, 1]), axes.y(rings.corners[:, 0])])
    return Found(axes.x(col + 0.5), axes.y(row + 0.5), columns, corners, rings.starts)


def _select(found: Found, keep: NDArray[np.bool_]) -> Found:
    sizes = np.diff(found.starts)
    return Found(
        found.x[keep],
        found.y[keep],
        {name: values[keep] for name, values in found.columns.items()},
        found.corners[np.repeat(keep, sizes)],
        np.concatenate([[0], np.cumsum(sizes[keep])]).astype(np.int64),
    )


def join(parts: Sequence[Found]) -> Found:
    """Return the parts as one, ordered from south to north, then west to east."""
    sizes = np.concatenate([np.diff(part.starts) for part in parts])
    x, y = (np.concatenate([getattr(part, axis) for part in parts]) for axis in "xy")
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns
    }
    corners = np.concatenate([part.corners for part in parts])
    order = np.lexsort((x, y))
    ends = np.cumsum(sizes[order])
    first = (np.cumsum(sizes) - sizes)[order]
    take = np.repeat(first - (ends - sizes[order]), sizes[order]) + np.arange(sizes.sum())
    return Found(
        x[order],
        y[order],
        {name: values[order] for name, values in columns.items()},
        corners[take],
        np.concatenate([[0], ends]).astype(np.int64),
    )


def _blocks(core: Bounds, side: float) -> Iterator[Bounds]:
    for top, bottom in pairwise(_cuts(core.top, core.bottom, -side)):
        for left, right in pairwise(_cuts(core.left, core.right, side)):
            yield Bounds(left, bottom, right, top)


def _cuts(start: float, end: float, side: float) -> list[float]:
    count = max(math.ceil((end - start) / side - 1e-6), 1)
    return [start + number * side for number in range(count)] + [end]


def _split(value: float, cell: float) -> tuple[int, float]:
    """Return whole cells and rest, with value = whole * cell + rest and 0 <= rest < cell."""
    whole = int(np.floor(value / cell + 1e-6))
    return whole, max(round(value - whole * cell, 6), 0.0)
