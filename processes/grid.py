"""Small value types for places, so that axis order and half-open edges are decided once."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Bounds:
    """An axis-parallel rectangle in CRS units: ``left <= x < right``, ``bottom <= y < top``."""

    left: float
    bottom: float
    right: float
    top: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in self.as_tuple()):
            raise ValueError(f"bounds must be finite numbers, got {self.as_tuple()}")
        if self.left >= self.right or self.bottom >= self.top:
            raise ValueError(f"bounds must be left < right and bottom < top, got {self.as_tuple()}")

    @classmethod
    def parse(cls, text: str) -> Bounds:
        """Read ``left,bottom,right,top``."""
        values = [float(part) for part in text.split(",")]
        if len(values) != 4:
            raise ValueError(f"expected four numbers left,bottom,right,top, got {text!r}")
        return cls(*values)

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Return ``(left, bottom, right, top)``."""
        return self.left, self.bottom, self.right, self.top

    def grow(self, distance: float) -> Bounds:
        """Return the rectangle with `distance` (CRS units) added on each side."""
        return Bounds(
            self.left - distance,
            self.bottom - distance,
            self.right + distance,
            self.top + distance,
        )

    def owns(self, x: float, y: float) -> bool:
        """Tell whether the point lies inside (left and bottom edge do, right and top do not)."""
        return self.left <= x < self.right and self.bottom <= y < self.top

    def intersects(self, other: Bounds) -> bool:
        """Tell whether the two rectangles share area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )


@dataclass(frozen=True)
class Batch:
    """A rectangular block of tiles: the unit of scatter, with the buffer read around it."""

    id: str
    core: Bounds
    buffer: float
    crs: str

    @property
    def outer(self) -> Bounds:
        """The core with its buffer."""
        return self.core.grow(self.buffer)
