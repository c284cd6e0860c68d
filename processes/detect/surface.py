"""The nDOM of a batch: what its tiles are, when they were flown, and its copy for publishing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from processes.grid import Batch, Bounds
from processes.raster import HEIGHTS, open_raster, read_mosaic, write_cog_in_parts
from processes.stage import InputDataError

NODATA = -9999.0
PART = 2048  # rows and columns written at a time


HIGHEST = 300.0  # metres above ground; no tree and hardly a mast is higher
LOW = 5.0  # metres above ground; also a closed forest has gaps and ways
MOST_HIGH = 0.001  # share of cells above HIGHEST
LEAST_LOW = 0.00001  # share of cells below LOW
ENOUGH_CELLS = 1_000_000  # 25 ha at 0.5 m; a smaller piece may lie in a stand without a gap


@dataclass
class _Counted:
    """How many cells with data were seen, too high ones and low ones: what tells the unit."""

    known: int = 0
    high: int = 0
    low: int = 0

    def add(self, heights: NDArray[np.float32]) -> None:
        self.known += int(np.isfinite(heights).sum())
        self.high += int((heights > HIGHEST).sum())
        self.low += int((heights < LOW).sum())

    def check(self, batch: str) -> None:
        """Raise when these cannot be heights above ground in metres."""
        if self.high > MOST_HIGH * self.known:
            seen = f"{self.high / self.known:.1%} of its cells are above {HIGHEST:g} m"
        elif self.known >= ENOUGH_CELLS and self.low < LEAST_LOW * self.known:
            seen = f"almost none of its {self.known} cells is below {LOW:g} m"
        else:
            return
        raise InputDataError(
            "surface model is not in metres above ground",
            f"batch {batch}: {seen}. Expected the height above ground (nDOM), in metres: not that "
            "above the sea, and not in centimetres.",
        )


@dataclass(frozen=True)
class Surface:
    """The nDOM tiles of a batch, on one grid in the batch's CRS."""

    paths: tuple[Path, ...]
    cell: float
    tiles: tuple[tuple[Bounds, str | None], ...]
    """Bounds and date of acquisition (ISO) of each tile."""

    @classmethod
    def open(cls, paths: Sequence[Path], items: Path | None, crs: str) -> Surface:
        """Look at the tiles without reading them.

        Raises:
            InputDataError: There are none, one cannot be read, or its CRS is not the batch's.
        """
        if not paths:
            raise InputDataError(
                "no surface model", "the batch names no nDOM file; choose a source of nDOM tiles"
            )
        dates = _dates(items) if items else {}
        tiles, cell = [], 0.0
        for path in paths:
            with open_raster(path) as tile:
                _check_bands(tile, path)
                _check_crs(tile, path, crs)
                cell = cell or round(float(tile.res[0]), 9)
                tiles.append((Bounds(*tile.bounds), dates.get(path.stem)))
        return cls(tuple(paths), cell, tuple(tiles))

    def read(self, bounds: Bounds) -> tuple[NDArray[np.float32], Any]:
        """Return the heights within `bounds`, NaN where there are none, and their transform."""
        near = bounds.grow(self.cell)
        # The first tile says what the grid is.
        paths = [
            path
            for number, (path, (tile, _)) in enumerate(zip(self.paths, self.tiles, strict=True))
            if number == 0 or tile.intersects(near)
        ]
        return read_mosaic(paths, bounds, resolution=self.cell, between=HEIGHTS)

    def dates_at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.object_]:
        """Return the date of the surface at each place, ISO text or None."""
        dates = np.full(len(x), None, dtype=object)
        for bounds, date in self.tiles:
            inside = (x >= bounds.left) & (x < bounds.right)
            inside &= (y >= bounds.bottom) & (y < bounds.top)
            dates[inside] = date
        return dates

    def publish(self, path: Path, batch: Batch) -> None:
        """Write the core as Cloud Optimized GeoTIFF with the heights as they are.

        Raises:
            InputDataError: They cannot be metres above ground.
        """
        core, half = batch.core, self.cell / 2
        corner = Bounds(core.left, core.top - half, core.left + half, core.top)
        transform = self.read(corner)[1]
        cols = max(round((core.right - transform.c) / self.cell), 1)
        rows = max(round((transform.f - core.bottom) / self.cell), 1)
        write_cog_in_parts(
            path,
            self._parts(batch.id, rows, cols, transform),
            shape=(1, rows, cols),
            dtype="float32",
            transform=transform,
            crs=batch.crs,
            nodata=NODATA,
            unit="m",
        )

    def _parts(
        self, batch: str, rows: int, cols: int, transform: Any
    ) -> Iterator[tuple[Window, NDArray[np.float32]]]:
        counted = _Counted()
        for row in range(0, rows, PART):
            for col in range(0, cols, PART):
                height, width = min(PART, rows - row), min(PART, cols - col)
                left, top = transform @ (col, row)
                right, bottom = transform @ (col + width, row + height)
                data, _ = self.read(Bounds(left, bottom, right, top))
                counted.add(data)
                part = np.where(np.isnan(data), np.float32(NODATA), data)
                yield Window(col, row, width, height), part[None]
        counted.check(batch)


def _check_bands(tile: Any, path: Path) -> None:
    if tile.count != 1:
        raise InputDataError(
            "no surface model",
            f"{path.name} has {tile.count} bands, as an image; expected heights in one band. "
            "Check the `product` of its source.",
        )


def _check_crs(tile: Any, path: Path, crs: str) -> None:
    from rasterio.crs import CRS

    if tile.crs is None:
        raise InputDataError(
            "raster without CRS",
            f"{path.name} does not say in which CRS it is; expected {crs}. "
            "Write the CRS into the file (gdal_edit -a_srs).",
        )
    wanted = CRS.from_user_input(crs)
    if not wanted.is_projected or abs(wanted.linear_units_factor[1] - 1) > 1e-6:
        raise InputDataError(
            "CRS not in metres", f"{crs} is not a projected CRS in metres; choose one as `crs`"
        )
    found = tile.crs.to_epsg()
    if found is not None and wanted.to_epsg() is not None and found != wanted.to_epsg():
        raise InputDataError(
            "CRS differs",
            f"{path.name} is in EPSG:{found}, the batch in {crs}; nDOM is not reprojected. "
            f"Run with `crs` EPSG:{found}.",
        )


def _dates(items: Path) -> dict[str, str | None]:
    """Return the date of acquisition by file stem, from STAC items."""
    try:
        document = json.loads(items.read_text(encoding="utf-8"))
        features = document["features"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputDataError(
            "items cannot be read", f"{items.name}: {error}; expected a STAC ItemCollection"
        ) from error
    dates: dict[str, str | None] = {}
    for feature in features:
        properties = feature.get("properties", {})
        if properties.get("cdi:product") != "ndom":
            continue
        date = (properties.get("cdi:acquisition") or {}).get("date") or properties.get("datetime")
        for asset in feature.get("assets", {}).values():
            dates[Path(asset["href"]).stem] = date[:10] if date else None
    return dates
