"""From a checked coverage request to an array: on the coverage's grid, or warped to another CRS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj.exceptions import CRSError
from rasterio.enums import Resampling
from rasterio.warp import calculate_default_transform, reproject

from ogcapi import crs
from ogcapi.coverage_request import Bounds, CoverageError, Wanted
from ogcapi.providers.mosaic import Band, Mosaic

MARGIN = 2  # cells read around a warped window, so that its edge has neighbours


@dataclass(frozen=True)
class CoverageWindow:
    """An answer: array of shape (bands, rows, cols), where it lies, what its bands are."""

    data: NDArray[Any]
    transform: Affine
    crs: str
    bands: tuple[Band, ...]
    nodata: float | None


def read(mosaic: Mosaic, wanted: Wanted, limit: int) -> CoverageWindow:
    """Read what is wanted.

    On the coverage's own CRS the window grows to whole cells and, unscaled, holds the values of the
    files. In another CRS cells take the value of the nearest.

    Args:
        mosaic: The coverage.
        wanted: The request.
        limit: Most cells of all bands.

    Raises:
        CoverageError: 204 outside the extent, 413 above the limit, 400 for a box without place.
    """
    own = crs.uri_of(mosaic.crs)
    try:
        if crs.same(wanted.crs, own):
            return _on_grid(mosaic, wanted, own, limit)
        return _warped(mosaic, wanted, own, limit)
    except CRSError as error:
        raise CoverageError(400, "Invalid query parameter", str(error)) from error


def _on_grid(mosaic: Mosaic, wanted: Wanted, own: str, limit: int) -> CoverageWindow:
    bounds = mosaic.bounds if wanted.bounds is None else _moved(wanted, own)
    cells = mosaic.cells(bounds)
    if cells is None:
        raise _outside()
    size = wanted.size or _scaled(cells.width, cells.height, wanted.factor)
    _check_size(size, wanted, limit, (cells.width, cells.height))
    data = mosaic.read(cells, *size, wanted.bands)
    return _window(mosaic, wanted, data, mosaic.transform(cells, *size))


def _warped(mosaic: Mosaic, wanted: Wanted, own: str, limit: int) -> CoverageWindow:
    extent = _box(crs.transform_bounds(mosaic.bounds, own, wanted.crs))
    asked = extent if wanted.bounds is None else _moved(wanted, wanted.crs)
    inside = (
        max(asked[0], extent[0]),
        max(asked[1], extent[1]),
        min(asked[2], extent[2]),
        min(asked[3], extent[3]),
    )
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise _outside()
    left, bottom, right, top = asked if wanted.exact else inside
    source_box = _box(crs.transform_bounds(inside, wanted.crs, own))
    unscaled = _default_size(mosaic, (left, bottom, right, top), source_box, wanted.crs)
    size = wanted.size or _scaled(*unscaled, wanted.factor)
    _check_size(size, wanted, limit, unscaled)
    target = Affine((right - left) / size[0], 0, left, 0, -(top - bottom) / size[1], top)
    empty = mosaic.nodata if mosaic.nodata is not None else 0
    data = np.full((len(wanted.bands), size[1], size[0]), empty, dtype=mosaic.dtype)
    cells = mosaic.cells(_grown(source_box, mosaic))
    if cells is not None:
        # As coarse as the answer, so that a small picture of a large area reads overviews.
        cols = math.ceil(cells.width / max(1.0, unscaled[0] / size[0]))
        rows = math.ceil(cells.height / max(1.0, unscaled[1] / size[1]))
        reproject(
            mosaic.read(cells, cols, rows, wanted.bands),
            data,
            src_transform=mosaic.transform(cells, cols, rows),
            src_crs=gdal_crs(own),
            src_nodata=mosaic.nodata,
            dst_transform=target,
            dst_crs=gdal_crs(wanted.crs),
            dst_nodata=mosaic.nodata,
            resampling=Resampling.nearest,
        )
    return _window(mosaic, wanted, data, target)


def gdal_crs(uri: str) -> str:
    """Return the name of a CRS for files, in which x always comes first."""
    return "EPSG:4326" if uri == crs.CRS84 else ":".join(crs.crs_of(uri).to_authority() or ())


def _window(
    mosaic: Mosaic, wanted: Wanted, data: NDArray[Any], transform: Affine
) -> CoverageWindow:
    bands = tuple(mosaic.bands[number - 1] for number in wanted.bands)
    return CoverageWindow(data, transform, wanted.crs, bands, mosaic.nodata)


def _moved(wanted: Wanted, target: str) -> Bounds:
    if wanted.bounds is None or crs.same(wanted.bounds_crs, target):
        return wanted.bounds or (0, 0, 0, 0)
    return _box(crs.transform_bounds(wanted.bounds, wanted.bounds_crs, target))


def _default_size(
    mosaic: Mosaic, bounds: Bounds, source_box: Bounds, target: str
) -> tuple[float, float]:
    """Return columns and rows (fractional) at about the resolution of the grid."""
    cols = max(1, round((source_box[2] - source_box[0]) / mosaic.cell_x))
    rows = max(1, round((source_box[3] - source_box[1]) / mosaic.cell_y))
    source = gdal_crs(crs.uri_of(mosaic.crs))
    transform, _, _ = calculate_default_transform(source, gdal_crs(target), cols, rows, *source_box)
    return (bounds[2] - bounds[0]) / transform.a, (bounds[3] - bounds[1]) / transform.a


def _scaled(width: float, height: float, factor: float) -> tuple[int, int]:
    return max(1, math.ceil(width / factor - 1e-6)), max(1, math.ceil(height / factor - 1e-6))


def _check_size(
    size: tuple[int, int], wanted: Wanted, limit: int, unscaled: tuple[float, float]
) -> None:
    bands = len(wanted.bands)
    cells = size[0] * size[1] * bands
    if cells <= limit:
        return
    factor = math.sqrt(unscaled[0] * unscaled[1] * bands / limit)
    fitting = math.ceil(factor * 100) / 100
    while math.prod(_scaled(*unscaled, fitting)) * bands > limit:
        fitting = round(fitting * 1.01 + 0.01, 2)
    raise CoverageError(
        413,
        "Coverage too large",
        f"the answer would have {size[0]} x {size[1]} cells in {bands} bands, {cells} in all; "
        f"at most {limit} are given at once. scale-factor={fitting:g} fits, or ask for less.",
    )


def _grown(box: Bounds, mosaic: Mosaic) -> Bounds:
    x, y = MARGIN * mosaic.cell_x, MARGIN * mosaic.cell_y
    return box[0] - x, box[1] - y, box[2] + x, box[3] + y


def _box(values: list[float]) -> Bounds:
    left, bottom, right, top = values
    return left, bottom, right, top


def _outside() -> CoverageError:
    return CoverageError(204, "No data", "the window lies outside the extent of the coverage")
