"""The rasters of a release as one grid: windows are read across files, the newest on top.

The manifest says where each raster lies, so that describing a coverage opens no raster at all.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window

EDGE = 1e-6  # cells; guards floor and ceil against the last bit


@dataclass(frozen=True)
class Band:
    """A band: its name and unit (UCUM)."""

    name: str
    unit: str


@dataclass(frozen=True)
class Cells:
    """A rectangle of cells of the mosaic's grid; may be fractional where a window is scaled."""

    col: float
    row: float
    width: float
    height: float


@dataclass(frozen=True)
class Raster:
    """One file of the mosaic and the cells it covers."""

    path: Path
    col: int
    row: int
    width: int
    height: int


@dataclass(frozen=True)
class Mosaic:
    """A coverage made of rasters on one grid, the first on top."""

    crs: str
    """Code such as ``EPSG:25832``."""
    left: float
    top: float
    cell_x: float
    cell_y: float
    width: int
    height: int
    bands: tuple[Band, ...]
    dtype: str
    nodata: float | None
    period: str | None
    rasters: tuple[Raster, ...]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top in the CRS of the grid."""
        right = self.left + self.width * self.cell_x
        return self.left, self.top - self.height * self.cell_y, right, self.top

    def cells(self, bounds: tuple[float, float, float, float]) -> Cells | None:
        """Return the whole cells that `bounds` touches, clipped to the grid; None without any."""
        left, bottom, right, top = bounds
        col = max(math.floor((left - self.left) / self.cell_x + EDGE), 0)
        row = max(math.floor((self.top - top) / self.cell_y + EDGE), 0)
        end_col = min(math.ceil((right - self.left) / self.cell_x - EDGE), self.width)
        end_row = min(math.ceil((self.top - bottom) / self.cell_y - EDGE), self.height)
        if right == left and col < self.width:  # a point: the cell it lies in
            end_col = max(end_col, col + 1) if left >= self.left else end_col
        if top == bottom and row < self.height:
            end_row = max(end_row, row + 1) if top <= self.top else end_row
        if col >= end_col or row >= end_row:
            return None
        return Cells(col, row, end_col - col, end_row - row)

    def transform(self, cells: Cells, width: int, height: int) -> Affine:
        """Return the transform of `cells` read as `width` x `height`."""
        return Affine(
            self.cell_x * cells.width / width,
            0,
            self.left + cells.col * self.cell_x,
            0,
            -self.cell_y * cells.height / height,
            self.top - cells.row * self.cell_y,
        )

    def read(self, cells: Cells, width: int, height: int, bands: tuple[int, ...]) -> NDArray[Any]:
        """Read `cells` as an array of shape (len(bands), height, width).

        At the grid's own resolution values are those of the files. A coarser one averages, using
        overviews where there are some; a finer one repeats cells. What no raster covers is nodata.

        Args:
            cells: Where.
            width: Columns to return.
            height: Rows to return.
            bands: 1-based bands.
        """
        empty = self.nodata if self.nodata is not None else 0
        data = np.full((len(bands), height, width), empty, dtype=self.dtype)
        for raster in reversed(self.rasters):
            self._lay(data, raster, cells, bands)
        return data

    def _lay(
        self, data: NDArray[Any], raster: Raster, cells: Cells, bands: tuple[int, ...]
    ) -> None:
        """Lay the valid cells of one raster over `data`."""
        step_x, step_y = cells.width / data.shape[2], cells.height / data.shape[1]
        first, last = _span(raster.col, raster.width, cells.col, step_x, data.shape[2])
        upper, lower = _span(raster.row, raster.height, cells.row, step_y, data.shape[1])
        if first >= last or upper >= lower:
            return
        col = max(cells.col + first * step_x - raster.col, 0)
        row = max(cells.row + upper * step_y - raster.row, 0)
        end_col = min(cells.col + last * step_x - raster.col, raster.width)
        end_row = min(cells.row + lower * step_y - raster.row, raster.height)
        average = step_x > 1 + EDGE or step_y > 1 + EDGE
        with rasterio.open(raster.path, driver="GTiff") as dataset:
            part = dataset.read(
                list(bands),
                window=Window(col, row, end_col - col, end_row - row),
                out_shape=(len(bands), lower - upper, last - first),
                resampling=Resampling.average if average else Resampling.nearest,
            )
        target = data[:, upper:lower, first:last]
        np.copyto(target, part, where=self._valid(part))

    def _valid(self, part: NDArray[Any]) -> Any:
        if self.nodata is None:
            return True
        return ~np.isnan(part) if math.isnan(self.nodata) else part != self.nodata


def open_mosaic(manifest: Path, collection: str) -> Mosaic:
    """Describe a raster collection of a release; kept until the manifest is another one.

    Raises:
        OSError: The manifest is missing.
        KeyError: The release has no such raster collection.
    """
    return _described(manifest, collection, manifest.stat().st_mtime_ns)


@functools.lru_cache(maxsize=128)
def _described(manifest: Path, collection: str, _modified: int) -> Mosaic:
    document = json.loads(manifest.read_text(encoding="utf-8"))
    described = document["collections"][collection]
    entries = described["rasters"]
    cell_x, cell_y = entries[0]["res"]
    left = min(entry["bounds"][0] for entry in entries)
    top = max(entry["bounds"][3] for entry in entries)
    rasters = tuple(
        Raster(
            _place(manifest.parent, entry),
            round((entry["bounds"][0] - left) / cell_x),
            round((top - entry["bounds"][3]) / cell_y),
            entry["width"],
            entry["height"],
        )
        for entry in entries
    )
    nodata = described["nodata"]
    return Mosaic(
        crs=document["crs"],
        left=left,
        top=top,
        cell_x=cell_x,
        cell_y=cell_y,
        width=max(raster.col + raster.width for raster in rasters),
        height=max(raster.row + raster.height for raster in rasters),
        bands=tuple(Band(band["name"], band["unit"]) for band in described["bands"]),
        dtype=described["bands"][0]["dtype"],
        nodata=None if nodata is None else float(nodata),
        period=document.get("period"),
        rasters=rasters,
    )


def _place(release: Path, entry: dict[str, Any]) -> Path:
    """Return where a raster lies: in this release or in the one that made it, beside this one."""
    name = Path(entry["file"]).name
    if entry["release"] is None:
        return release / name
    return release.parent / Path(entry["release"]).name / name


def _span(start: int, size: int, origin: float, step: float, count: int) -> tuple[int, int]:
    """Return the first and the last plus one output cell whose centre a raster covers."""
    first = math.ceil((start - origin) / step - 0.5 - EDGE)
    last = math.ceil((start + size - origin) / step - 0.5 - EDGE)
    return max(first, 0), min(last, count)
