"""Heights: what stands on the ground, and the nDOM that image matching makes of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import cv2
import numpy as np
import rasterio.features
from rasterio.transform import from_origin

from landscape_parts import built
from landscape_parts.built import Solid
from landscape_parts.frame import SURFACE_DATE, Array, Frame
from landscape_parts.season import cover, crop_height
from landscape_parts.texture import Texture, Window
from landscape_parts.trees import KINDS
from landscape_parts.world import World

# Crown profile by kind: exponent of the ellipsoid-like shape (0.5 half ellipsoid, 1 cone) and
# the share of the height at which the crown begins.
PROFILE = {
    "fruit": (0.55, 0.35),
    "broadleaf": (0.5, 0.3),
    "conifer": (1.0, 0.1),
    "shrub": (0.5, 0.1),
    "plantation-fruit": (0.6, 0.2),
    "christmas-tree": (1.05, 0.05),
    "nursery-tree": (0.6, 0.4),
}


@dataclass
class Scene:
    """What stands in a window: heights (rows, cols) in metres and who owns each pixel.

    `owner`: 0 ground, n > 0 the tree `trees[n - 1]`, n < 0 the solid `solids[-n - 1]`.
    """

    heights: Array
    owner: Array
    trees: Array
    solids: list[Solid]


@dataclass
class Textures:
    """The noise fields that surface and image share."""

    leaf: Texture
    clump: Texture
    patch: Texture
    grain: Texture

    @classmethod
    def of(cls, frame: Frame) -> Textures:
        """Make them for one landscape."""
        return cls(
            leaf=Texture(frame, "leaf", 0.3, 0.6),
            clump=Texture(frame, "clump", 0.7, 0.9),
            patch=Texture(frame, "patch", 2.5, 1.1),
            grain=Texture(frame, "grain", 0.5, 0.0),
        )


def render(
    world: World,
    textures: Textures,
    window: Window,
    resolution: float,
    day: dt.date,
    matched: bool = False,
) -> Scene:
    """Draw trees and solids that stand on `day` into `window`.

    `matched` draws crowns as image matching sees them: small ones too low or not at all.
    """
    xmin, ymin, xmax, ymax = window
    shape = (round((ymax - ymin) / resolution), round((xmax - xmin) / resolution))
    stock = world.trees
    reach = stock["crown"] * 0.75 + resolution
    ordinal = day.toordinal()
    inside = (
        (stock["x"] > xmin - reach)
        & (stock["x"] < xmax + reach)
        & (stock["y"] > ymin - reach)
        & (stock["y"] < ymax + reach)
        & (stock["first"] <= ordinal)
        & (ordinal < stock["last"])
    )
    solids = [
        solid
        for solid in built.standing(world.solids, day)
        if xmin - 40 < solid.x < xmax + 40 and ymin - 40 < solid.y < ymax + 40
    ]
    scene = Scene(np.zeros(shape, np.float32), np.zeros(shape, np.int32), stock[inside], solids)
    for number, solid in enumerate(solids):
        _draw_solid(scene, -number - 1, solid, window, resolution)
    ragged = textures.clump.over(window, resolution)
    tops = _matched_heights(scene.trees) if matched else scene.trees["height"]
    _draw_trees(scene, tops, ragged, window, resolution)
    return scene


def ndom(world: World, textures: Textures, window: Window, resolution: float) -> Array:
    """The normalised surface model (rows, cols) in metres as matching of aerial images gives it."""
    pad = 8 * resolution
    xmin, ymin, xmax, ymax = window
    wide = (xmin - pad, ymin - pad, xmax + pad, ymax + pad)
    heights = render(world, textures, wide, resolution, SURFACE_DATE, matched=True).heights
    grain = textures.grain.over(wide, resolution)
    patch = textures.patch.over(wide, resolution)
    heights = np.maximum(heights, _low_growth(world, wide, resolution))
    heights += 0.12 * patch * (heights > 1.5)
    # Narrow gaps between crowns are hidden from the aircraft, so matching bridges some of them.
    bridged = cv2.morphologyEx(heights, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    heights = np.where(patch > 0.4, bridged, heights)
    heights = 0.5 * cv2.medianBlur(heights, 3) + 0.5 * cv2.GaussianBlur(heights, (0, 0), 1.1)
    spread = 0.05 + 0.012 * np.minimum(heights, 12)
    heights += spread * cv2.GaussianBlur(grain, (0, 0), 0.8) * 2.0 + 0.05 * patch
    spikes = (grain > 4.1) & (heights < 1)
    heights[spikes] += 2.5
    edge = 8
    return np.round(heights[edge:-edge, edge:-edge], 3).astype(np.float32)


def _matched_heights(stock: Array) -> Array:
    """Heights that matching finds: a crown of 1 m is nearly lost, one of 4 m is nearly whole."""
    kept = np.clip((stock["crown"] - 0.5) / 3.2, 0.12, 1.0) ** 0.7
    chance = 0.85 + 0.2 * np.modf(stock["turn"] * 7)[0]
    lost = (stock["crown"] < 2.4) & (stock["turn"] < 0.25)
    close = np.isin(
        stock["kind"],
        [
            KINDS.index("plantation-fruit"),
            KINDS.index("christmas-tree"),
            KINDS.index("nursery-tree"),
        ],
    )
    kept = np.where(close, np.maximum(kept, 0.75), kept)
    found: Array = stock["height"] * np.minimum(kept * chance, 1.02)
    return np.where(lost & ~close, 0.2 * found, found)


def _draw_trees(
    scene: Scene, tops: Array, ragged: Array, window: Window, resolution: float
) -> None:
    rows, columns = scene.heights.shape
    x = (scene.trees["x"] - window[0]) / resolution - 0.5
    y = (window[3] - scene.trees["y"]) / resolution - 0.5
    radius = scene.trees["crown"] / 2 / resolution
    for index in range(len(scene.trees)):
        r = max(float(radius[index]), 0.55)
        left, right = max(0, int(x[index] - 1.35 * r)), min(columns, int(x[index] + 1.35 * r) + 2)
        up, down = max(0, int(y[index] - 1.35 * r)), min(rows, int(y[index] + 1.35 * r) + 2)
        if left >= right or up >= down:
            continue
        dx = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(x[index])
        dy = np.arange(up, down, dtype=np.float32)[:, None] - np.float32(y[index])
        patch = (slice(up, down), slice(left, right))
        shape = _crown(
            dx,
            dy,
            r,
            KINDS[scene.trees["kind"][index]],
            float(scene.trees["turn"][index]),
            ragged[patch],
        )
        height = shape * np.float32(tops[index])
        heights, owner = scene.heights[patch], scene.owner[patch]
        higher = height > heights
        heights[higher] = height[higher]
        owner[higher] = index + 1


def _crown(dx: Array, dy: Array, r: float, kind: str, turn: float, ragged: Array) -> Array:
    """Relative height 0..1 of one crown round its stem; lobed outline, rough top, holes."""
    power, foot = PROFILE[kind]
    square = dx * dx + dy * dy
    safe = np.maximum(square, 1e-6)
    angle = 6.283 * turn
    second = (
        (dx * dx - dy * dy) * np.float32(np.cos(angle)) + 2 * dx * dy * np.float32(np.sin(angle))
    ) / safe
    lobes = 1 + 0.14 * second
    if kind in ("fruit", "broadleaf"):
        lobes = lobes + 0.09 * ragged
    inside = 1 - square / (r * lobes) ** 2
    if power >= 1:
        inside = 1 - np.sqrt(square) / (r * lobes)
    shape = foot + (1 - foot) * np.maximum(inside, 0) ** np.float32(power)
    if kind in ("fruit", "broadleaf"):
        # Old crowns are open: light falls through where the clumps of leaves are thin.
        thin = (ragged < -1.15 - 0.8 * turn) & (square > (0.3 * r) ** 2)
        shape = shape * (1 + 0.05 * np.clip(ragged, -2, 2)) * np.where(thin, 0.35, 1)
    result: Array = np.where(inside > 0, shape, 0).astype(np.float32)
    return result


def _draw_solid(scene: Scene, number: int, solid: Solid, window: Window, resolution: float) -> None:
    rows, columns = scene.heights.shape
    reach = 0.5 * np.hypot(solid.length, solid.width) / resolution + 1
    x, y = (solid.x - window[0]) / resolution - 0.5, (window[3] - solid.y) / resolution - 0.5
    left, right = max(0, int(x - reach)), min(columns, int(x + reach) + 2)
    up, down = max(0, int(y - reach)), min(rows, int(y + reach) + 2)
    if left >= right or up >= down:
        return
    dx = (np.arange(left, right)[None, :] - x) * resolution
    dy = -(np.arange(up, down)[:, None] - y) * resolution
    cos, sin = np.cos(solid.angle), np.sin(solid.angle)
    along, across = dx * cos + dy * sin, -dx * sin + dy * cos
    half = solid.width / 2
    if solid.form == "round":
        inside = np.hypot(along, across) <= half
    else:
        inside = (np.abs(along) <= solid.length / 2) & (np.abs(across) <= half)
    rise = {
        "gable": 1 - np.abs(across) / half,
        "tilt": (across / half + 1) / 2,
    }.get(solid.form, np.zeros_like(across))
    height = (solid.eave + (solid.ridge - solid.eave) * rise).astype(np.float32)
    patch = (slice(up, down), slice(left, right))
    higher = inside & (height > scene.heights[patch])
    scene.heights[patch][higher] = height[higher]
    scene.owner[patch][higher] = number


def parcel_map(world: World, window: Window, resolution: float) -> Array:
    """Number + 1 of the parcel of each pixel, 0 for the verges between them."""
    xmin, ymin, xmax, ymax = window
    shape = (round((ymax - ymin) / resolution), round((xmax - xmin) / resolution))
    shapes = [
        (parcel.outline, number + 1)
        for number, parcel in enumerate(world.parcels)
        if _touches(parcel.outline.bounds, window)
    ]
    if not shapes:
        return np.zeros(shape, np.int32)
    result: Array = rasterio.features.rasterize(
        shapes, shape, transform=from_origin(xmin, ymax, resolution, resolution), dtype="int32"
    )
    return result


def _touches(bounds: Window, window: Window) -> bool:
    return (
        bounds[0] < window[2]
        and bounds[2] > window[0]
        and bounds[1] < window[3]
        and bounds[3] > window[1]
    )


def _low_growth(world: World, window: Window, resolution: float) -> Array:
    """Heights of grass and crops at the surface flight, metres."""
    table = np.array(
        [
            0.1,
            *(
                crop_height(cover(parcel, SURFACE_DATE), parcel, SURFACE_DATE)
                for parcel in world.parcels
            ),
        ],
        np.float32,
    )
    result: Array = table[parcel_map(world, window, resolution)]
    return result
