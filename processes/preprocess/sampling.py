"""Taking values of files at the cells of the run's grid, so that no cell depends on its window.

GDAL's warper interpolates coordinates across a window, hence the same cell can get another value
in another window. Here each cell's place in the file is computed from the cell alone; a core that
is cut in pieces gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.transform import from_origin
from rasterio.windows import Window

from processes.grid import Bounds
from processes.preprocess.georeference import FileGrid, same_place, transformer
from processes.stage import InputDataError

SNAP = 1e6  # places in a file are rounded to a millionth of a cell: noise must not choose a cell


@dataclass(frozen=True)
class CellGrid:
    """Square cells counted from the CRS origin.

    Column ``i`` covers ``i * size <= x < (i + 1) * size``; `top` is the row number north of the
    first row (rows are counted northwards, arrays run southwards).
    """

    crs: str
    size: float
    left: int
    top: int
    rows: int
    cols: int

    @classmethod
    def covering(cls, core: Bounds, size: float, crs: str) -> CellGrid:
        """Give the cells whose centre lies in `core` (left and bottom edge included)."""
        left, right = (math.ceil(x / size - 0.5) for x in (core.left, core.right))
        bottom, top = (math.ceil(y / size - 0.5) for y in (core.bottom, core.top))
        return cls(crs, size, left, top, top - bottom, right - left)

    @property
    def transform(self) -> Any:
        """Affine transform of the upper left corner."""
        return from_origin(self.left * self.size, self.top * self.size, self.size, self.size)

    def grow(self, cells: int) -> CellGrid:
        """Give the grid with `cells` more on each side."""
        return CellGrid(
            self.crs,
            self.size,
            self.left - cells,
            self.top + cells,
            self.rows + 2 * cells,
            self.cols + 2 * cells,
        )

    def strips(self, height: int) -> Iterator[tuple[slice, CellGrid]]:
        """Cut the grid into strips of equal height, at most `height` rows each."""
        height = -(-self.rows // -(-self.rows // max(height, 1)))
        for row in range(0, self.rows, height):
            rows = min(height, self.rows - row)
            part = CellGrid(self.crs, self.size, self.left, self.top - row, rows, self.cols)
            yield slice(row, row + rows), part

    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the x of each column and the y of each row."""
        cols = np.arange(self.left, self.left + self.cols, dtype=np.float64)
        rows = np.arange(self.top - 1, self.top - 1 - self.rows, -1, dtype=np.float64)
        return (cols + 0.5) * self.size, (rows + 0.5) * self.size


def nearest(dataset: Any, path: Path, file: FileGrid, grid: CellGrid) -> NDArray[Any] | None:
    """Give the file's value at each cell centre, 0 outside the file; None when they do not meet.

    Returns:
        Array of shape (rows, cols) in the file's type.
    """
    row, col = (np.floor(place + 0.5).astype(np.int64) for place in _places(file, grid))
    window = _window(file, row, col)
    if window is None:
        return None
    values = _read(dataset, path, window)
    taken = _take(values, row - window.row_off, col - window.col_off)
    outside = (row < 0) | (row >= file.rows) | (col < 0) | (col >= file.cols)
    if outside.any():
        taken = np.where(outside, taken.dtype.type(0), taken)
    return taken


