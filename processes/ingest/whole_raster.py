"""Telling a whole raster from a damaged one before it reaches the cache, without decoding it all.

A truncated GeoTIFF or JPEG 2000 often opens without complaint; what is missing shows up hours
later, in another step. So the table of blocks is compared with the size of the file, and the first
and last block of each band are decoded.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyproj import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from processes.grid import Bounds
from processes.raster import open_raster
from processes.stage import InputDataError


class DamagedFileError(Exception):
    """A file that is no whole raster; the text says what is wrong with it."""


@dataclass(frozen=True)
class RasterFacts:
    """What the header of a raster says: bounds in `crs` units, CRS (None if absent), cell size."""

    bounds: Bounds
    crs: CRS | None
    cell: float
    bands: int


def inspect_raster(path: Path) -> RasterFacts:
    """Check that a GeoTIFF or JPEG 2000 is whole, and return what its header says.

    Raises:
        DamagedFileError: Not a raster of these formats, truncated, or not decodable.
    """
    # Said by DamagedFileError instead; set for good, as filters are not safe among threads.
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    try:
        with open_raster(path) as dataset:
            if dataset.driver == "GTiff":
                _check_tiff(dataset, path.stat().st_size)
                _decode_ends(dataset)
            else:
                _check_jp2(path)
            return _facts(dataset)
    except InputDataError as error:
        raise DamagedFileError(error.detail.split(". ")[0]) from error
    except RasterioError as error:
        raise DamagedFileError(f"cannot be decoded ({error})") from error


def read_facts(path: Path) -> RasterFacts:
    """Return what the header of a raster says, of a file that was inspected before."""
    with open_raster(path) as dataset:
        return _facts(dataset)


def _facts(dataset: Any) -> RasterFacts:
    crs = CRS.from_wkt(dataset.crs.to_wkt()) if dataset.crs else None
    transform = dataset.transform
    if transform.is_identity:
        raise DamagedFileError("has no georeference")
    if transform.b or transform.d or transform.e >= 0 or transform.a <= 0:
        raise DamagedFileError("is rotated or not north up")
    return RasterFacts(Bounds(*dataset.bounds), crs, float(dataset.res[0]), dataset.count)


def _check_tiff(dataset: Any, size: int) -> None:
    per_band = dataset.interleaving is None or dataset.interleaving.value.lower() == "band"
    for band in range(1, (dataset.count if per_band else 1) + 1):
        height, width = dataset.block_shapes[band - 1]
        for row in range(-(-dataset.height // height)):
            for col in range(-(-dataset.width // width)):
                offset = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
                length = dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
                if offset and length and int(offset) + int(length) > size:
                    raise DamagedFileError(
                        f"is truncated: {size} bytes, block {col},{row} of band {band} ends at "
                        f"{int(offset) + int(length)}"
                    )


def _decode_ends(dataset: Any) -> None:
    for band in range(1, dataset.count + 1):
        height, width = dataset.block_shapes[band - 1]
        last = ((dataset.height - 1) // height, (dataset.width - 1) // width)
        for row, col in {(0, 0), last}:
            dataset.read(band, window=dataset.block_window(band, row, col))


def _check_jp2(path: Path) -> None:
    """Walk the boxes (ISO/IEC 15444-1, Annex I); the code stream must reach its end marker."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(2) == b"\xff\x4f":  # a bare code stream
            start, end = 0, size
        else:
            start, end = _code_stream(stream, size)
        stream.seek(max(start, end - 2))
        if stream.read(2) != b"\xff\xd9":
            raise DamagedFileError("is truncated: its JPEG 2000 code stream has no end")


def _code_stream(stream: Any, size: int) -> tuple[int, int]:
    position = 0
    while position + 8 <= size:
        stream.seek(position)
        head = stream.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        end = size if length == 0 else position + length
        if end > size or end < position + 8:
            raise DamagedFileError(f"is truncated: {size} bytes, a box ends at {end}")
        if kind == b"jp2c":
            return position, end
        position = end
    raise DamagedFileError("holds no JPEG 2000 code stream")
