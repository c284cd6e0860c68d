"""A small map of the objects as inline SVG, so that the report shows where without any server."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import shapely

from processes.publish.layers import VERDICTS

WIDTH = 720  # pixels
MARGIN = 12
MIN_HEIGHT, MAX_HEIGHT = 240, 720
SMALLEST = 5.0  # pixels; what is smaller is drawn as a dot


@dataclass(frozen=True)
class Overview:
    """A drawn map: size in pixels, path data of the area, shapes and dots by verdict, scale bar."""

    width: int
    height: int
    area: str
    shapes: dict[str, str]
    dots: dict[str, str]
    scale_metres: int
    """Length that the scale bar stands for."""
    scale_pixels: float


def draw(frame: Any, area: Any) -> Overview:
    """Draw the objects of a release within `area` (polygon in the same metric CRS)."""
    extent = shapely.union_all([shapely.box(*area.bounds), *(_box(frame))])
    left, bottom, right, top = extent.bounds
    scale = max((right - left) / (WIDTH - 2 * MARGIN), (top - bottom) / (MAX_HEIGHT - 2 * MARGIN))
    height = max(MIN_HEIGHT, round((top - bottom) / scale) + 2 * MARGIN)
    middle = (left + right) / 2, (bottom + top) / 2

    def place(coordinates: Any) -> Any:
        placed = coordinates.copy()
        placed[:, 0] = (coordinates[:, 0] - middle[0]) / scale + WIDTH / 2
        placed[:, 1] = (middle[1] - coordinates[:, 1]) / scale + height / 2
        return placed

    shapes: dict[str, list[str]] = {verdict: [] for verdict in VERDICTS}
    dots: dict[str, list[str]] = {verdict: [] for verdict in VERDICTS}
    drawn = shapely.transform(frame.geometry.to_numpy(), place)
    for verdict, shape in zip(frame["verdict"], drawn, strict=True):
        x_min, y_min, x_max, y_max = shape.bounds
        if max(x_max - x_min, y_max - y_min) < SMALLEST:
            centre = shape.centroid
            dots[verdict].append(f"M{centre.x:.1f} {centre.y:.1f}h0")
        else:
            shapes[verdict].append(_path(shape.simplify(0.3)))
    scale_metres = _round_length(WIDTH / 4 * scale)
    return Overview(
        WIDTH,
        height,
        _path(shapely.transform(area, place).simplify(0.3)),
        {verdict: "".join(parts) for verdict, parts in shapes.items()},
        {verdict: "".join(parts) for verdict, parts in dots.items()},
        scale_metres,
        round(scale_metres / scale, 1),
    )


def _round_length(metres: float) -> int:
    """Return the largest 1, 2 or 5 times a power of ten that is not above `metres` (at least 1)."""
    power = 10 ** max(0, math.floor(math.log10(max(metres, 1.0))))
    return int(max(step * power for step in (1, 2, 5) if step * power <= max(metres, 1.0)))


def _box(frame: Any) -> Iterable[Any]:
    return [] if frame.empty else [shapely.box(*frame.total_bounds)]


def _path(shape: Any) -> str:
    rings = []
    for part in shapely.get_parts(shape):
        for ring in (part.exterior, *part.interiors):
            points = " ".join(f"{x:.1f} {y:.1f}" for x, y in ring.coords[:-1])
            rings.append(f"M{points}Z")
    return "".join(rings)
