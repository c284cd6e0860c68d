"""Orthophoto tiles as one picture, whatever their band order, nodata or mask conventions.

Traps met in real files: near infrared stored as if it were an alpha channel (it must not mask
anything), nodata 255 while single bands saturate, tiles without infrared, custom CRS texts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import from_origin
from rasterio.windows import Window

from processes.grid import Bounds
from processes.preprocess.georeference import FileGrid, open_placed, same_place
from processes.preprocess.items import Orthophoto
from processes.stage import InputDataError

COLOURS = ("red", "green", "blue", "nir")
ALIASES = {"r": "red", "g": "green", "b": "blue", "i": "nir", "infrared": "nir", "nir08": "nir"}
ALPHA = "alpha"
SNAP = 6  # decimals of a pixel


@dataclass(frozen=True)
class PixelGrid:
    """The orthophotos' common grid: upper left corner of one of them and the pixel size.

    Windows count pixels eastwards and southwards from that corner; offsets may be negative.
    """

    left: float
    top: float
    size: float

    def window(self, bounds: Bounds) -> Window:
        """Give the pixels whose centre lies in `bounds` (left and bottom edge included)."""
        col, right = (self._first(x - self.left) for x in (bounds.left, bounds.right))
        row, bottom = (-self._first(y - self.top) for y in (bounds.top, bounds.bottom))
        return Window(col, row, max(right - col, 0), max(bottom - row, 0))

    def transform(self, window: Window) -> Any:
        """Affine transform of a window's upper left corner, free of rounding noise."""
        left = round(self.left + window.col_off * self.size, SNAP)
        top = round(self.top - window.row_off * self.size, SNAP)
        return from_origin(left, top, self.size, self.size)

    def _first(self, distance: float) -> int:
        """Number the first pixel whose centre is not before `distance` from the corner."""
        return math.ceil(round(distance / self.size - 0.5, SNAP))


@dataclass(frozen=True)
class Tile:
    """An open orthophoto, the window that it covers, and where its bands go: (target, source).

    `factor` x `factor` of the dataset's pixels make one of the grid's.
    """

    photo: Orthophoto
    dataset: Any
    window: Window
    bands: tuple[tuple[int, int], ...]
    masked: bool
    factor: int


class Mosaic:
    """Orthophoto tiles on one pixel grid; where tiles overlap the later one covers the earlier."""

    def __init__(self, grid: PixelGrid, bands: tuple[str, ...], tiles: Sequence[Tile]) -> None:
        self.grid, self.bands, self.tiles = grid, bands, tiles

    @classmethod
    def open(
        cls, photos: Sequence[Orthophoto], crs: str, stack: ExitStack, resolution: float = 0.0
    ) -> Mosaic:
        """Open tiles (at least one) for as long as `stack` lives.

        Args:
            photos: Tiles, the oldest first.
            crs: CRS that they must be in.
            stack: Closes them.
            resolution: Pixel size, metres, up to which finer tiles are reduced by a power of two;
                0 keeps their own.

        Raises:
            InputDataError: A tile is unreadable, not 8 bit, in another CRS, on another grid, or
                lacks red, green or blue.
        """
        opened = [(p, *stack.enter_context(open_placed(p.path, p.claim))) for p in photos]
        for photo, dataset, file in opened:
            _check(photo, dataset, file, crs)
        factor = _factor([file for _, _, file in opened], resolution)
        first = opened[0][2]
        grid = PixelGrid(first.left, first.top, first.res_x * factor)
        names = [_band_names(photo, dataset) for photo, dataset, _ in opened]
        bands = tuple(colour for colour in COLOURS if any(colour in known for known in names))
        tiles = []
        for (photo, dataset, file), known in zip(opened, names, strict=True):
            window = _tile_window(photo, file, grid, factor)
            places = tuple((bands.index(c), known.index(c) + 1) for c in bands if c in known)
            flags = dataset.mask_flag_enums[0]
            transparent = MaskFlags.alpha not in flags or ALPHA in known
            masked = MaskFlags.per_dataset in flags and transparent
            reduced, left = _reduced(photo, dataset, factor, stack)
            tiles.append(Tile(photo, reduced, window, places, masked, left))
        return cls(grid, bands, tiles)

    def read(self, window: Window) -> tuple[NDArray[np.uint8], set[str]]:
        """Read a window.

        Returns:
            Array of shape (bands, rows, cols): 1 to 255 where there is an image, 0 where there is
            none (a tile without infrared gives 0 in that band alone); and the ids of the tiles
            that gave pixels.
        """
        pixels = np.zeros((len(self.bands), window.height, window.width), dtype=np.uint8)
        used: set[str] = set()
        for tile in self.tiles:
            part = overlap(tile.window, window)
            if part is None:
                continue
            values, valid = _read(tile, part)
            if not valid.any():
                continue
            used.add(tile.photo.id)
            row, col = part.row_off - window.row_off, part.col_off - window.col_off
            target = pixels[:, row : row + part.height, col : col + part.width]
            target[:, valid] = 0
            for (index, _), band in zip(tile.bands, values, strict=True):
                np.copyto(target[index], np.maximum(band, 1), where=valid)
        return pixels, used


