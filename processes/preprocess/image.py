"""The orthophoto where inventory objects lie, and nowhere else.

Decoding JPEG 2000 is the dearest thing in the chain, and most of a district holds no object. Each
window is decoded once and kept as a sparse tiled GeoTIFF that later steps read at memory speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from processes.grid import Bounds
from processes.preprocess.mosaic import Mosaic, overlap
from processes.stage import complete

BLOCK = 512


@dataclass(frozen=True)
class Written:
    """What an image file shows: ids of objects, ids of the tiles it came from, names of bands."""

    objects: tuple[str, ...]
    tiles: tuple[str, ...]
    bands: tuple[str, ...]


def write_image(
    path: Path,
    mosaic: Mosaic,
    core: Bounds,
    crs: str,
    windows: Mapping[str, Bounds],
    report: Callable[[int], None] = lambda done: None,
) -> Written | None:
    """Write the mosaic within `core` wherever a window lies, as a sparse tiled GeoTIFF.

    Pixels outside the windows are 0 (nodata), so that a pixel does not depend on how the area is
    cut into batches. No file remains when no window shows an image.

    Args:
        path: Final name.
        mosaic: Source.
        core: Extent of the file; pixels whose centre lies in it.
        crs: CRS of core and windows.
        windows: Object id to the rectangle to keep.
        report: Called with the number of objects that are done.
    """
    frame = mosaic.grid.window(core)
    parts = {key: overlap(mosaic.grid.window(area), frame) for key, area in windows.items()}
    wanted = {key: part for key, part in parts.items() if part is not None}
    if not any(overlap(t.window, part) for t in mosaic.tiles for part in wanted.values()):
        return None
    shown: set[str] = set()
    tiles: set[str] = set()
    with (
        complete(path) as partial,
        rasterio.open(partial, "w", **_profile(mosaic, frame, crs)) as target,
    ):
        for index, name in enumerate(mosaic.bands, 1):
            target.set_band_description(index, name)
        for block, keys in _blocks(frame, wanted):
            pixels, used = _cut(mosaic, block, {key: wanted[key] for key in keys}, shown)
            tiles |= used
            if pixels.any():
                target.write(pixels, window=_relative(block, frame))
            end = block.row_off + block.height
            report(sum(part.row_off + part.height <= end for part in wanted.values()))
    if not shown:
        path.unlink()
        return None
    return Written(tuple(sorted(shown)), tuple(sorted(tiles)), mosaic.bands)


def _profile(mosaic: Mosaic, frame: Window, crs: str) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "width": frame.width,
        "height": frame.height,
        "count": len(mosaic.bands),
        "dtype": "uint8",
        "crs": crs,
        "transform": mosaic.grid.transform(frame),
        "nodata": 0,
        "photometric": "RGB",
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "pixel",
        "compress": "zstd",
        "zstd_level": 1,
        "predictor": 2,
        "alpha": "unspecified",  # the fourth band is infrared, it hides nothing
        "sparse_ok": True,
        "bigtiff": "if_safer",
    }


def _blocks(frame: Window, wanted: Mapping[str, Window]) -> list[tuple[Window, list[str]]]:
    """Give the file's blocks that a window touches, row by row, with the windows' ids.

    A block is written once and whole: writing it twice would leave holes in the file.
    """
    touched: dict[tuple[int, int], list[str]] = {}
    for key in sorted(wanted):
        part = _relative(wanted[key], frame)
        for row in range(part.row_off // BLOCK, (part.row_off + part.height - 1) // BLOCK + 1):
            last = (part.col_off + part.width - 1) // BLOCK
            for col in range(part.col_off // BLOCK, last + 1):
                touched.setdefault((row, col), []).append(key)
    blocks = []
    for (row, col), keys in sorted(touched.items()):
        top, left = row * BLOCK, col * BLOCK
        width, height = min(BLOCK, frame.width - left), min(BLOCK, frame.height - top)
        block = Window(frame.col_off + left, frame.row_off + top, width, height)
        blocks.append((block, keys))
    return blocks


def _cut(
    mosaic: Mosaic, block: Window, windows: Mapping[str, Window], shown: set[str]
) -> tuple[NDArray[np.uint8], set[str]]:
    """Read a block, blank what lies in no window; adds the windows with an image to `shown`."""
    parts = {key: overlap(part, block) for key, part in windows.items()}
    inside = {key: part for key, part in parts.items() if part is not None}
    around = _hull(list(inside.values()))
    pixels, used = mosaic.read(around)
    whole = np.zeros((len(mosaic.bands), block.height, block.width), dtype=np.uint8)
    for key, part in inside.items():
        found = pixels[(slice(None), *_slices(part, around))]
        whole[(slice(None), *_slices(part, block))] = found
        if found[0].any():
            shown.add(key)
    return whole, used


def _hull(windows: list[Window]) -> Window:
    left, top = min(w.col_off for w in windows), min(w.row_off for w in windows)
    right = max(w.col_off + w.width for w in windows)
    bottom = max(w.row_off + w.height for w in windows)
    return Window(left, top, right - left, bottom - top)


def _relative(window: Window, frame: Window) -> Window:
    return Window(
        window.col_off - frame.col_off,
        window.row_off - frame.row_off,
        window.width,
        window.height,
    )


def _slices(part: Window, around: Window) -> tuple[slice, slice]:
    row, col = part.row_off - around.row_off, part.col_off - around.col_off
    return slice(row, row + part.height), slice(col, col + part.width)
