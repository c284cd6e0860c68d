"""Coordinate reference systems by URI, with transformers kept: building one costs 2 to 40 ms.

Data in files are always x, y (east before north); what the service takes and gives follows the axis
order of each CRS, as OGC API - Features - Part 2 demands (latitude first for EPSG:4326).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
DEGREE_DECIMALS, METRE_DECIMALS = 8, 4  # about a millimetre, less than any source's accuracy


def uri_of(code: str) -> str:
    """Return the URI of a code such as ``EPSG:25832``."""
    authority, _, number = code.partition(":")
    return f"http://www.opengis.net/def/crs/{authority}/0/{number}"


@functools.lru_cache(maxsize=64)
def crs_of(uri: str) -> CRS:
    """Return the CRS of a URI (``http://www.opengis.net/def/crs/EPSG/0/25832``), URN or CURIE.

    Raises:
        CRSError: The text names no CRS.
    """
    parts = uri.strip("[]").replace("urn:ogc:def:crs", "def/crs").replace(":", "/").split("/")
    parts = [part for part in parts if part]
    if len(parts) < 2:
        raise CRSError(f"{uri!r} is no URI of a CRS")
    authority = parts[-3] if len(parts) > 2 and parts[-3] != "crs" else parts[-2]
    return CRS.from_authority(authority, parts[-1])


@functools.lru_cache(maxsize=64)
def north_first(uri: str) -> bool:
    """Tell whether the first axis of a CRS points north."""
    return bool(crs_of(uri).axis_info[0].direction == "north")


@functools.lru_cache(maxsize=64)
def axis_names(uri: str) -> tuple[str, str]:
    """Return the names of the x and the y axis of a CRS, as its authority abbreviates them."""
    axes = {axis.direction: axis.abbrev for axis in crs_of(uri).axis_info}
    return axes.get("east") or "E", axes.get("north") or "N"


@functools.lru_cache(maxsize=64)
def same(source: str, target: str) -> bool:
    """Tell whether two URIs name one CRS; comparing definitions each time would be slow."""
    return bool(crs_of(source) == crs_of(target))


@functools.lru_cache(maxsize=64)
def transformer(source: str, target: str) -> Transformer:
    """Return the transformer between two URIs; coordinates are x, y on both sides."""
    return Transformer.from_crs(crs_of(source), crs_of(target), always_xy=True)


def transform_points(points: NDArray[Any], source: str, target: str) -> NDArray[Any]:
    """Transform coordinates of shape (n, 2), x and y as in files, to the axis order of `target`.

    Without change of CRS the values stay as they are; else they are rounded to a millimetre.
    """
    if not same(source, target):
        x, y = transformer(source, target).transform(points[:, 0], points[:, 1])
        decimals = DEGREE_DECIMALS if crs_of(target).is_geographic else METRE_DECIMALS
        points = np.round(np.column_stack([x, y]), decimals)
    return points[:, ::-1] if north_first(target) else points


def transform_bbox(bbox: Sequence[float], source: str, target: str) -> list[float]:
    """Return the rectangle in `target` around a rectangle in `source`, each in its axis order.

    All four edges are followed, not only two corners. A height (six numbers) is left out.

    Raises:
        CRSError: A number is not finite, or the rectangle has no place in `target`.
    """
    numbers = xy_bbox(bbox, source)
    if not same(source, target):
        numbers = transform_bounds(numbers, source, target)
    return xy_bbox(numbers, target)


def transform_bounds(bounds: Sequence[float], source: str, target: str) -> list[float]:
    """Return the bounds in `target` around bounds in `source`; x, y on both sides."""
    left, bottom, right, top = bounds
    result = transformer(source, target).transform_bounds(left, bottom, right, top)
    if not all(math.isfinite(value) for value in result):
        raise CRSError(f"the box {list(bounds)} has no place in {target}")
    return list(result)


def xy_bbox(bbox: Sequence[float], uri: str) -> list[float]:
    """Swap the axes of a rectangle where `uri` puts north first; its own inverse.

    Raises:
        CRSError: A number is not finite, or there are neither four nor six.
    """
    numbers = [float(value) for value in bbox]
    if len(numbers) == 6:
        numbers = [numbers[0], numbers[1], numbers[3], numbers[4]]
    if len(numbers) != 4 or not all(math.isfinite(value) for value in numbers):
        raise CRSError("a box has four or six finite numbers")
    first, second, third, fourth = numbers
    return [second, first, fourth, third] if north_first(uri) else numbers
