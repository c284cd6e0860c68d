"""nDOM and orthophoto of an object's surroundings on the same cells, and what they say together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from processes.grid import Bounds
from processes.preprocess.mosaic import Mosaic, overlap
from processes.preprocess.objects import InventoryObject
from processes.preprocess.registration import (
    Evidence,
    Registration,
    evidence,
    judged,
    pooled,
)
from processes.raster import HEIGHTS, open_raster, read_mosaic

MARGIN = 10.0  # metres around an object's bounding box
REACH = 300.0  # metres from an object's home; more of a huge object tells no more and takes memory


@dataclass(frozen=True)
class Limits:
    """When a displacement counts as one (metres) and how sure it must be (R, 0 to 1)."""

    max_shift: float = 1.0
    min_correlation: float = 0.35


class Picture:
    """Windows of the orthophoto: from the image file where that holds them, else from the tiles.

    The file saves decoding a second time; both give the same pixels.
    """

    def __init__(self, mosaic: Mosaic, path: Path, core: Bounds) -> None:
        self.mosaic, self.path, self.frame = mosaic, path, mosaic.grid.window(core)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read all bands, shape (bands, rows, cols), 0 where there is no image."""
        inside = overlap(window, self.frame)
        if inside != window or not self.path.is_file():
            return self.mosaic.read(window)[0]
        col, row = window.col_off - self.frame.col_off, window.row_off - self.frame.row_off
        with open_raster(self.path) as dataset:
            pixels: NDArray[np.uint8] = dataset.read(
                window=Window(col, row, window.width, window.height)
            )
        return pixels


class Surface:
    """nDOM tiles that are found by place."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.tiles: list[tuple[Bounds, Path]] = []
        for path in paths:
            with open_raster(path) as dataset:
                self.tiles.append((Bounds(*dataset.bounds), path))

    def read(self, area: Bounds) -> tuple[NDArray[np.float32], Any] | None:
        """Read heights, shape (rows, cols), NaN where unknown, and their transform."""
        near = [path for bounds, path in self.tiles if bounds.intersects(area)]
        return read_mosaic(near, area, between=HEIGHTS) if near else None


def registration(
    objects: Sequence[InventoryObject],
    core: Bounds,
    surface: Surface,
    picture: Picture,
    limits: Limits,
) -> dict[str, Any]:
    """Measure nDOM against orthophoto in the surroundings of the objects at home in `core`.

    What is said of one object does not depend on the batch; the summary is that of the batch.
    """
    found: dict[str, Evidence] = {}
    for item in objects:
        if not core.owns(*item.home):
            continue
        told = _evidence(_surroundings(item), surface, picture)
        if told is not None:
            found[item.id] = told
    if not found:
        return {**_as_json(Registration("not-measured")), "n": 0, "objects": {}}
    each = {key: _as_json(_judged(one, limits)) for key, one in found.items()}
    whole = _judged(pooled(list(found.values())), limits)
    return {**_as_json(whole), "n": len(found), "objects": each}


def onto_cells(
    pixels: NDArray[np.uint8], pixel_transform: Any, transform: Any, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Average the pixels whose centre lies in each cell; coarser pixels are repeated.

    Args:
        pixels: Shape (bands, rows, cols), 0 where there is no image.
        pixel_transform: Their transform.
        transform: That of the cells.
        shape: Rows and columns of the cells.

    Returns:
        Shape (bands, *shape), NaN where no pixel shows an image.
    """
    count = len(pixels)
    scale = transform.a / pixel_transform.a
    col_0 = (transform.c - pixel_transform.c) / pixel_transform.a
    row_0 = (pixel_transform.f - transform.f) / pixel_transform.a
    rows = _first_pixels(row_0, scale, shape[0], pixels.shape[1])
    cols = _first_pixels(col_0, scale, shape[1], pixels.shape[2])
    if rows is None or cols is None:
        row = np.clip(np.floor(row_0 + (np.arange(shape[0]) + 0.5) * scale), 0, None).astype(int)
        col = np.clip(np.floor(col_0 + (np.arange(shape[1]) + 0.5) * scale), 0, None).astype(int)
        row, col = np.minimum(row, pixels.shape[1] - 1), np.minimum(col, pixels.shape[2] - 1)
        picked = pixels[:, row[:, None], col[None, :]].astype(np.float32)
        return np.where(picked.all(axis=0), picked, np.float32(np.nan))
    part = pixels[:, : int(rows[-1]), : int(cols[-1])]
    valid = (part != 0).all(axis=0)
    cells = np.full((count, *shape), np.nan, dtype=np.float32)
    number = _blocks(valid, rows, cols)
    for index in range(count):
        total = _blocks(np.where(valid, part[index], 0), rows, cols)
        np.divide(total, number, out=cells[index], where=number > 0)
    return cells


def _surroundings(item: InventoryObject) -> Bounds:
    box, (x, y) = item.around(MARGIN), item.home
    return Bounds(
        max(box.left, x - REACH),
        max(box.bottom, y - REACH),
        min(box.right, x + REACH),
        min(box.top, y + REACH),
    )


def _evidence(area: Bounds, surface: Surface, picture: Picture) -> Evidence | None:
    read = surface.read(area)
    if read is None:
        return None
    heights, transform = read
    rows, cols = heights.shape
    left, top, cell = transform.c, transform.f, transform.a
    window = picture.mosaic.grid.window(Bounds(left, top - rows * cell, left + cols * cell, top))
    if not window.width or not window.height:
        return None
    pixels = picture.read(window)
    if not pixels.any():
        return None
    image = onto_cells(pixels, picture.mosaic.grid.transform(window), transform, (rows, cols))
    return evidence(image, heights, cell)


def _first_pixels(start: float, scale: float, cells: int, pixels: int) -> NDArray[Any] | None:
    """Give the first pixel of each cell and the end of the last; None when a cell has none."""
    edges = np.ceil(np.round(start + np.arange(cells + 1) * scale - 0.5, 6)).astype(np.int64)
    if edges[0] < 0 or edges[-1] > pixels or np.any(np.diff(edges) < 1):
        return None
    return edges


def _blocks(values: NDArray[Any], rows: NDArray[Any], cols: NDArray[Any]) -> NDArray[np.float32]:
    by_row = np.add.reduceat(values, rows[:-1], axis=0, dtype=np.float32)
    sums: NDArray[np.float32] = np.add.reduceat(by_row, cols[:-1], axis=1, dtype=np.float32)
    return sums


def _judged(found: Evidence, limits: Limits) -> Registration:
    return judged(found, limits.max_shift, limits.min_correlation)


def _as_json(measured: Registration) -> dict[str, Any]:
    """Round to centimetres and hundredths: what lies below is noise, also between machines."""
    return {
        "status": measured.status,
        "dx_m": _rounded(measured.dx),
        "dy_m": _rounded(measured.dy),
        "correlation": _rounded(measured.correlation),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2) + 0.0
