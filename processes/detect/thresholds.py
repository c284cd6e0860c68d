"""The thresholds of the detection and how far each of them reaches.

A crown found in one batch must be the one that any other batch, or the whole mosaic, would give. So
every operator has a bounded reach, and the sum of them is the buffer that a batch must bring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processes.stage import InputDataError

MIN_CELL, MAX_CELL = 0.1, 1.0  # metres
MAX_KERNEL = 20  # binomial order; larger sums would not be exact in float64
BLOCK = 20.0  # metres; structures are cut along these lines of the CRS to keep their reach bounded
TALLEST = 300.0  # metres; anything higher is an error of measurement, not a tree
UNITS = 16  # smoothed heights are whole sixteenths of a centimetre


@dataclass(frozen=True)
class Thresholds:
    """What counts as a crown; lengths in metres, the meaning of each stands in `process.cwl`."""

    min_height: float = 2.5
    smoothing: float = 0.5
    window_base: float = 3.09632
    window_slope: float = 0.00895
    max_window: float = 8.0
    merge_distance: float = 3.0
    saddle_distance: float = 5.0
    saddle_depth: float = 0.1
    max_crown_diameter: float = 18.0
    min_crown_diameter: float = 1.5
    exclusion: float = 0.3
    roof_window: float = 3.0
    roof_roughness: float = 0.15
    max_flatness: float = 0.6
    min_structure_height: float = 2.5
    min_structure_area: float = 20.0


@dataclass(frozen=True)
class Reach:
    """The thresholds on a grid: lengths in cells, squared where distances are compared."""

    thresholds: Thresholds
    cell: float

    def __post_init__(self) -> None:
        if not MIN_CELL <= self.cell <= MAX_CELL:
            raise InputDataError(
                "cell size not supported",
                f"the nDOM has cells of {self.cell:g} m, expected {MIN_CELL:g} to {MAX_CELL:g} m: "
                "single crowns cannot be told apart on coarser cells. Use a finer nDOM.",
            )

    @property
    def kernel(self) -> int:
        """Order n of the binomial kernel; its variance is n/4 cells², its radius n/2 cells."""
        return min(2 * round(2 * (self.thresholds.smoothing / self.cell) ** 2), MAX_KERNEL)

    @property
    def crown(self) -> int:
        """Largest distance between a crown's top and its cells, in cells."""
        return int(self.thresholds.max_crown_diameter / 2 / self.cell + 1e-6)

    @property
    def lowest(self) -> float:
        """Smoothed heights below this (in `UNITS` of a centimetre) belong to no crown.

        Half the lowest crown cell: smoothing lowers an edge by no more.
        """
        limits = self.thresholds
        return max(limits.min_height * limits.exclusion * 100 * UNITS / 2, 1)

    @property
    def window(self) -> int:
        """Radius of the largest search window, in cells."""
        return max(math.isqrt(int(self.windows(np.array([TALLEST]))[0])), 1)

    @property
    def merge(self) -> int:
        """Squared distance, in cells², within which a lower top is part of a higher one."""
        return int(self.squared(np.array(self.thresholds.merge_distance)))

    @property
    def saddle(self) -> int:
        """Squared distance, in cells², within which tops need a saddle between them."""
        return int(self.squared(np.array(self.thresholds.saddle_distance)))

    @property
    def roof(self) -> int:
        """Radius of the square in which a plane is fitted, in cells."""
        return max(round(self.thresholds.roof_window / 2 / self.cell), 1)

    def windows(self, heights: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the squared window radius in cells² for heights in metres.

        The window's diameter is the crown width of deciduous trees, base + slope * height²
        (Popescu and Wynne 2004, Photogrammetric Engineering & Remote Sensing 70(5)).
        """
        limits = self.thresholds
        width = np.minimum(limits.window_base + limits.window_slope * heights**2, limits.max_window)
        return np.maximum(self.squared(width / 2), 2)

    def squared(self, distance: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return distances in metres as whole squared cells, rounded down."""
        return np.floor((distance / self.cell) ** 2 + 1e-6).astype(np.int64)

    @property
    def buffer(self) -> float:
        """The buffer in metres outside of which nothing can change a crown whose top is inside.

        A crown's cell lies up to one crown radius from its top and climbs up to one more; a side
        peak belongs to the nearest top within one crown radius, and whether that is a top depends
        on the tops near it and their windows. Everything rests on smoothed heights.
        """
        merge = max(self.thresholds.merge_distance, self.thresholds.saddle_distance)
        crowns = 2 * self.crown * self.cell + max(merge + self.window * self.cell, self.cell)
        structures = BLOCK + 2 * self.roof * self.cell
        return max(crowns + self.kernel / 2 * self.cell, structures)

    def check(self, buffer: float) -> None:
        """Raise InputDataError when `buffer` (metres) is too small."""
        if buffer + 1e-6 < self.buffer:
            raise InputDataError(
                "buffer too small",
                f"the batch has a buffer of {buffer:g} m; with these thresholds crowns depend on "
                f"cells up to {self.buffer:g} m away. Use a buffer of at least "
                f"{math.ceil(self.buffer):d} m or smaller max_crown_diameter, max_window or "
                "saddle_distance.",
            )
