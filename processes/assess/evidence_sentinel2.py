"""What a year of Sentinel-2 says of a place: green all year, ploughed, or sealed.

A quarter of a hectare is 25 pixels and about 9 inside; only those inside are used where there
are enough, so that the neighbour's field does not speak for the object.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from exactextract import exact_extract
from exactextract.feature import JSONFeatureSource
from exactextract.raster import NumPyRasterSource
from numpy.typing import NDArray
from shapely.geometry import mapping

from processes.assess.evidence import Sentinel2
from processes.assess.mosaic import Mosaic
from processes.grid import Bounds

BANDS = (
    "ndvi_p10", "ndvi_p50", "ndvi_p90", "ndvi_spring", "ndvi_autumn", "ndmi_p50", "bsi_p50",
    "bare_dates", "clear_dates",
)  # fmt: skip
INSETS = (10.0, 5.0, 0.0)  # metres; the first that leaves enough pixels
MOST_CELLS = 4_000_000  # 20 km x 20 km; of larger objects every n-th cell tells enough
REFERENCE_DISTANCE = 1000.0
# A reference pixel: never bare, green in its worst tenth of the year and not all too dark.
REFERENCE_MIN_P10 = 0.3
REFERENCE_MIN_PIXELS = 25


def sentinel2_evidence(polygon: Any, metrics: Mosaic, min_pixels: float) -> Sentinel2 | None:
    """Measure one object; None where no metric is known in it.

    Args:
        polygon: The object, metres.
        metrics: Yearly metrics with the bands of `BANDS`.
        min_pixels: Pixels inside that are enough; else more of the edge is used.
    """
    if not metrics:
        return None
    bounds = Bounds(*polygon.bounds)
    step = metrics.step_for(bounds, MOST_CELLS)
    found = metrics.read(bounds, range(1, len(BANDS) + 1), step)
    if found is None:
        return None
    bands, transform = found
    for inset in INSETS:
        part = polygon.buffer(-inset) if inset else polygon
        if part.is_empty:
            continue
        weights = _coverage(part, transform, bands.shape[1:])
        weights[~np.isfinite(bands[1])] = 0.0
        pixels = float(weights.sum())
        if pixels >= min_pixels or (inset == 0 and pixels > 0):
            return _summarise(bands, weights, pixels, _reference(polygon, metrics))
    return None


def _summarise(
    bands: NDArray[np.float32], weights: NDArray[np.float64], pixels: float, reference: float | None
) -> Sentinel2:
    medians = {
        name: weighted_median(band, weights) for name, band in zip(BANDS, bands, strict=True)
    }
    return Sentinel2(
        pixels=round(pixels, 2),
        clear_dates=medians["clear_dates"] or 0.0,
        bare_dates=medians["bare_dates"] or 0.0,
        ndvi_p10=_known(medians["ndvi_p10"]),
        ndvi_p50=_known(medians["ndvi_p50"]),
        ndvi_p90=_known(medians["ndvi_p90"]),
        ndvi_spring=medians["ndvi_spring"],
        ndvi_autumn=medians["ndvi_autumn"],
        ndmi_p50=medians["ndmi_p50"],
        bsi_p50=medians["bsi_p50"],
        reference_ndvi_p50=reference,
    )


def weighted_median(values: NDArray[Any], weights: NDArray[np.float64]) -> float | None:
    """Return the smallest value with at least half of the weight at or below it; None if empty."""
    usable = (weights > 0) & np.isfinite(values)
    if not usable.any():
        return None
    values, weights = values[usable], weights[usable]
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    index = int(np.searchsorted(total, total[-1] / 2 - 1e-9))
    return round(float(values[order][index]), 4)


def _reference(polygon: Any, metrics: Mosaic) -> float | None:
    """Return the median NDVI of grassland-like pixels within 1 km, None with too few."""
    centre = polygon.representative_point()
    x, y = centre.x, centre.y
    reach = REFERENCE_DISTANCE
    found = metrics.read(Bounds(x - reach, y - reach, x + reach, y + reach), [1, 2, 8])
    if found is None:
        return None
    (low, median, bare), transform = found
    rows, cols = median.shape
    across = transform.c + (np.arange(cols) + 0.5) * transform.a - x
    down = transform.f + (np.arange(rows) + 0.5) * transform.e - y
    usable = np.hypot(across[None, :], down[:, None]) <= reach
    with np.errstate(invalid="ignore"):
        usable &= np.isfinite(median) & (bare < 1) & (low >= REFERENCE_MIN_P10)
    usable &= _coverage(polygon, transform, median.shape) == 0
    if usable.sum() < REFERENCE_MIN_PIXELS:
        return None
    return round(float(np.median(median[usable])), 4)


def _coverage(geometry: Any, transform: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the share of each cell (rows, cols) that `geometry` covers."""
    rows, cols = shape
    index = np.arange(rows * cols, dtype=np.float64).reshape(rows, cols)
    left, top = transform.c, transform.f
    bottom, right = top + rows * transform.e, left + cols * transform.a
    source = NumPyRasterSource(index, left, bottom, right, top)
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(geometry)}
    with warnings.catch_warnings():
        # Both are in the run's CRS by construction; neither object carries it.
        warnings.filterwarnings("ignore", message=".*[Ss]patial reference.*")
        found = exact_extract(source, JSONFeatureSource([feature]), ["values", "coverage"])
    properties = found[0]["properties"]
    weights = np.zeros(rows * cols)
    weights[np.asarray(properties["values"], dtype=np.int64)] = properties["coverage"]
    return np.round(weights.reshape(rows, cols), 6)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
