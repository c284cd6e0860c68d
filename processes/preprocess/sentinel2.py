"""A year of Sentinel-2 scenes as a few numbers per cell that tell grassland from field and house.

A single scene is cloudy or odd; percentiles over the year are not. Cells are seen only where the
scene classification (SCL) says vegetation or bare soil and no cloud or shadow is near. Indices:
NDVI (Rouse et al. 1974), NDMI (Gao 1996, B08 and B11), BSI (Rikimaru et al. 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processes.preprocess.georeference import open_placed, same_place
from processes.preprocess.items import Asset, Scene
from processes.preprocess.sampling import CellGrid, bilinear, nearest

CELL = 10.0  # metres
METRICS = (
    "ndvi_p10",
    "ndvi_p50",
    "ndvi_p90",
    "ndvi_spring",
    "ndvi_autumn",
    "ndmi_p50",
    "bsi_p50",
    "bare_dates",
    "clear_dates",
)
NO_DATA, SHADOW, VEGETATION, BARE, UNCLASSIFIED = 0, 3, 4, 5, 7
CLOUD = (SHADOW, 8, 9, 10)
STACK_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Rules:
    """Which observations count: lengths in metres, months 1 to 12."""

    use_unclassified: bool = False
    cloud_radius: float = 60.0
    bare_ndvi: float = 0.3
    spring_months: tuple[int, ...] = (3, 4, 5)
    autumn_months: tuple[int, ...] = (9, 10, 11)


@dataclass(frozen=True)
class Metrics:
    """Yearly metrics, shape (9, rows, cols) in the order of METRICS, and the days that count."""

    values: NDArray[np.float32]
    days: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """What one day shows of a strip; indices are NaN where the cell is not clear."""

    ndvi: NDArray[np.float32]
    ndmi: NDArray[np.float32]
    bsi: NDArray[np.float32]
    soil: NDArray[np.bool_]


def yearly_metrics(
    scenes: Sequence[Scene],
    grid: CellGrid,
    rules: Rules,
    report: Callable[[float], None] = lambda done: None,
    stack_bytes: int = STACK_BYTES,
) -> Metrics:
    """Compute the metrics of every cell of `grid` from scenes ordered by day.

    Args:
        scenes: Scenes with at least B04, B08 and SCL; any CRS.
        grid: Cells to fill.
        rules: Which observations count.
        report: Called with the number of days done (strips count in part).
        stack_bytes: Memory for the stack of all days; larger grids are done in strips. The
            result does not depend on it.
    """
    days = [(day, list(group)) for day, group in groupby(scenes, key=lambda scene: scene.day)]
    values = np.full((len(METRICS), grid.rows, grid.cols), np.nan, dtype=np.float32)
    seen: set[str] = set()
    strips = list(grid.strips(stack_bytes // (12 * max(len(days) * grid.cols, 1))))
    for number, (rows, strip) in enumerate(strips):
        views = []
        for count, (day, group) in enumerate(days, 1):
            view = view_of_day(group, strip, rules)
            if view is not None:
                views.append((group[0].month, view))
                seen.add(day)
            report((number * len(days) + count) / len(strips))
        values[:, rows] = summarise(views, (strip.rows, strip.cols), rules)
    return Metrics(values, tuple(sorted(seen)))


def view_of_day(scenes: Sequence[Scene], grid: CellGrid, rules: Rules) -> View | None:
    """Merge the scenes of one day; None when none of them shows a clear cell.

    Where scenes overlap, the one in the grid's own CRS comes first, then by id; a later one fills
    only cells for which the earlier ones hold nothing.
    """
    merged: View | None = None
    taken = np.zeros((grid.rows, grid.cols), dtype=bool)
    for scene in _ordered(scenes, grid):
        classes = _classes(scene, grid, rules)
        if classes is None:
            continue
        scl, near_cloud = classes
        usable = (scl == VEGETATION) | (scl == BARE)
        if rules.use_unclassified:
            usable |= scl == UNCLASSIFIED
        clear = usable & ~near_cloud & ~taken
        view = _indices(scene, grid, clear, scl == BARE) if clear.any() else None
        if view is not None:
            # A cell without reflectance (edge of the swath) is left to the next scene.
            taken |= (scl != NO_DATA) & ~(clear & np.isnan(view.ndvi))
            merged = view if merged is None else _fill(merged, view, clear)
        else:
            taken |= scl != NO_DATA
    return merged


def summarise(
    views: Sequence[tuple[int, View]], shape: tuple[int, int], rules: Rules
) -> NDArray[np.float32]:
    """Reduce the views of a year (month, view) to METRICS, shape (9, rows, cols)."""
    values = np.full((len(METRICS), *shape), np.nan, dtype=np.float32)
    values[7:] = 0
    if not views:
        return values
    spring = [view.ndvi for month, view in views if month in rules.spring_months]
    autumn = [view.ndvi for month, view in views if month in rules.autumn_months]
    values[3], values[4] = _mean(spring, shape), _mean(autumn, shape)
    bare_ndvi = np.float32(rules.bare_ndvi)
    for _, view in views:
        values[7] += view.soil & (view.ndvi < bare_ndvi)
        values[8] += ~np.isnan(view.ndvi)
    for row in range(shape[0]):
        line = np.stack([view.ndvi[row] for _, view in views], axis=-1)
        values[0, row], values[1, row], values[2, row] = percentiles(line, (0.1, 0.5, 0.9))
        for place, name in ((5, "ndmi"), (6, "bsi")):
            line = np.stack([getattr(view, name)[row] for _, view in views], axis=-1)
            (values[place, row],) = percentiles(line, (0.5,))
    return values


def percentiles(values: NDArray[np.float32], shares: Sequence[float]) -> list[NDArray[np.float32]]:
    """Give percentiles along the last axis, NaN left out, linear between neighbours.

    Args:
        values: Array of shape (cells, dates); sorted in place.
        shares: Between 0 and 1.
    """
    values.sort(axis=-1)  # NaN comes last
    count = np.count_nonzero(~np.isnan(values), axis=-1)
    cells = np.arange(values.shape[0])
    found = []
    for share in shares:
        place = np.maximum(count - 1, 0) * share
        low = place.astype(np.int64)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        below = values[cells, low]
        found.append(below + (values[cells, high] - below) * (place - low).astype(np.float32))
    return found


def _ordered(scenes: Sequence[Scene], grid: CellGrid) -> list[Scene]:
    if len(scenes) == 1:
        return list(scenes)
    return sorted(scenes, key=lambda scene: (not _at_home(scene, grid), scene.id))


def _at_home(scene: Scene, grid: CellGrid) -> bool:
    asset = scene.assets["SCL"]
    with open_placed(asset.path, asset.claim) as (_, file):
        return same_place(file, grid.crs)


def _classes(
    scene: Scene, grid: CellGrid, rules: Rules
) -> tuple[NDArray[Any], NDArray[np.bool_]] | None:
    """Give a scene's SCL and whether cloud or shadow lies within the radius, shape of `grid`."""
    reach = ceil(rules.cloud_radius / grid.size)
    asset = scene.assets["SCL"]
    with open_placed(asset.path, asset.claim) as (dataset, file):
        wide = nearest(dataset, asset.path, file, grid.grow(reach))
    if wide is None:
        return None
    inner = (slice(reach, reach + grid.rows), slice(reach, reach + grid.cols))
    if not wide[inner].any():
        return None
    cloud = np.isin(wide, CLOUD)
    if reach and cloud.any():
        offset = np.arange(-reach, reach + 1) * grid.size
        disk = np.hypot(offset[:, None], offset[None, :]) <= rules.cloud_radius
        cloud = cv2.dilate(cloud.view(np.uint8), disk.view(np.uint8)).view(bool)
    return wide[inner], cloud[inner]


