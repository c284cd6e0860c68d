"""What is known of one inventory object when it is judged: plain values, no files, no geometry.

The rules see nothing else, so that each can be tested with an object written down by hand.
None means *not measured*, never zero.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """Where one group of evidence comes from.

    Attributes:
        group: ``surface``, ``image`` or ``sentinel2``.
        campaigns: Flights or point clouds; empty when unknown.
        since: The first day that the data can be from; None when unknown.
        shown: The date for people: a day, a year or an interval. Of surface and image the
            oldest, of Sentinel-2 the newest.
        months: Months that the data can be from; empty when unknown.
    """

    group: str
    campaigns: frozenset[str] = frozenset()
    since: dt.date | None = None
    shown: str | None = None
    months: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Surface:
    """From the surface model (nDOM) and the crowns found in it."""

    share: float
    trees: int
    trees_per_ha: float
    cover: float
    height_p50: float | None = None
    height_p90: float | None = None
    spacing_m: float | None = None
    nn_cv: float | None = None
    clark_evans: float | None = None
    grid_share: float | None = None
    row_width_m: float | None = None
    structure_share: float = 0.0
    low_growth_share: float = 0.0
    trees_nearby: int = 0
    density_nearby: float = 0.0


@dataclass(frozen=True)
class Image:
    """From the orthophoto; its NDVI is of raw grey levels, so only the order of size tells."""

    share: float
    ndvi_between: float | None = None
    green_share: float | None = None
    open_share: float | None = None
    rough_share: float | None = None
    leaf_on: bool | None = None


@dataclass(frozen=True)
class Sentinel2:
    """From the yearly Sentinel-2 metrics, medians of the pixels inside the object."""

    pixels: float
    clear_dates: float
    bare_dates: float
    ndvi_p10: float
    ndvi_p50: float
    ndvi_p90: float
    ndvi_spring: float | None = None
    ndvi_autumn: float | None = None
    ndmi_p50: float | None = None
    bsi_p50: float | None = None
    reference_ndvi_p50: float | None = None

    @property
    def difference(self) -> float | None:
        """NDVI of the object less that of the grassland around it."""
        if self.reference_ndvi_p50 is None:
            return None
        return self.ndvi_p50 - self.reference_ndvi_p50


@dataclass(frozen=True)
class Evidence:
    """All that is known of one object; a group of data that is missing there is None."""

    area_m2: float
    elongation: float
    width_m: float
    period_end: dt.date
    inventory_date: dt.date | None = None
    inventory_trees: int | None = None
    code: str | None = None
    surface: Surface | None = None
    image: Image | None = None
    sentinel2: Sentinel2 | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
    shift_m: float | None = None
