"""What the orthophoto says of an object: green ground, green crowns, contrast.

Grey levels are not reflectance, so NDVI here is raw and its limits are lower than Sentinel-2's.
Every half metre is enough: one cell of about 0.5 m out of the 0.1 m pixels is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from processes.assess.cells import labels_of, mask_of
from processes.assess.evidence import Image
from processes.assess.mosaic import Mosaic
from processes.assess.thresholds import Thresholds
from processes.grid import Bounds

CELL = 0.5  # metres between the pixels that are looked at
MOST_CELLS = 9_000_000  # 1.5 km x 1.5 km; larger objects are seen more coarsely
CONTRAST_WINDOW = 2.5  # metres, about half a crown
CROWN_MARGIN = 1.0  # metres around crowns that are not ground between them
MARGIN = 15.0  # metres around the object where crowns get an NDVI


@dataclass(frozen=True)
class View:
    """The image around an object, seen every half metre; NaN where there is none.

    `crowns` holds 1 in the first crown, 2 in the second, ..., 0 between them.
    """

    ndvi: NDArray[np.float32] | None
    brightness: NDArray[np.float32]
    crowns: NDArray[np.int32]
    transform: Any
    cell: float


def view_of(polygon: Any, crowns: NDArray[Any], image: Mosaic) -> View | None:
    """Read the image around an object and all of `crowns` (in the image's frame).

    Returns:
        None without data.
    """
    if not image:
        return None
    left, bottom, right, top = shapely.total_bounds(np.append(crowns, polygon))
    bounds = Bounds(left, bottom, right, top).grow(CONTRAST_WINDOW)
    step = max(1, round(CELL / image.cell), image.step_for(bounds, MOST_CELLS))
    found = image.read(bounds, list(range(1, image.count + 1)), step)
    if found is None:
        return None
    bands, transform = found
    bands[:, ~(np.nan_to_num(bands) > 0).any(axis=0)] = np.nan
    if np.isnan(bands).all():
        return None
    labels = labels_of(crowns, transform, bands.shape[1:])
    return View(_ndvi(bands), bands[:3].mean(axis=0), labels, transform, image.cell * step)


def crown_ndvi(view: View | None, count: int) -> NDArray[np.float64]:
    """Return the mean NDVI of each of the view's `count` crowns; NaN where it is not seen."""
    result = np.full(count, np.nan)
    if view is None or view.ndvi is None or not count:
        return result
    seen = (view.crowns > 0) & np.isfinite(view.ndvi)
    labels = view.crowns[seen]
    cells = np.bincount(labels, minlength=count + 1)[1:]
    total = np.bincount(labels, view.ndvi[seen].astype(np.float64), count + 1)[1:]
    result[cells > 0] = np.round(total[cells > 0] / cells[cells > 0], 4)
    return result


def image_evidence(
    polygon: Any, view: View | None, months: frozenset[int], limits: Thresholds
) -> Image | None:
    """Measure one object.

    Args:
        polygon: The object.
        view: The image around it.
        months: Months that the image can be from, empty when unknown.
        limits: Thresholds.

    Returns:
        None where the image has no data in the object.
    """
    if view is None:
        return None
    shape = view.brightness.shape
    inside = mask_of(polygon, view.transform, shape)
    known = inside & np.isfinite(view.brightness)
    if not known.any():
        return None
    ndvi_between = green = open_ground = None
    if view.ndvi is not None:
        between = known & ~_near_crowns(view)
        open_ground = round(float((view.ndvi[known] < limits.min_image_ndvi).mean()), 4)
        if between.any():
            ndvi_between = round(float(np.median(view.ndvi[between])), 4)
            green = round(float((view.ndvi[between] >= limits.min_image_ndvi).mean()), 4)
    return Image(
        share=round(float(known.sum() / inside.sum()), 4),
        ndvi_between=ndvi_between,
        green_share=green,
        open_share=open_ground,
        rough_share=round(float((_contrast(view)[known] >= limits.min_roughness).mean()), 4),
        leaf_on=leaf_on(months, limits),
    )


def leaf_on(months: frozenset[int], limits: Thresholds) -> bool | None:
    """Tell whether trees have leaves in all `months`; None when in some only, or none is known."""
    leaves = {limits.leaf_on_from <= month <= limits.leaf_on_to for month in months}
    return leaves.pop() if len(leaves) == 1 else None


def _ndvi(bands: NDArray[np.float32]) -> NDArray[np.float32] | None:
    if len(bands) < 4:
        return None
    red, nir = bands[0], bands[3]
    total = nir + red
    index: NDArray[np.float32] = np.full_like(total, np.nan)
    np.divide(nir - red, total, out=index, where=total > 0)
    return index


def _near_crowns(view: View) -> NDArray[np.bool_]:
    """Tell which cells lie in a crown or within a margin of one."""
    reach = round(CROWN_MARGIN / view.cell)
    offset = np.arange(-reach, reach + 1)
    disk = np.hypot(offset[:, None], offset[None, :]) <= reach
    crowns = (view.crowns > 0).view(np.uint8)
    near: NDArray[np.bool_] = cv2.dilate(crowns, disk.astype(np.uint8)).view(bool)
    return near


def _contrast(view: View) -> NDArray[np.float64]:
    """Return the standard deviation of the brightness in a small window, 0 where unknown."""
    size = max(3, round(CONTRAST_WINDOW / view.cell) // 2 * 2 + 1)
    known = np.isfinite(view.brightness)
    filled = np.where(known, view.brightness, 0.0).astype(np.float64)
    weight = uniform_filter(known.astype(np.float64), size, mode="constant")
    weight = np.where(weight > 1e-9, weight, 1.0)
    mean = uniform_filter(filled, size, mode="constant") / weight
    square = uniform_filter(filled**2, size, mode="constant") / weight
    deviation: NDArray[np.float64] = np.sqrt(np.maximum(square - mean**2, 0.0))
    return np.round(deviation, 3)
