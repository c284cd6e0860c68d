"""Which cells of a window a geometry covers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize


def mask_of(geometry: Any, transform: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return an array (rows, cols), true where the centre of a cell lies in `geometry`.

    A geometry so small that it holds no centre has the cells that it touches.
    """
    inside = labels_of([geometry], transform, shape) > 0
    if inside.any() or geometry.is_empty:
        return inside
    touched = rasterize(
        [(geometry, 1)], out_shape=shape, transform=transform, dtype="uint8", all_touched=True
    )
    return np.asarray(touched, dtype=bool)


def labels_of(
    geometries: Iterable[Any], transform: Any, shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Return an array (rows, cols): 1 in the first geometry, 2 in the second, 0 in none."""
    shapes = [(item, index) for index, item in enumerate(geometries, 1) if not item.is_empty]
    if not shapes:
        return np.zeros(shape, dtype=np.int32)
    labels = rasterize(shapes, out_shape=shape, transform=transform, dtype="int32")
    return np.asarray(labels, dtype=np.int32)
