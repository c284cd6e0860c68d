"""Geometries as GeoJSON objects, many at once: parsing text for each would be the largest cost."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

POLYGON, MULTIPOLYGON = 3, 6  # shapely's type ids


def geojson_of(shapes: NDArray[Any]) -> list[dict[str, Any] | None]:
    """Return one GeoJSON geometry (x, y) per shape; None where there is none."""
    kinds = shapely.get_type_id(shapes)
    if not np.isin(kinds, (POLYGON, MULTIPOLYGON)).all():
        texts = shapely.to_geojson(shapely.force_2d(shapes))
        return [None if text is None else json.loads(text) for text in texts]
    polygons, shape_of = shapely.get_parts(shapes, return_index=True)
    rings, polygon_of = shapely.get_rings(polygons, return_index=True)
    points, ring_of = shapely.get_coordinates(rings, return_index=True)
    by_ring = _grouped(points.tolist(), ring_of, len(rings))
    by_polygon = _grouped(by_ring, polygon_of, len(polygons))
    by_shape = _grouped(by_polygon, shape_of, len(shapes))
    return [
        {"type": "MultiPolygon", "coordinates": parts}
        if kind == MULTIPOLYGON
        else {"type": "Polygon", "coordinates": parts[0] if parts else []}
        for kind, parts in zip(kinds.tolist(), by_shape, strict=True)
    ]


def _grouped(values: list[Any], group_of: NDArray[np.intp], count: int) -> list[list[Any]]:
    """Cut a list into `count` lists by the ascending group of each value."""
    ends = np.cumsum(np.bincount(group_of, minlength=count)).tolist()
    return [values[start:end] for start, end in zip([0, *ends][:count], ends, strict=True)]
