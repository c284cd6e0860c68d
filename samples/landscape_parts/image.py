"""The orthophoto: red, green, blue and near infrared with sunlight, shadows and texture."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import cv2
import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin
from rasterio.windows import Window as PixelWindow

from landscape_parts.frame import CRS, IMAGE_DATE, Array, Tile
from landscape_parts.season import cover
from landscape_parts.surface import Scene, Textures, parcel_map, render
from landscape_parts.texture import Window
from landscape_parts.trees import KINDS
from landscape_parts.world import World

SUN_AZIMUTH, SUN_ELEVATION = math.radians(146), math.radians(49)
# Pixels along one side of a block: what is held in memory at a time.
BLOCK = 2000
# Red, green, blue, near infrared as an aerial camera shows them (0..255, not calibrated: NDVI of
# healthy leaves is about 0.2-0.3).
GREEN, DRY, SOIL = (96, 112, 84, 160), (172, 164, 126, 172), (164, 146, 122, 152)
FLAT = {"road": (138, 136, 134, 124), "yard": (158, 154, 146, 142)}
LEAVES = {
    "fruit": (80, 96, 76, 142),
    "broadleaf": (70, 88, 68, 138),
    "conifer": (50, 66, 60, 98),
    "shrub": (82, 96, 74, 136),
    "plantation-fruit": (78, 96, 74, 140),
    "christmas-tree": (56, 76, 66, 106),
    "nursery-tree": (84, 102, 78, 144),
}
SHADE = np.array([0.40, 0.45, 0.55, 0.42], np.float32)


def write_tile(
    world: World, textures: Textures, tile: Tile, resolution: float, path: Path, driver: str
) -> None:
    """Paint one tile block by block and write it as JP2 or GeoTIFF (uint8, four bands)."""
    columns = round((tile.xmax - tile.xmin) / resolution)
    rows = round((tile.ymax - tile.ymin) / resolution)
    profile = {
        "driver": "GTiff",
        "width": columns,
        "height": rows,
        "count": 4,
        "dtype": "uint8",
        "crs": CRS,
        "transform": from_origin(tile.xmin, tile.ymax, resolution, resolution),
        "photometric": "RGB",
        "alpha": "unspecified",
    }
    if driver == "GTiff":
        profile |= {
            "tiled": True,
            "blockxsize": 512,
            "blockysize": 512,
            "compress": "deflate",
            "predictor": 2,
        }
    raw = path if driver == "GTiff" else path.with_suffix(".raw.tif")
    with rasterio.open(raw, "w", **profile) as target:
        for row in range(0, rows, BLOCK):
            for column in range(0, columns, BLOCK):
                height, width = min(BLOCK, rows - row), min(BLOCK, columns - column)
                left, top = tile.xmin + column * resolution, tile.ymax - row * resolution
                window = (left, top - height * resolution, left + width * resolution, top)
                block = paint(world, textures, window, resolution)
                target.write(block, window=PixelWindow(column, row, width, height))
    if driver != "GTiff":
        rasterio.shutil.copy(
            raw, path, driver="JP2OpenJPEG", QUALITY="12", REVERSIBLE="NO", YCC="NO"
        )
        raw.unlink()


def paint(
    world: World, textures: Textures, window: Window, resolution: float, day: dt.date = IMAGE_DATE
) -> Array:
    """The orthophoto of `window` on `day` as uint8 (4, rows, cols)."""
    pad = 4
    wide = (
        window[0] - pad * resolution,
        window[1] - pad * resolution,
        window[2] + pad * resolution,
        window[3] + pad * resolution,
    )
    scene = render(world, textures, wide, resolution, day)
    leaf = textures.leaf.over(wide, resolution)
    colour = _ground(world, textures, wide, resolution, day)
    canopy = scene.owner > 0
    colour[canopy] = _leaf_colours(scene)[scene.owner[canopy] - 1]
    colour[canopy] *= (1 + 0.10 * leaf[canopy])[:, None]
    solid = scene.owner < 0
    if solid.any():
        roofs = np.array([one.colour for one in scene.solids], np.float32)
        colour[solid] = roofs[-scene.owner[solid] - 1]
    light = _slope_light(scene, leaf, canopy, resolution)
    shadow = _cast_shadow(world, textures, wide, resolution, day)
    shadow = np.maximum(shadow, np.clip(0.55 - light, 0, 0.6))[..., None]
    colour *= (light[..., None] * (1 - shadow)) + SHADE * shadow
    grain = textures.grain.over(wide, resolution)
    colour = cv2.GaussianBlur(colour, (0, 0), 0.55) + 1.8 * grain[..., None]
    inner = colour[pad:-pad, pad:-pad]
    return np.clip(inner, 1, 255).astype(np.uint8).transpose(2, 0, 1)


def _ground(
    world: World, textures: Textures, window: Window, resolution: float, day: dt.date
) -> Array:
    """Fields, grass and roads without what stands on them, float32 (rows, cols, 4)."""
    verge = (0.72, 0.22, 0.06)
    shares = np.array([verge, *(cover(parcel, day) for parcel in world.parcels)], np.float32)
    table = shares @ np.array([GREEN, DRY, SOIL], np.float32)
    tone = np.array([1.0, *(0.93 + 0.14 * parcel.turn for parcel in world.parcels)], np.float32)
    table *= tone[:, None]
    for number, parcel in enumerate(world.parcels, start=1):
        if parcel.use in FLAT:
            table[number] = FLAT[parcel.use]
    owner = parcel_map(world, window, resolution)
    patch = textures.patch.over(window, resolution)
    clump = textures.clump.over(window, resolution)
    uses = np.array(["verge", *(parcel.use for parcel in world.parcels)])
    grassy = (~np.isin(uses, ["road", "yard", "arable", "nursery-ground"]))[owner]
    strength = np.where(grassy, 1.0, np.where(np.isin(uses, ["road", "yard"])[owner], 0.2, 0.45))
    brightness = 1 + strength * (0.045 * patch + 0.05 * clump)
    brightness += _rows(world, owner, window, resolution)
    colour: Array = table[owner] * brightness[..., None].astype(np.float32)
    # Where grass is thin it is brighter in red and darker in the infrared.
    thin = (strength * np.clip(patch, -1.5, 2.5)).astype(np.float32)
    colour[..., 0] += 4.0 * thin
    colour[..., 3] -= 5.0 * thin
    return colour


def _rows(world: World, owner: Array, window: Window, resolution: float) -> Array:
    """Working rows and tramlines of arable land, mowing strips on meadows: relative brightness."""
    rows, columns = owner.shape
    directions = np.array([0.0, *(parcel.direction for parcel in world.parcels)], np.float32)
    x = (window[0] - world.frame.origin[0] + resolution * np.arange(columns, dtype=np.float32))[
        None, :
    ]
    y = (window[3] - world.frame.origin[1] - resolution * np.arange(rows, dtype=np.float32))[
        :, None
    ]
    across = -x * np.sin(directions)[owner] + y * np.cos(directions)[owner]
    uses = np.array(["verge", *(parcel.use for parcel in world.parcels)])
    arable = np.isin(uses, ["arable", "nursery-ground"])[owner]
    meadow = (uses == "meadow")[owner]
    fine = 0.06 * np.sin(across * (2 * math.pi / 3.0))
    tramline = np.where(np.abs(across % 21 - 1.5) < 0.9, 0.08, 0.0)
    strips = 0.025 * np.sin(across * (2 * math.pi / 7.0))
    result: Array = np.where(arable, fine + tramline, np.where(meadow, strips, 0))
    return result


def _leaf_colours(scene: Scene) -> Array:
    """One colour per tree, float32 (trees, 4)."""
    if not len(scene.trees):
        return np.zeros((0, 4), np.float32)
    base = np.array([LEAVES[kind] for kind in KINDS], np.float32)[scene.trees["kind"]]
    turn = scene.trees["turn"].astype(np.float32)[:, None]
    warm = np.modf(turn * 13)[0] - 0.5
    tint = np.concatenate([1 + 0.16 * warm, 1 + 0.06 * warm, 1 + 0 * warm, 1 - 0.05 * warm], axis=1)
    result: Array = base * (0.88 + 0.24 * np.modf(turn * 5)[0]) * tint
    return result.astype(np.float32)


def _slope_light(scene: Scene, leaf: Array, canopy: Array, resolution: float) -> Array:
    """Sunlight by slope, 1 on level ground; leaves make crowns rough."""
    rough = scene.heights + np.where(canopy, 0.16 * leaf, 0).astype(np.float32)
    rough = cv2.GaussianBlur(rough, (0, 0), max(0.6, 0.22 / resolution))
    east = cv2.Sobel(rough, cv2.CV_32F, 1, 0, scale=1 / 8) / resolution
    north = -cv2.Sobel(rough, cv2.CV_32F, 0, 1, scale=1 / 8) / resolution
    standing = scene.owner != 0
    east, north = np.where(standing, east, 0), np.where(standing, north, 0)
    steep = np.sqrt(east * east + north * north)
    soft = 1 / np.maximum(1, steep / 1.6)  # walls of leaves let light through
    east, north = east * soft, north * soft
    sun_east = math.sin(SUN_AZIMUTH) * math.cos(SUN_ELEVATION)
    sun_north = math.cos(SUN_AZIMUTH) * math.cos(SUN_ELEVATION)
    facing = (math.sin(SUN_ELEVATION) - east * sun_east - north * sun_north) / np.sqrt(
        1 + east * east + north * north
    )
    light: Array = 0.38 + 0.62 * np.clip(facing, 0, 1.3) / math.sin(SUN_ELEVATION)
    return light.astype(np.float32)


def _cast_shadow(
    world: World, textures: Textures, window: Window, resolution: float, day: dt.date
) -> Array:
    """Shadow 0..1 of everything that stands between a pixel and the sun."""
    coarse = max(resolution, 0.5)
    reach = 32.0
    span = (window[0] - reach, window[1] - reach, window[2] + reach, window[3] + reach)
    span = (
        span[0],
        span[3] - coarse * math.ceil((span[3] - span[1]) / coarse),
        span[0] + coarse * math.ceil((span[2] - span[0]) / coarse),
        span[3],
    )
    heights = render(world, textures, span, coarse, day).heights
    blocked = np.full(heights.shape, -1e9, np.float32)
    rows, columns = heights.shape
    for step in np.arange(1.0, 33.0 / math.tan(SUN_ELEVATION) * 1.15, 0.9):
        dx = math.sin(SUN_AZIMUTH) * step / coarse
        dy = -math.cos(SUN_AZIMUTH) * step / coarse
        matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
        moved = cv2.warpAffine(
            heights, matrix, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        np.maximum(blocked, moved - np.float32(step * math.tan(SUN_ELEVATION)), out=blocked)
    shade = np.clip((blocked - heights) / 0.6, 0, 1)
    shade = cv2.GaussianBlur(shade, (0, 0), 0.7)
    out_rows = round((window[3] - window[1]) / resolution)
    out_columns = round((window[2] - window[0]) / resolution)
    scale = resolution / coarse
    start = reach / coarse - 0.5 + 0.5 * scale
    matrix = np.array([[scale, 0, start], [0, scale, start]])
    result: Array = cv2.warpAffine(
        shade, matrix, (out_columns, out_rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return result
