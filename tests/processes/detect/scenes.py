"""Small surfaces whose cells a reader can count, and a reader for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import from_origin

from processes.detect.batch import Found, Read, detect, join
from processes.detect.thresholds import Reach, Thresholds
from processes.grid import Bounds

WEST, NORTH = 372_000.0, 5_728_000.0


def surface(size: int) -> NDArray[np.float32]:
    return np.zeros((size, size), dtype=np.float32)


def plant(
    ndom: NDArray[np.float32], row: int, col: int, height: float, radius: float
) -> NDArray[np.float32]:
    """Add half an ellipsoid with its top in the middle of a cell; `radius` in cells."""
    rows, cols = np.indices(ndom.shape)
    inside = np.clip(1 - ((rows - row) ** 2 + (cols - col) ** 2) / radius**2, 0, None)
    return np.maximum(ndom, (height * np.sqrt(inside)).astype(np.float32))


def build(
    ndom: NDArray[np.float32], rows: slice, cols: slice, eaves: float, slope: float = 0.0
) -> None:
    """Set a roof that rises by `slope` a row."""
    steps = np.arange(rows.stop - rows.start, dtype=np.float32)[:, None]
    ndom[rows, cols] = eaves + slope * steps


def reader(ndom: NDArray[np.float32], cell: float) -> Read:
    """Return what reads windows of `ndom`, NaN outside, as from tiles that lie at WEST, NORTH."""

    def read(bounds: Bounds) -> tuple[NDArray[np.float32], Any]:
        left = int(np.floor((bounds.left - WEST) / cell + 1e-6))
        right = int(np.ceil((bounds.right - WEST) / cell - 1e-6))
        top = int(np.floor((NORTH - bounds.top) / cell + 1e-6))
        bottom = int(np.ceil((NORTH - bounds.bottom) / cell - 1e-6))
        window = np.full((bottom - top, right - left), np.nan, dtype=np.float32)
        rows = slice(max(top, 0), min(bottom, ndom.shape[0]))
        cols = slice(max(left, 0), min(right, ndom.shape[1]))
        window[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left] = ndom[
            rows, cols
        ]
        return window, from_origin(WEST + left * cell, NORTH - top * cell, cell, cell)

    return read


def whole(ndom: NDArray[np.float32], cell: float) -> Bounds:
    rows, cols = ndom.shape
    return Bounds(WEST, NORTH - rows * cell, WEST + cols * cell, NORTH)


def found(
    ndom: NDArray[np.float32],
    cell: float = 0.5,
    core: Bounds | None = None,
    block_cells: int = 4096,
    **thresholds: float,
) -> tuple[Found, Found]:
    """Return crowns and structures of `core`, the whole surface by default."""
    reach = Reach(Thresholds(**thresholds), cell)
    area = core or whole(ndom, cell)
    pairs = list(detect(reader(ndom, cell), area, reach, block_cells=block_cells))
    return join([pair[0] for pair in pairs]), join([pair[1] for pair in pairs])
