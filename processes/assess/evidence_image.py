"""What the orthophoto says of an object: green ground, green crowns, contrast.

Grey levels are not reflectance, so NDVI here is raw and its limits are lower than Sentinel-2's.
Every half metre is enough: one cell of about 0.5 m out of the 0.1 m pixels is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
CONTRAST_WINDOW = 2.5  # metres, about half a crown
CROWN_MARGIN = 1.0  # metres around crowns that are not ground between them
MARGIN = 15.0  # metres around the object where crowns get an NDVI


@dataclass(frozen=True)
class View:
    """The image around an object, seen every half metre; NaN where there is none."""

    ndvi: NDArray[np.float32] | None
    brightness: NDArray[np.float32]
    transform: Any
    cell: float


def view_of(
    polygon: Any, crowns: NDArray[Any], shift: tuple[float, float], image: Mosaic
) -> View | None:
    """Read the image around an object and all of `crowns`, moved by `shift`; None without data."""
    if not image:
        return None
    bounds = Bounds(*polygon.bounds).grow(CONTRAST_WINDOW)
    if len(crowns):
        left, bottom, right, top = shapely.total_bounds(crowns)
        dx, dy = shift
        bounds = Bounds(
            min(bounds.left, left - dx),
            min(bounds.bottom, bottom - dy),
            max(bounds.right, right - dx),
            max(bounds.top, top - dy),
        )
    step = max(1, round(CELL / image.cell))
    found = image.read(bounds, list(range(1, image.count + 1)), step)
    if found is None:
        return None
    bands, transform = found
    bands[:, ~(np.nan_to_num(bands) > 0).any(axis=0)] = np.nan
    if np.isnan(bands).all():
        return None
    return View(_ndvi(bands), bands[:3].mean(axis=0), transform, image.cell * step)


def crown_ndvi(view: View | None, crowns: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean NDVI of each crown (in the image's frame); NaN where it is not seen."""
    result = np.full(len(crowns), np.nan)
    if view is None or view.ndvi is None or not len(crowns):
        return result
    labels = labels_of(crowns, view.transform, view.ndvi.shape)
    seen = (labels > 0) & np.isfinite(view.ndvi)
    count = np.bincount(labels[seen], minlength=len(crowns) + 1)[1:]
    total = np.bincount(labels[seen], view.ndvi[seen].astype(np.float64), len(crowns) + 1)[1:]
    result[count > 0] = np.round(total[count > 0] / count[count > 0], 4)
    return result


def image_evidence(
    polygon: Any, crowns: NDArray[Any], view: View | None, month: int | None, limits: Thresholds
) -> Image | None:
    """Measure one object.

    Args:
        polygon: The object.
        crowns: Crowns that touch it, in the image's frame.
        view: The image around it.
        month: Month of the image, None when unknown.
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
        grown = shapely.buffer(crowns, CROWN_MARGIN)
        between = known & (labels_of(grown, view.transform, shape) == 0)
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
        leaf_on=None if month is None else limits.leaf_on_from <= month <= limits.leaf_on_to,
    )


def _ndvi(bands: NDArray[np.float32]) -> NDArray[np.float32] | None:
    if len(bands) < 4:
        return None
    red, nir = bands[0], bands[3]
    total = nir + red
    index: NDArray[np.float32] = np.full_like(total, np.nan)
    np.divide(nir - red, total, out=index, where=total > 0)
    return index


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