def overlap(first: Window, second: Window) -> Window | None:
    """Give the common part of two windows, None when they share no pixel."""
    left, top = max(first.col_off, second.col_off), max(first.row_off, second.row_off)
    right = min(first.col_off + first.width, second.col_off + second.width)
    bottom = min(first.row_off + first.height, second.row_off + second.height)
    if left >= right or top >= bottom:
        return None
    return Window(left, top, right - left, bottom - top)


def _read(tile: Tile, part: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    at = Window(
        (part.col_off - tile.window.col_off) * tile.factor,
        (part.row_off - tile.window.row_off) * tile.factor,
        part.width * tile.factor,
        part.height * tile.factor,
    )
    try:
        values = tile.dataset.read([source for _, source in tile.bands], window=at)
        valid: NDArray[np.bool_] = (values != 0).any(axis=0)
        if tile.dataset.nodata is not None:
            # One saturated band is no missing pixel; all bands at the nodata value are.
            valid &= (values != tile.dataset.nodata).any(axis=0)
        if tile.masked:
            valid &= tile.dataset.read_masks(1, window=at) != 0
    except RasterioError as error:
        raise InputDataError(
            "orthophoto is damaged",
            f"{tile.photo.path.name}: {error}. Remove it from its source or the cache and "
            "fetch it again.",
        ) from error
    return (values, valid) if tile.factor == 1 else _averaged(values, valid, tile.factor)


def _averaged(
    values: NDArray[np.uint8], valid: NDArray[np.bool_], factor: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Average the valid of `factor` x `factor` pixels, rounded half up."""

    def total(part: NDArray[Any]) -> NDArray[np.int64]:
        rows, cols = part.shape[-2] // factor, part.shape[-1] // factor
        cut = part.reshape(*part.shape[:-2], rows, factor, cols, factor)
        sums: NDArray[np.int64] = cut.sum(axis=(-3, -1), dtype=np.int64)
        return sums

    number = total(valid)
    sums = total(np.where(valid, values, 0))
    means = (2 * sums + number) // np.maximum(2 * number, 1)
    return means.astype(np.uint8), number > 0


def _factor(files: Sequence[FileGrid], resolution: float) -> int:
    """Find the largest power of two that keeps pixels within `resolution` and tiles whole."""
    factor = 1
    while all(
        file.res_x * factor * 2 <= resolution * (1 + 1e-6)
        and file.rows % (factor * 2) == file.cols % (factor * 2) == 0
        for file in files
    ):
        factor *= 2
    return factor


def _reduced(photo: Orthophoto, dataset: Any, factor: int, stack: ExitStack) -> tuple[Any, int]:
    """Open the tile's own overview of that factor, where it has one; say what remains to average.

    JPEG 2000 holds the halved pictures within: reading one costs a part of the full decoding.
    """
    overviews = dataset.overviews(1)
    if factor == 1 or factor not in overviews:
        return dataset, factor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        level = overviews.index(factor)
        overview = rasterio.open(photo.path, driver=dataset.driver, overview_level=level)
    return stack.enter_context(overview), 1


def _check(photo: Orthophoto, dataset: Any, file: FileGrid, crs: str) -> None:
    name = photo.path.name
    if not same_place(file, crs):
        raise InputDataError(
            "orthophoto in another CRS", f"{name} is in {file.crs[:80]}, the run is in {crs}"
        )
    if set(dataset.dtypes) != {"uint8"}:
        raise InputDataError(
            "orthophoto not supported", f"{name} holds {dataset.dtypes[0]}, expected 8 bit (uint8)"
        )
    if abs(file.res_x - file.res_y) > 1e-4 * file.res_x:
        raise InputDataError(
            "orthophoto not supported",
            f"{name} has pixels of {file.res_x} x {file.res_y}, expected squares",
        )


def _band_names(photo: Orthophoto, dataset: Any) -> list[str]:
    """Name the bands by the item, else by the file's descriptions, else as R, G, B, I."""
    told = [ALIASES.get(name, name) for name in photo.bands]
    written = [(text or "").lower() for text in dataset.descriptions]
    written = [ALIASES.get(name, name) for name in written]
    names = list(COLOURS[: dataset.count])
    if len(names) == dataset.count and _ends_in_alpha(dataset):
        names[-1] = ALPHA
    elif dataset.count == len(COLOURS) + 1 and dataset.colorinterp[-1] == ColorInterp.alpha:
        names.append(ALPHA)
    for candidate in (written, told):
        if len(candidate) == dataset.count and {"red", "green", "blue"} <= set(candidate):
            names = candidate
    if not {"red", "green", "blue"} <= set(told or names):
        raise InputDataError(
            "orthophoto not supported",
            f"{photo.path.name} has {dataset.count} band(s){_listed(told)}, expected red, green, "
            "blue and, where there is one, near infrared",
        )
    return names


def _listed(told: Sequence[str]) -> str:
    return f" ({', '.join(told)})" if told else ""


def _ends_in_alpha(dataset: Any) -> bool:
    """Tell a mask from near infrared that is declared as one: a mask is 0 and 255 alone."""
    if dataset.count != len(COLOURS) or dataset.colorinterp[-1] != ColorInterp.alpha:
        return False
    rows, cols = dataset.block_shapes[-1]
    parts = (0.5, 0.25, 0.75)
    places = [(int(dataset.height * y / rows), int(dataset.width * x / cols))
              for y in parts for x in parts]  # fmt: skip
    seen: set[int] = set()
    for row, col in dict.fromkeys(places):
        block = dataset.read(dataset.count, window=dataset.block_window(dataset.count, row, col))
        seen |= set(np.unique(block).tolist())
        if not seen <= {0, 255}:
            return False
    return 255 in seen


def _tile_window(photo: Orthophoto, file: FileGrid, grid: PixelGrid, factor: int) -> Window:
    col, row = (file.left - grid.left) / grid.size, (grid.top - file.top) / grid.size
    aligned = abs(col - round(col)) < 0.01 and abs(row - round(row)) < 0.01
    if not aligned or abs(file.res_x * factor - grid.size) > 1e-4 * grid.size:
        raise InputDataError(
            "orthophotos do not share a grid",
            f"{photo.path.name} has pixels of {file.res_x} from ({file.left}, {file.top}); "
            f"expected {grid.size / factor}, aligned with ({grid.left}, {grid.top}). "
            "Give orthophotos of one resolution.",
        )
    return Window(round(col), round(row), file.cols // factor, file.rows // factor)
