"""One raster out of the batches' files, so that an object may lie across several of them.

Cells are addressed from the origin of the CRS, so what is read at a place does not depend on how
the area was cut into batches.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.transform import from_origin
from rasterio.windows import Window

from processes.grid import Bounds
from processes.raster import open_raster
from processes.stage import InputDataError

OPEN_FILES = 9  # a square of objects (2 km) meets at most so many tiles (1 km)


class Mosaic:
    """Adjoining rasters with one grid; files are opened when read and some are kept open."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.bounds: list[Bounds] = []
        self.bands: tuple[str, ...] = ()
        self.count = 0
        self.cell = 0.0
        self._open: OrderedDict[int, tuple[Any, ExitStack]] = OrderedDict()
        for path in self.paths:
            with open_raster(path) as dataset:
                self._accept(path, dataset)

    def __bool__(self) -> bool:
        return bool(self.paths)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1][1].close()

    def step_for(self, bounds: Bounds, most: int) -> int:
        """Return the smallest step with which `bounds` has no more than about `most` cells.

        An object that reaches over half the country must not take memory without limit.
        """
        cells = (bounds.right - bounds.left) * (bounds.top - bounds.bottom) / self.cell**2
        return max(1, math.ceil(math.sqrt(cells / most)))

    def read(
        self, bounds: Bounds, bands: Sequence[int], step: int = 1
    ) -> tuple[NDArray[np.float32], Any] | None:
        """Read every `step`-th cell within `bounds`, grown outwards to whole cells.

        Returns:
            Array (bands, rows, cols), NaN where no file has data, and the transform of its
            cells of `step` times the size; None when no file meets `bounds`.
        """
        found = [index for index, area in enumerate(self.bounds) if area.intersects(bounds)]
        if not found:
            return None
        cell = self.cell * step
        # Cells counted in whole steps from the CRS's origin, rows downwards.
        shift_x, shift_y = self._shift()
        left = math.floor((bounds.left - shift_x) / cell + 1e-6)
        right = math.ceil((bounds.right - shift_x) / cell - 1e-6)
        top = math.floor((shift_y - bounds.top) / cell + 1e-6)
        bottom = math.ceil((shift_y - bounds.bottom) / cell - 1e-6)
        shape = (len(bands), bottom - top, right - left)
        mosaic = np.full(shape, np.nan, dtype=np.float32)
        for index in found:
            self._paste(index, bands, step, (top, left), mosaic)
        return mosaic, from_origin(left * cell + shift_x, shift_y - top * cell, cell, cell)

    def _paste(
        self,
        index: int,
        bands: Sequence[int],
        step: int,
        corner: tuple[int, int],
        mosaic: NDArray[np.float32],
    ) -> None:
        dataset = self._dataset(index)
        shift_x, shift_y = self._shift()
        file_col = round((self.bounds[index].left - shift_x) / self.cell)
        file_row = round((shift_y - self.bounds[index].top) / self.cell)
        rows = _overlap(corner[0], mosaic.shape[1], step, file_row, dataset.height)
        cols = _overlap(corner[1], mosaic.shape[2], step, file_col, dataset.width)
        if rows is None or cols is None:
            return
        middle = step // 2
        window = Window(
            cols[0] * step + middle - file_col,
            rows[0] * step + middle - file_row,
            (cols[1] - cols[0] - 1) * step + 1,
            (rows[1] - rows[0] - 1) * step + 1,
        )
        target = mosaic[
            :, rows[0] - corner[0] : rows[1] - corner[0], cols[0] - corner[1] : cols[1] - corner[1]
        ]
        part = self._read_bands(index, dataset, bands, window, step)
        np.copyto(target, part, where=np.isfinite(part))

    def _read_bands(
        self, index: int, dataset: Any, bands: Sequence[int], window: Window, step: int
    ) -> NDArray[np.float32]:
        plain = dataset.nodata is not None
        try:
            data = dataset.read(list(bands), window=window, masked=not plain)[:, ::step, ::step]
        except RasterioError as error:
            raise InputDataError(
                "raster is damaged",
                f"{self.paths[index].name}: {error}. Run the step again that made it.",
            ) from error
        part = np.ma.filled(data.astype(np.float32), np.nan)
        if plain and np.isfinite(dataset.nodata):
            part[np.asarray(data) == dataset.nodata] = np.nan
        return np.asarray(part)

    def _dataset(self, index: int) -> Any:
        if index in self._open:
            self._open.move_to_end(index)
        else:
            if len(self._open) >= OPEN_FILES:
                self._open.popitem(last=False)[1][1].close()
            stack = ExitStack()
            self._open[index] = stack.enter_context(open_raster(self.paths[index])), stack
        return self._open[index][0]

    def _shift(self) -> tuple[float, float]:
        first = self.bounds[0]
        return _remainder(first.left, self.cell), _remainder(first.top, self.cell)

    def _accept(self, path: Path, dataset: Any) -> None:
        bounds, cell = Bounds(*dataset.bounds), float(dataset.res[0])
        if not self.cell:
            self.cell, self.count = cell, dataset.count
            self.bands = tuple(text or "" for text in dataset.descriptions)
            shift = (0.0, 0.0)
        else:
            first = self.bounds[0]
            shift = ((bounds.left - first.left) / cell, (bounds.top - first.top) / cell)
        aligned = all(abs(value - round(value)) < 1e-3 for value in shift)
        if abs(cell - self.cell) > 1e-6 * cell or not aligned:
            raise InputDataError(
                "batch rasters do not share a grid",
                f"{path.name} has cells of {cell} at {bounds.as_tuple()}, "
                f"expected {self.cell}, aligned with {self.paths[0].name}",
            )
        # An orthophoto without infrared among others: only what all have is used.
        self.count = min(self.count, dataset.count)
        self.bands = self.bands[: self.count]
        self.bounds.append(bounds)


def _remainder(value: float, cell: float) -> float:
    """Return `value` modulo `cell`, where a multiple of 0.1 leaves 0, not 0.0999."""
    return round(value - math.floor(value / cell + 1e-6) * cell, 6)


def _overlap(first: int, count: int, step: int, start: int, size: int) -> tuple[int, int] | None:
    """Return the range of steps from `first` whose middle cell lies in the file's cells."""
    middle = step // 2
    low = max(first, math.ceil((start - middle) / step))
    high = min(first + count, math.floor((start + size - 1 - middle) / step) + 1)
    return (low, high) if low < high else None
