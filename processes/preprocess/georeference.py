"""Where the cells of a file lie, because files lie about it.

Some carry no georeference (bare JPEG 2000 codestreams), some a nameless local CRS, some a CRS whose
text differs from the one asked for although the places are equal. The STAC item fills the gaps;
what the file itself says wins.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from rasterio.errors import NotGeoreferencedWarning

from processes.raster import open_raster
from processes.stage import InputDataError

SAME_PLACE = 0.01  # metres; ETRS89 and WGS 84 differ by 0.1 mm in GIS software


@dataclass(frozen=True)
class Claim:
    """What a STAC item says about a file's place: CRS and ``(left, bottom, right, top)``."""

    crs: str | None = None
    bounds: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class FileGrid:
    """Cells of a north-up file: upper left corner, cell size in CRS units, rows and columns."""

    crs: str
    left: float
    top: float
    res_x: float
    res_y: float
    rows: int
    cols: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """``(left, bottom, right, top)`` in the file's CRS."""
        return (
            self.left,
            self.top - self.rows * self.res_y,
            self.left + self.cols * self.res_x,
            self.top,
        )


@contextmanager
def open_placed(path: Path, claim: Claim) -> Iterator[tuple[Any, FileGrid]]:
    """Open a raster and tell where its cells lie.

    Raises:
        InputDataError: The file is unreadable or rotated, or nobody says where it lies.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_raster(path) as dataset:
            yield dataset, file_grid(dataset, path, claim)


def file_grid(dataset: Any, path: Path, claim: Claim) -> FileGrid:
    """Derive the cells' place from the file, and from its item where the file is silent."""
    crs = _named(dataset.crs.to_wkt()) if dataset.crs else None
    crs = crs or (_named(claim.crs) if claim.crs else None)
    if crs is None:
        raise InputDataError(
            "raster has no CRS",
            f"{path.name} carries no usable CRS and its item has no proj:epsg or proj:code; "
            "add one of them to the item",
        )
    transform = dataset.transform
    if transform.is_identity:
        return _claimed_grid(dataset, path, crs, claim)
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise InputDataError(
            "raster grid not supported", f"{path.name} is rotated or not north up: {transform!r}"
        )
    left, top = float(transform.c), float(transform.f)
    return FileGrid(
        crs, left, top, float(transform.a), float(-transform.e), dataset.height, dataset.width
    )


def same_place(grid: FileGrid, crs: str) -> bool:
    """Tell whether the file's coordinates can be used as coordinates of `crs` unchanged.

    True when both CRS are equal, or when no corner of the file moves by more than 1 cm between
    them. The answer belongs to the file, so it is the same for every window of it.
    """
    if grid.crs == crs or crs_of(grid.crs).equals(crs_of(crs), ignore_axis_order=True):
        return True
    left, bottom, right, top = grid.bounds
    x = np.array([left, left, right, right, (left + right) / 2])
    y = np.array([bottom, top, bottom, top, (bottom + top) / 2])
    to_x, to_y = transformer(grid.crs, crs).transform(x, y)
    return bool(np.all(np.hypot(to_x - x, to_y - y) <= SAME_PLACE))


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Give the transformation between two CRS, axis order x, y."""
    return pyproj.Transformer.from_crs(crs_of(source), crs_of(target), always_xy=True)


@lru_cache(maxsize=64)
def crs_of(text: str) -> pyproj.CRS:
    """Parse a CRS (code or WKT).

    Raises:
        InputDataError: It is not known.
    """
    try:
        return pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError as error:
        raise InputDataError("CRS not known", f"{text[:80]}: {error}") from error


@lru_cache(maxsize=64)
def _named(text: str) -> str | None:
    """Give `text` when it is a CRS that can be compared with others, None for a local one."""
    crs = crs_of(text)
    return text if crs.is_projected or crs.is_geographic else None


def _claimed_grid(dataset: Any, path: Path, crs: str, claim: Claim) -> FileGrid:
    if claim.bounds is None:
        raise InputDataError(
            "raster has no georeference",
            f"{path.name} does not say where it lies and its item has no proj:bbox; add it",
        )
    left, bottom, right, top = claim.bounds
    res_x, res_y = (right - left) / dataset.width, (top - bottom) / dataset.height
    return FileGrid(crs, left, top, res_x, res_y, dataset.height, dataset.width)
