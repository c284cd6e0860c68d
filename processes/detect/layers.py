"""The layers of the GeoPackage that the detection writes."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from processes.detect.batch import Found


def crown_layer(found: Found, dates: NDArray[np.object_], crs: str) -> Any:
    """Return crowns as a GeoDataFrame; `tree_id` says where the top is, in decimetres."""
    columns = {
        "tree_id": _ids("t", found),
        **found.columns,
        "top_x": found.x,
        "top_y": found.y,
        "surface_date": dates,
    }
    return _frame(columns, found, crs)


def structure_layer(found: Found, crs: str) -> Any:
    """Return raised planes as a GeoDataFrame."""
    return _frame({"structure_id": _ids("s", found), **found.columns}, found, crs)


def _frame(columns: dict[str, Any], found: Found, crs: str) -> Any:
    frame = gpd.GeoDataFrame(columns, geometry=_polygons(found), crs=crs)
    frame.attrs["geometry_type"] = "Polygon"
    return frame


def _polygons(found: Found) -> NDArray[np.object_]:
    owners = np.repeat(np.arange(len(found.x)), np.diff(found.starts))
    if not len(owners):
        return np.array([], dtype=object)
    rings = shapely.linearrings(found.corners[::-1], indices=owners[-1] - owners[::-1])
    polygons = np.asarray(shapely.polygons(rings), dtype=object)
    return polygons[::-1]


def _ids(prefix: str, found: Found) -> list[str]:
    east = np.floor(found.x * 10 + 1e-3).astype(np.int64)
    north = np.floor(found.y * 10 + 1e-3).astype(np.int64)
    return [f"{prefix}{x}_{y}" for x, y in zip(east, north, strict=True)]
