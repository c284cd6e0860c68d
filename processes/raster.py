"""Reading raster windows across tiles and writing rasters that are equal byte for byte each time.

Only the formats that the stages are meant to read are opened: a file from outside cannot name
another one (VRT, ``/vsi`` paths).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import from_origin
from rasterio.windows import Window, from_bounds

from processes.grid import Bounds
from processes.stage import InputDataError, complete

HEIGHTS = (-100.0, 1000.0)  # metres above ground; beyond lie undeclared nodata values
BLOCK = 512  # cells along a side of a COG's blocks
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF


@contextmanager
def open_raster(path: str | Path) -> Iterator[Any]:
    """Open a GeoTIFF or JPEG 2000; no other driver is ever tried.

    Raises:
        InputDataError: The file is missing, of another format, or damaged.
    """
    if not Path(path).is_file():
        raise InputDataError("file not found", f"{path} does not exist or is no file")
    try:
        dataset = rasterio.open(path, driver=_driver(Path(path)))
    except RasterioError as error:
        raise InputDataError(
            "raster cannot be read",
            f"{_told(path, error)}. Expected GeoTIFF or JPEG 2000; fetch the file again.",
        ) from error
    with dataset:
        yield dataset


def read_mosaic(
    paths: Sequence[str | Path],
    bounds: Bounds,
    *,
    band: int = 1,
    resolution: float | None = None,
    between: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[NDArray[np.float32], Any]:
    """Read one band of adjoining tiles within `bounds` as one array.

    The tiles must share CRS, cell size and grid origin. Numbers stored with scale and offset become
    values. Cells that no tile covers, or that are nodata there, are NaN. Where tiles overlap the
    later one in `paths` wins.

    Args:
        paths: Tiles; at least one.
        bounds: Rectangle in the tiles' CRS; grown outwards to whole cells.
        band: 1-based band.
        resolution: Expected cell size in CRS units; the first tile's when None.
        between: Least and greatest possible value; others are nodata that a file does not declare.

    Returns:
        Array of shape (rows, cols), float32, and its transform.

    Raises:
        InputDataError: A tile cannot be read, or the grids differ.
    """
    cell, origin_x, origin_y = _grid_of(paths[0], resolution)
    first_col = int(np.floor((bounds.left - origin_x) / cell + 1e-6))
    last_col = int(np.ceil((bounds.right - origin_x) / cell - 1e-6))
    first_row = int(np.floor((origin_y - bounds.top) / cell + 1e-6))
    last_row = int(np.ceil((origin_y - bounds.bottom) / cell - 1e-6))
    rows, cols = last_row - first_row, last_col - first_col
    mosaic = np.full((rows, cols), np.nan, dtype=np.float32)
    transform = from_origin(origin_x + first_col * cell, origin_y - first_row * cell, cell, cell)
    for path in paths:
        with open_raster(path) as tile:
            _check_grid(tile, path, cell, origin_x, origin_y)
            col = round((tile.bounds.left - transform.c) / cell)
            row = round((transform.f - tile.bounds.top) / cell)
            top, left = max(row, 0), max(col, 0)
            bottom, right = min(row + tile.height, rows), min(col + tile.width, cols)
            if top >= bottom or left >= right:
                continue
            window = Window(left - col, top - row, right - left, bottom - top)
            part = _read(tile, path, band, window)
            target = mosaic[top:bottom, left:right]
            known = np.isfinite(part) & (part >= between[0]) & (part <= between[1])
            np.copyto(target, part, where=known)
    return mosaic, transform


def write_cog(
    path: Path,
    data: NDArray[Any],
    *,
    transform: Any,
    crs: str,
    nodata: float | None,
    descriptions: Sequence[str] = (),
    units: Sequence[str] = (),
    overview_resampling: str = "average",
) -> None:
    """Write a Cloud Optimized GeoTIFF.

    Args:
        path: Final name; appears only when complete.
        data: Array of shape (bands, rows, cols).
        transform: Affine transform of the upper left corner.
        crs: CRS of the transform.
        nodata: Value of missing cells, or None.
        descriptions: One per band.
        units: One per band.
        overview_resampling: GDAL resampling of the overviews.
    """
    profile = _profile(data.shape, data.dtype, transform, crs, nodata)
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(data)
            for index, text in enumerate(descriptions, 1):
                dataset.set_band_description(index, text)
            for index, unit in enumerate(units, 1):
                dataset.set_band_unit(index, unit)
            _add_overviews(dataset, overview_resampling)
        with complete(path) as partial, memory.open() as source:
            _copy_as_cog(source, partial, data.dtype)


def write_cog_in_parts(
    path: Path,
    parts: Iterable[tuple[Window, NDArray[Any]]],
    *,
    shape: tuple[int, int, int],
    dtype: str,
    transform: Any,
    crs: str,
    nodata: float | None,
    unit: str = "",
    overview_resampling: str = "average",
) -> None:
    """Write a Cloud Optimized GeoTIFF that need not fit into memory.

    Args:
        path: Final name; appears only when complete.
        parts: Windows with their data, shape (bands, rows, cols); together they cover the raster.
        shape: Bands, rows and columns of the whole.
        dtype: Type of the data.
        transform: Affine transform of the upper left corner.
        crs: CRS of the transform.
        nodata: Value of missing cells, or None.
        unit: Unit of all bands.
        overview_resampling: GDAL resampling of the overviews.
    """
    scratch = path.with_name(f".{path.stem}.scratch.tif")
    profile = _profile(shape, np.dtype(dtype), transform, crs, nodata)
    try:
        with rasterio.open(scratch, "w", tiled=True, BIGTIFF="IF_SAFER", **profile) as dataset:
            for window, data in parts:
                dataset.write(data, window=window)
            if unit:
                dataset.units = [unit] * shape[0]
            _add_overviews(dataset, overview_resampling)
        with complete(path) as partial, rasterio.open(scratch, driver="GTiff") as source:
            _copy_as_cog(source, partial, np.dtype(dtype))
    finally:
        scratch.unlink(missing_ok=True)


def read_window(path: str | Path, bounds: Bounds) -> tuple[NDArray[Any], Any]:
    """Read all bands of one raster within `bounds`, clipped to the raster, without resampling.

    Returns:
        Array of shape (bands, rows, cols) in the file's type and its transform; shape
        (bands, 0, 0) when they do not meet.
    """
    with open_raster(path) as dataset:
        window = from_bounds(*bounds.as_tuple(), transform=dataset.transform)
        col, row = int(np.floor(window.col_off + 1e-6)), int(np.floor(window.row_off + 1e-6))
        right = int(np.ceil(window.col_off + window.width - 1e-6))
        bottom = int(np.ceil(window.row_off + window.height - 1e-6))
        col, row = max(col, 0), max(row, 0)
        right, bottom = min(right, dataset.width), min(bottom, dataset.height)
        if col >= right or row >= bottom:
            return np.zeros((dataset.count, 0, 0), dtype=dataset.dtypes[0]), dataset.transform
        inside = Window(col, row, right - col, bottom - row)
        try:
            data = dataset.read(window=inside)
        except RasterioError as error:
            raise _damaged(path, error) from error
        return data, dataset.window_transform(inside)


def _profile(
    shape: tuple[int, ...], dtype: Any, transform: Any, crs: str, nodata: float | None
) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "count": shape[0],
        "height": shape[1],
        "width": shape[2],
        "dtype": dtype,
        "crs": crs,
        "transform": transform,
        "nodata": nodata,
    }


def _add_overviews(dataset: Any, resampling: str) -> None:
    """Halve an uncompressed raster until a block holds it, as the COG driver would.

    The driver takes what is there; its own way, through compressed scratch files, makes the whole
    COG cost half as much again.
    """
    longest = max(dataset.width, dataset.height)
    factors: list[int] = []
    while longest > BLOCK << len(factors):
        factors.append(2 << len(factors))
    if factors:
        dataset.build_overviews(factors, Resampling[resampling])


def _copy_as_cog(source: Any, target: Path, dtype: Any) -> None:
    floating = np.issubdtype(dtype, np.floating)
    options = {
        "COMPRESS": "DEFLATE",
        # Noise in the last digits does not compress: trying harder costs half more for 1 %.
        "LEVEL": "1" if floating else "6",
        "PREDICTOR": "FLOATING_POINT" if floating else "STANDARD",
        "BLOCKSIZE": str(BLOCK),
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": "1",
    }
    rasterio.shutil.copy(source, target, driver="COG", **options)


def _driver(path: Path) -> str:
    # rasterio 1.4 documents a list of drivers but refuses it, so the signature decides.
    with path.open("rb") as stream:
        return "GTiff" if stream.read(4) in TIFF_SIGNATURES else "JP2OpenJPEG"


def _grid_of(path: str | Path, resolution: float | None) -> tuple[float, float, float]:
    with open_raster(path) as tile:
        cell = float(tile.res[0])
        if abs(tile.res[1] - cell) > 1e-6 * cell or tile.transform.b or tile.transform.d:
            raise InputDataError(
                "raster grid not supported",
                f"{Path(path).name} has cells of {tile.res} or is rotated; "
                "expected square cells, north up",
            )
        if resolution is not None and abs(cell - resolution) > 1e-6 * cell:
            raise InputDataError(
                "cell sizes differ", f"{Path(path).name} has {cell}, expected {resolution}"
            )
        return cell, float(tile.bounds.left), float(tile.bounds.top)


def _check_grid(tile: Any, path: str | Path, cell: float, origin_x: float, origin_y: float) -> None:
    shift_x = (tile.bounds.left - origin_x) / cell
    shift_y = (tile.bounds.top - origin_y) / cell
    if (
        abs(tile.res[0] - cell) > 1e-6 * cell
        or abs(shift_x - round(shift_x)) > 1e-3
        or abs(shift_y - round(shift_y)) > 1e-3
    ):
        raise InputDataError(
            "tiles do not share a grid",
            f"{Path(path).name} has cells of {tile.res[0]} starting at "
            f"({tile.bounds.left}, {tile.bounds.top}); "
            f"expected {cell}, aligned with the first tile",
        )


def _read(tile: Any, path: str | Path, band: int, window: Window) -> NDArray[np.float32]:
    try:
        data = tile.read(band, window=window, masked=True, resampling=Resampling.nearest)
    except RasterioError as error:
        raise _damaged(path, error) from error
    filled: NDArray[np.float32] = data.astype(np.float32).filled(np.nan)
    scale, offset = tile.scales[band - 1], tile.offsets[band - 1]
    if (scale, offset) != (1.0, 0.0):  # whole centimetres, say
        filled = filled * np.float32(scale) + np.float32(offset)
    return filled


def _told(path: str | Path, error: Exception) -> str:
    """Say what is wrong with a file by its name, without the folders of this machine."""
    return f"{Path(path).name}: {str(error).replace(str(path), Path(path).name)}"


def _damaged(path: str | Path, error: Exception) -> InputDataError:
    return InputDataError(
        "raster is damaged",
        f"{_told(path, error)}. Remove it from its source or the cache and fetch it again.",
    )
