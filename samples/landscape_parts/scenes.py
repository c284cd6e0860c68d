"""One year of Sentinel-2: images with the season of every land use, clouds, shadows and SCL."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from landscape_parts.frame import MARGIN, SENTINEL_YEAR, Array, Frame
from landscape_parts.season import cover, leaf_on
from landscape_parts.surface import Textures, parcel_map, render
from landscape_parts.trees import KINDS
from landscape_parts.world import World

BANDS = ("B02", "B03", "B04", "B08", "B11")
# Surface reflectance of pure covers in the order of BANDS.
PURE = {
    "green": (0.032, 0.068, 0.042, 0.400, 0.195),
    "dry": (0.062, 0.095, 0.125, 0.270, 0.310),
    "soil": (0.085, 0.112, 0.148, 0.205, 0.290),
    "leaves": (0.020, 0.046, 0.026, 0.370, 0.155),
    "twigs": (0.040, 0.058, 0.075, 0.165, 0.195),
    "needles": (0.018, 0.034, 0.022, 0.225, 0.090),
    "roof": (0.110, 0.120, 0.155, 0.200, 0.225),
    "asphalt": (0.085, 0.095, 0.105, 0.135, 0.165),
    "panel": (0.050, 0.052, 0.055, 0.085, 0.100),
    "cloud": (0.62, 0.61, 0.60, 0.63, 0.40),
    "snow": (0.78, 0.80, 0.79, 0.75, 0.10),
}
FINE, COARSE, PIXEL = 2.5, 20, 10
CLOUD_PAD = 60  # pixels of 20 m around the area in which clouds can lie that cast shadows into it


@dataclass(frozen=True)
class Scene:
    """One acquisition: DN per band (rows, cols) uint16, SCL at 20 m, and what is said about it."""

    item_id: str
    moment: dt.datetime
    sequence: int
    baseline: str
    offset_applied: bool
    cloud_cover: float
    sun_azimuth: float
    sun_elevation: float
    bands: dict[str, Array]
    scl: Array


@dataclass(frozen=True)
class Plan:
    """What is decided about an acquisition before it is drawn; `clouds` is the share covered."""

    day: dt.date
    clouds: float
    cirrus: bool
    snow: bool
    offset_applied: bool
    edge: bool


def scene_bounds(frame: Frame) -> tuple[float, float, float, float]:
    """The area and some ground around it, on the 20 m grid."""
    xmin, ymin, xmax, ymax = frame.bounds
    reach = MARGIN - 20
    return (
        math.floor((xmin - reach) / COARSE) * COARSE,
        math.floor((ymin - reach) / COARSE) * COARSE,
        math.ceil((xmax + reach) / COARSE) * COARSE,
        math.ceil((ymax + reach) / COARSE) * COARSE,
    )


def scenes(world: World, textures: Textures) -> Iterator[Scene]:
    """About 24 acquisitions of the year in order of time; one comes in two copies."""
    labels = _labels(world, textures)
    year = plans(world.frame)
    twice = next(number for number, plan in enumerate(year) if number > 8 and not plan.clouds)
    for number, plan in enumerate(year):
        scene = _scene(world, labels, plan, number)
        yield scene
        if number == twice:  # processed twice, as happens: the older copy has the lower sequence
            yield Scene(
                **{
                    **scene.__dict__,
                    "sequence": 1,
                    "baseline": "05.11",
                    "item_id": scene.item_id.replace("_0_L2A", "_1_L2A"),
                }
            )


def plans(frame: Frame) -> list[Plan]:
    """Dates and weather: of each four dates in a row one is clear and one overcast."""
    rng = frame.stream("weather")
    result: list[Plan] = []
    for block in range(6):
        weather = rng.permutation(
            [0.0, rng.uniform(0.08, 0.3), rng.uniform(0.45, 0.75), rng.uniform(0.93, 1.0)]
        )
        for place, clouds in enumerate(weather):
            number = 4 * block + place
            day = dt.date(SENTINEL_YEAR, 1, 1) + dt.timedelta(
                days=int(6 + 15.2 * number + rng.integers(-4, 5))
            )
            result.append(
                Plan(
                    day=day,
                    clouds=float(clouds),
                    cirrus=number in (7, 18),
                    snow=number == 1,
                    offset_applied=number % 3 != 1,
                    edge=number == 13,
                )
            )
    return result


def _labels(world: World, textures: Textures) -> Array:
    """Number of the cover of each 2.5 m pixel, see `_reflectance`."""
    window = scene_bounds(world.frame)
    labels = parcel_map(world, window, FINE)
    scene = render(world, textures, window, FINE, dt.date(SENTINEL_YEAR, 7, 1))
    first = len(world.parcels) + 1
    kinds = scene.trees["kind"].astype(np.int32)
    canopy, solid = scene.owner > 0, scene.owner < 0
    labels[canopy] = first + kinds[scene.owner[canopy] - 1]
    panel = np.array([one.kind == "panel" for one in scene.solids], bool)
    if solid.any():
        is_panel = panel[-scene.owner[solid] - 1]
        labels[solid] = first + len(KINDS) + is_panel.astype(np.int32)
    return labels


def _reflectance(world: World, day: dt.date) -> Array:
    """Reflectance by cover number: 0 verges, then parcels, kinds of tree, roofs, panels."""
    pure = {name: np.array(values) for name, values in PURE.items()}
    ground = np.array([pure["green"], pure["dry"], pure["soil"]])
    verge = (0.62, 0.3, 0.08)
    rows = [np.array(verge) @ ground]
    for parcel in world.parcels:
        value = np.array(cover(parcel, day)) @ ground
        if parcel.use in ("road", "yard"):
            value = 0.75 * pure["asphalt"] + 0.25 * value
        elif parcel.use == "garden":
            value = 0.75 * value + 0.25 * pure["asphalt"]
        rows.append(value * (0.95 + 0.1 * parcel.turn))
    leaves = leaf_on(day.timetuple().tm_yday)
    grass = np.array([0.7, 0.22, 0.08]) @ ground
    bare = 0.55 * pure["twigs"] + 0.45 * grass
    for kind in KINDS:
        if kind in ("conifer", "christmas-tree"):
            rows.append(pure["needles"] * (1.0 if kind == "conifer" else 1.3))
            continue
        under = pure["twigs"] if kind == "broadleaf" else bare
        rows.append(leaves * pure["leaves"] + (1 - leaves) * under)
    rows += [pure["roof"], pure["panel"]]
    return np.array(rows, np.float32)


def _scene(world: World, labels: Array, plan: Plan, number: int) -> Scene:
    rng = world.frame.stream("scene", number)
    table = _reflectance(world, plan.day)
    height, width = labels.shape[0] // 4, labels.shape[1] // 4
    image = np.empty((height, width, len(BANDS)), np.float32)
    step = 400  # rows of 10 m at a time, so that memory does not grow with the area
    for row in range(0, height, step):
        part = table[labels[row * 4 : (row + step) * 4]]
        image[row : row + step] = cv2.resize(
            part, (width, part.shape[0] // 4), interpolation=cv2.INTER_AREA
        )
    image = cv2.GaussianBlur(image, (0, 0), 0.55)
    if plan.snow:
        snow = np.array(PURE["snow"], np.float32)
        depth = 0.85 - 0.5 * (image[..., 3:4] < 0.18)
        image = image * (1 - depth) + snow * depth
    azimuth, elevation = _sun(plan.day)
    opacity, shadow = _sky(rng, (height // 2, width // 2), plan, azimuth, elevation)
    image, clear = _through_sky(image, opacity, shadow, plan, rng)
    scl = _classify(clear, opacity, shadow, plan)
    bands = _numbers(image, plan.offset_applied)
    if plan.edge:  # the orbit's swath ends here
        cut = round(0.82 * width / 2)
        scl[:, cut:] = 0
        for name, values in bands.items():
            values[:, cut if name == "B11" else 2 * cut :] = 0
    moment = dt.datetime.combine(plan.day, dt.time(10, 36, 51 - number), dt.UTC)
    platform = "S2A" if number % 2 else "S2B"
    return Scene(
        item_id=f"{platform}_32ULC_{plan.day:%Y%m%d}_0_L2A",
        moment=moment,
        sequence=0,
        baseline="05.10",
        offset_applied=plan.offset_applied,
        cloud_cover=round(float(np.isin(scl, (8, 9, 10)).mean() * 100), 3),
        sun_azimuth=azimuth,
        sun_elevation=elevation,
        bands=bands,
        scl=scl,
    )


def _sun(day: dt.date) -> tuple[float, float]:
    """Azimuth and elevation in degrees at 10:36 UTC near 51.6 degrees north."""
    season = math.cos(2 * math.pi * (day.timetuple().tm_yday - 172) / 365)
    return 160.0 - 10 * season, 38.0 + 22 * season


def _sky(
    rng: np.random.Generator, shape: tuple[int, int], plan: Plan, azimuth: float, elevation: float
) -> tuple[Array, Array]:
    """Cloud opacity and cloud shadow, both 0..1 on the 20 m grid."""
    rows, columns = shape[0] + 2 * CLOUD_PAD, shape[1] + 2 * CLOUD_PAD
    heights = rng.standard_normal((rows, columns)).astype(np.float32)
    layers = [
        weight * _unit(cv2.GaussianBlur(heights, (0, 0), sigma))
        for sigma, weight in ((16, 1.0), (6, 0.45), (2, 0.12))
    ]
    field: Array = np.sum(layers, axis=0)
    if plan.clouds <= 0:
        return np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    inner = np.s_[CLOUD_PAD : CLOUD_PAD + shape[0], CLOUD_PAD : CLOUD_PAD + shape[1]]
    limit = np.quantile(field[inner], max(0.0, 1 - plan.clouds)) - (0.6 if plan.clouds > 0.9 else 0)
    opacity: Array = np.clip((field - limit) / 0.35 + 0.3, 0, 1).astype(np.float32)
    length = rng.uniform(350, 800) / math.tan(math.radians(elevation)) / COARSE
    length = min(length, CLOUD_PAD - 2)
    matrix = np.array(
        [
            [1, 0, length * math.sin(math.radians(azimuth))],
            [0, 1, -length * math.cos(math.radians(azimuth))],
        ]
    )
    shadow = cv2.warpAffine(
        opacity, matrix, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return opacity[inner], shadow[inner]


def _unit(values: Array) -> Array:
    result: Array = (values - values.mean()) / values.std()
    return result


def _through_sky(
    image: Array, opacity: Array, shadow: Array, plan: Plan, rng: np.random.Generator
) -> tuple[Array, Array]:
    """The image as the sensor sees it, and the ground without the sky (for the classification)."""
    size = (image.shape[1], image.shape[0])
    thick = cv2.resize(opacity, size, interpolation=cv2.INTER_LINEAR)[..., None]
    dark = cv2.resize(shadow, size, interpolation=cv2.INTER_LINEAR)[..., None]
    haze = np.array([1.0, 0.7, 0.5, 0.3, 0.1], np.float32) * np.float32(rng.uniform(0, 0.012))
    ground = image * (1 + 0.02 * rng.standard_normal(image.shape).astype(np.float32))
    seen = ground * (1 - 0.62 * dark) + haze
    if plan.cirrus:
        seen = seen + np.array([0.05, 0.048, 0.046, 0.044, 0.02], np.float32)
    cloud = np.array(PURE["cloud"], np.float32)
    seen = seen * (1 - thick) + cloud * (0.75 + 0.25 * thick) * thick
    return np.maximum(seen, 0.0005), ground


def _classify(ground: Array, opacity: Array, shadow: Array, plan: Plan) -> Array:
    """A scene classification as a processor makes it: thin cloud edges stay undetected."""
    size = (opacity.shape[1], opacity.shape[0])
    coarse = cv2.resize(ground, size, interpolation=cv2.INTER_AREA)
    red, infrared = coarse[..., 2], coarse[..., 3]
    greenness = (infrared - red) / (infrared + red)
    scl = np.where(greenness > 0.38, 4, 5).astype(np.uint8)
    scl[(greenness > 0.3) & (greenness <= 0.38)] = 7
    if plan.snow:
        scl[coarse[..., 0] > 0.35] = 11
    if plan.cirrus:
        scl[:] = 10
    scl[shadow > 0.35] = 3
    scl[opacity > 0.25] = 8
    scl[opacity > 0.6] = 9
    return scl


def _numbers(image: Array, offset_applied: bool) -> dict[str, Array]:
    """DN as Earth Search hands them out: with the offset of 1000 unless it was taken out."""
    offset = 0 if offset_applied else 1000
    size = (image.shape[1] // 2, image.shape[0] // 2)
    result = {}
    for number, name in enumerate(BANDS):
        band = image[..., number]
        if name == "B11":
            band = cv2.resize(band, size, interpolation=cv2.INTER_AREA)
        result[name] = np.clip(np.round(band * 10000) + offset, 1, 65535).astype(np.uint16)
    return result
