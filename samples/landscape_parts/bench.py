"""Makes a bench: the world once, then tile by tile, then Sentinel-2 and the records."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import cv2
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box

from landscape_parts import image, records
from landscape_parts.archive import write_sentinel2
from landscape_parts.frame import CRS, IMAGE_DATE, SURFACE_DATE, Frame, Tile
from landscape_parts.surface import Textures, ndom
from landscape_parts.world import World, build_world

NDOM_RESOLUTION = 0.5
DRIVERS = {"jp2": "JP2OpenJPEG", "tif": "GTiff"}


@dataclass(frozen=True)
class Request:
    """What is wanted: sizes and shift in metres, `resolution` of the orthophoto in metres."""

    seed: int
    size: float
    origin: tuple[float, float]
    tile_size: float
    objects_share: float
    resolution: float
    dop_format: str
    dop_tiles: str
    shift: tuple[float, float]

    @property
    def frame(self) -> Frame:
        """The area."""
        return Frame(self.seed, self.size, self.origin, self.tile_size)


def make(request: Request, folder: Path, processes: int) -> None:
    """Write the whole bench into the new folder `folder`."""
    for name in ("ndom", "dop", "sentinel2", "truth"):
        (folder / name).mkdir(parents=True)
    tiles = request.frame.tiles()
    world, textures = _prepare(request)
    if not any(planned.kind.inventory for planned in world.objects):
        raise SystemExit(
            f"an area of {request.size:.0f} m has no room for an orchard; choose a larger --size "
            "or another --seed"
        )
    processes = min(processes, len(tiles))
    if processes > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, cv2.setNumThreads, (1,)) as pool:
            done = list(pool.map(partial(_write_tile, request, folder), tiles))
    else:
        done = [_write_tile(request, folder, tile) for tile in tiles]
    write_sentinel2(world, textures, folder / "sentinel2")
    records.write_truth(world, folder / "truth")
    files = {
        "ndom": [surface for surface, _ in done],
        "dop": [photo for _, photo in done if photo],
    }
    records.write_records(world, folder, files)


def surface_name(tile: Tile) -> str:
    """File name of an nDOM tile without its ending."""
    return f"ndom50_{tile.name}_nw_{SURFACE_DATE.year}"


def image_name(tile: Tile) -> str:
    """File name of an orthophoto tile without its ending."""
    return f"dop10rgbi_{tile.name}_nw_{IMAGE_DATE.year}"


@cache
def _prepare(request: Request) -> tuple[World, Textures]:
    return build_world(request.frame, request.objects_share), Textures.of(request.frame)


def _write_tile(request: Request, folder: Path, tile: Tile) -> tuple[str, str | None]:
    """Write nDOM and orthophoto of a tile; their names without ending, None for no orthophoto."""
    world, textures = _prepare(request)  # every process lays the landscape out once
    _write_ndom(request, world, textures, tile, folder / "ndom" / f"{surface_name(tile)}.tif")
    if not _wants_image(request, world, tile):
        return surface_name(tile), None
    path = folder / "dop" / f"{image_name(tile)}.{request.dop_format}"
    driver = DRIVERS[request.dop_format]
    image.write_tile(world, textures, tile, request.resolution, path, driver)
    return surface_name(tile), image_name(tile)


def _write_ndom(request: Request, world: World, textures: Textures, tile: Tile, path: Path) -> None:
    east, north = request.shift
    window = (tile.xmin - east, tile.ymin - north, tile.xmax - east, tile.ymax - north)
    heights = ndom(world, textures, window, NDOM_RESOLUTION)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=heights.shape[1],
        height=heights.shape[0],
        count=1,
        dtype="float32",
        crs=CRS,
        nodata=-9999,
        transform=from_origin(tile.xmin, tile.ymax, NDOM_RESOLUTION, NDOM_RESOLUTION),
    ) as target:
        target.write(heights, 1)
        target.update_tags(TITLE=records.TITLE)


def _wants_image(request: Request, world: World, tile: Tile) -> bool:
    everywhere = request.dop_tiles == "all" or (
        request.dop_tiles == "auto" and request.resolution >= 0.2
    )
    near = box(*tile.bounds).buffer(30)
    return everywhere or any(
        planned.kind.inventory and planned.outline.intersects(near) for planned in world.objects
    )
