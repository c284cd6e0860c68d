"""Where the landscape lies and where its chance comes from.

Everything is laid out in a straight frame (u, v) and bent into world coordinates afterwards, so
that no field, road or tree row runs along the pixel grid.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from shapely.geometry import Polygon

Array = npt.NDArray[Any]

CRS = "EPSG:25832"
SURFACE_DATE = dt.date(2022, 7, 20)
IMAGE_DATE = dt.date(2023, 6, 14)
SENTINEL_YEAR = 2024
# Metres around the area that are laid out as well: crowns and shadows reach over its edge, and
# Sentinel-2 pixels are larger than a tree.
MARGIN = 120.0


@dataclass(frozen=True)
class Tile:
    """One tile: the part of its grid cell that lies in the area, in metres."""

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres."""
        return self.xmin, self.ymin, self.xmax, self.ymax


@dataclass(frozen=True)
class Frame:
    """The square area of one landscape: `size` and `tile_size` in metres, south-west `origin`."""

    seed: int
    size: float
    origin: tuple[float, float]
    tile_size: float = 1000.0

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres."""
        x, y = self.origin
        return x, y, x + self.size, y + self.size

    def stream(self, *names: object) -> np.random.Generator:
        """Chance of its own for one subject, so that a change in one part leaves the others."""
        place = (float(self.size), float(self.origin[0]), float(self.origin[1]))
        text = ":".join(str(part) for part in (self.seed, *place, *names))
        return np.random.default_rng(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16))

    def tiles(self) -> list[Tile]:
        """The cells of the tile grid that the area touches, from south-west to north-east."""
        xmin, ymin, xmax, ymax = self.bounds
        step = self.tile_size
        columns = range(math.floor(xmin / step), math.ceil(xmax / step))
        rows = range(math.floor(ymin / step), math.ceil(ymax / step))
        return [
            Tile(
                self._cell_name(column * step, row * step),
                max(xmin, column * step),
                max(ymin, row * step),
                min(xmax, (column + 1) * step),
                min(ymax, (row + 1) * step),
            )
            for row in rows
            for column in columns
        ]

    def _cell_name(self, x: float, y: float) -> str:
        """Grid cells of 1 km are named as in NRW; others by metres, with their size."""
        if self.tile_size == 1000:
            return f"32_{x / 1000:.0f}_{y / 1000:.0f}_1"
        return f"32_{x:.0f}_{y:.0f}_{self.tile_size:.0f}m"

    @property
    def layout_half(self) -> float:
        """Half the edge of the (u, v) square whose image covers area and margin."""
        angle = abs(self.angle)
        half = self.size / 2 + MARGIN
        return half * (math.cos(angle) + math.sin(angle)) + 15

    @property
    def angle(self) -> float:
        """Main direction of fields and roads, in radians."""
        return float(self.stream("angle").uniform(-0.42, 0.42))

    def to_world(self, u: Array, v: Array) -> tuple[Array, Array]:
        """Bend layout coordinates (metres from the centre) into world coordinates (metres)."""
        phase = self.stream("bend").uniform(0, 2 * math.pi, 4)
        bent_u = u + 7 * np.sin(v / 75 + phase[0]) + 4 * np.sin(v / 31 + phase[1])
        bent_v = v + 7 * np.sin(u / 83 + phase[2]) + 4 * np.sin(u / 29 + phase[3])
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x, y = self.origin
        half = self.size / 2
        return x + half + bent_u * cos - bent_v * sin, y + half + bent_u * sin + bent_v * cos

    def outline(self, rect: Rect) -> Polygon:
        """A layout rectangle as a polygon in world coordinates, its edges bent as well."""
        steps = max(2, math.ceil(max(rect.width, rect.height) / 12))
        along = np.linspace(0, 1, steps, endpoint=False)
        u = np.concatenate(
            [
                rect.u0 + along * rect.width,
                np.full(steps, rect.u1),
                rect.u1 - along * rect.width,
                np.full(steps, rect.u0),
            ]
        )
        v = np.concatenate(
            [
                np.full(steps, rect.v0),
                rect.v0 + along * rect.height,
                np.full(steps, rect.v1),
                rect.v1 - along * rect.height,
            ]
        )
        return Polygon(np.column_stack(self.to_world(u, v)))


@dataclass(frozen=True)
class Rect:
    """A rectangle in layout coordinates, metres."""

    u0: float
    v0: float
    u1: float
    v1: float

    @property
    def width(self) -> float:
        """Extent along u in metres."""
        return self.u1 - self.u0

    @property
    def height(self) -> float:
        """Extent along v in metres."""
        return self.v1 - self.v0

    @property
    def area(self) -> float:
        """Area in square metres (before bending)."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """Centre as (u, v)."""
        return (self.u0 + self.u1) / 2, (self.v0 + self.v1) / 2

    def inset(self, distance: float) -> Rect:
        """The rectangle with every edge moved inwards by `distance` metres."""
        return Rect(self.u0 + distance, self.v0 + distance, self.u1 - distance, self.v1 - distance)