def _indices(
    scene: Scene, grid: CellGrid, clear: NDArray[np.bool_], soil: NDArray[np.bool_]
) -> View | None:
    red, nir = (_reflectance(scene.assets[band], grid) for band in ("B04", "B08"))
    if red is None or nir is None:
        return None
    ndvi = _ratio(nir - red, nir + red, clear)
    clear = ~np.isnan(ndvi)
    ndmi = bsi = np.full_like(ndvi, np.nan)
    blue, swir = (_optional(scene, band, grid) for band in ("B02", "B11"))
    if swir is not None:
        ndmi = _ratio(nir - swir, nir + swir, clear)
        if blue is not None:
            bright, green = swir + red, nir + blue
            bsi = _ratio(bright - green, bright + green, clear)
    return View(ndvi, ndmi, bsi, soil & clear)


def _optional(scene: Scene, band: str, grid: CellGrid) -> NDArray[np.float32] | None:
    return _reflectance(scene.assets[band], grid) if band in scene.assets else None


def _reflectance(asset: Asset, grid: CellGrid) -> NDArray[np.float32] | None:
    """Give reflectance, not below 0 (dark cells may fall below after the offset)."""
    with open_placed(asset.path, asset.claim) as (dataset, file):
        values = bilinear(dataset, asset.path, file, grid, asset.nodata)
    if values is None:
        return None
    reflectance = values * np.float32(asset.scale) + np.float32(asset.offset)
    np.maximum(reflectance, np.float32(0), out=reflectance)  # NaN stays NaN
    return reflectance


def _ratio(
    difference: NDArray[np.float32], total: NDArray[np.float32], clear: NDArray[np.bool_]
) -> NDArray[np.float32]:
    ratio = np.full_like(total, np.nan)
    np.divide(difference, total, out=ratio, where=clear & (total > 0))
    return ratio


def _fill(first: View, later: View, clear: NDArray[np.bool_]) -> View:
    return View(
        np.where(clear, later.ndvi, first.ndvi),
        np.where(clear, later.ndmi, first.ndmi),
        np.where(clear, later.bsi, first.bsi),
        np.where(clear, later.soil, first.soil),
    )


def _mean(planes: Sequence[NDArray[np.float32]], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Mean over dates; added one by one, so that a cell's sum does not depend on its strip."""
    total, count = np.zeros(shape), np.zeros(shape)
    for plane in planes:
        total += np.nan_to_num(plane)
        count += ~np.isnan(plane)
    mean = np.full(shape, np.nan, dtype=np.float32)
    np.divide(total, count, out=mean, where=count > 0, casting="same_kind")
    return mean