def bilinear(
    dataset: Any, path: Path, file: FileGrid, grid: CellGrid, nodata: float
) -> NDArray[np.float32] | None:
    """Give values interpolated between the four nearest cells, NaN for nodata.

    Where one of the four is nodata the nearest cell alone counts. On a grid that coincides with
    the file's the values are the file's. Outside the file, NaN.

    Returns:
        Array of shape (rows, cols); None when file and grid do not meet.
    """
    row, col = _places(file, grid)
    row_0, col_0 = np.floor(row).astype(np.int64), np.floor(col).astype(np.int64)
    row_w, col_w = (row - row_0).astype(np.float32), (col - col_0).astype(np.float32)
    window = _window(file, row_0, col_0, reach=1)
    if window is None:
        return None
    raw = _read(dataset, path, window)
    values = np.where(raw == nodata, np.float32(np.nan), raw.astype(np.float32))
    row_0, col_0 = row_0 - window.row_off, col_0 - window.col_off
    at_row, at_col = row_0 + (row_w >= 0.5), col_0 + (col_w >= 0.5)
    closest = _take(values, at_row, at_col)
    if row_w.any() or col_w.any():
        upper = _mix(values, row_0, col_0, col_w)
        lower = _mix(values, row_0 + 1, col_0, col_w)
        mixed = upper + (lower - upper) * row_w
        closest = np.where(np.isnan(mixed), closest, mixed)
    at_row, at_col = at_row + window.row_off, at_col + window.col_off
    outside = (at_row < 0) | (at_row >= file.rows) | (at_col < 0) | (at_col >= file.cols)
    return np.where(outside, np.float32(np.nan), closest) if outside.any() else closest


@lru_cache(maxsize=8)
def _places(file: FileGrid, grid: CellGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the cells' centres as (row, col) in the file, where 0, 0 is its first cell's centre.

    Shapes (rows, 1) and (1, cols) when the coordinates agree, else both (rows, cols).
    """
    x, y = grid.centres()
    x, y = x[None, :], y[:, None]
    if not same_place(file, grid.crs):
        wide_x, wide_y = np.broadcast_arrays(x, y)
        x, y = transformer(grid.crs, file.crs).transform(wide_x, wide_y)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise InputDataError(
                "coordinates cannot be transformed",
                f"from {grid.crs} to {file.crs[:60]}: the run's area lies outside that CRS",
            )
    row = np.round(((file.top - y) / file.res_y - 0.5) * SNAP) / SNAP
    col = np.round(((x - file.left) / file.res_x - 0.5) * SNAP) / SNAP
    return row, col


def _window(
    file: FileGrid, row: NDArray[np.int64], col: NDArray[np.int64], reach: int = 0
) -> Window | None:
    top, bottom = max(int(row.min()), 0), min(int(row.max()) + 1 + reach, file.rows)
    left, right = max(int(col.min()), 0), min(int(col.max()) + 1 + reach, file.cols)
    if top >= bottom or left >= right:
        return None
    return Window(left, top, right - left, bottom - top)


def _read(dataset: Any, path: Path, window: Window) -> NDArray[Any]:
    try:
        values: NDArray[Any] = dataset.read(1, window=window)
    except RasterioError as error:
        raise InputDataError(
            "raster is damaged",
            f"{path.name}: {error}. Remove it from its source or the cache and fetch it again.",
        ) from error
    return values


def _take(values: NDArray[Any], row: NDArray[np.int64], col: NDArray[np.int64]) -> NDArray[Any]:
    """Pick cells; indexes beyond the array take its edge (the caller blanks those)."""
    row = np.clip(row, 0, values.shape[0] - 1)
    col = np.clip(col, 0, values.shape[1] - 1)
    if row.shape[1] > 1 or col.shape[0] > 1:
        taken: NDArray[Any] = values[row, col]
        return taken
    rows, cols = row[:, 0], col[0, :]
    if _runs(rows) and _runs(cols):
        return values[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    return values.take(rows, axis=0).take(cols, axis=1)


def _runs(index: NDArray[np.int64]) -> bool:
    return int(index[-1] - index[0]) == index.size - 1 and bool(np.all(np.diff(index) == 1))


def _mix(
    values: NDArray[np.float32],
    row: NDArray[np.int64],
    col: NDArray[np.int64],
    weight: NDArray[np.float32],
) -> NDArray[np.float32]:
    left = _take(values, row, col)
    mixed: NDArray[np.float32] = left + (_take(values, row, col + 1) - left) * weight
    return mixed
