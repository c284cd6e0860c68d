"""The layer of trees: every crown of the area once, with its object, NDVI and whether it is a tree.

A district has millions of crowns, so they are read and written square by square; only what the
search for candidates needs is kept, five numbers a crown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from processes.assess.gathered import CROWN_COLUMNS, Gathered
from processes.assess.objects import SQUARE, Assessor
from processes.grid import Bounds
from processes.stage import complete
from processes.vector import add_index, append


@dataclass(frozen=True)
class Stems:
    """Trees as arrays of equal length: top (n, 2), height, crown area, and whether in an object."""

    tops: NDArray[np.float64]
    heights: NDArray[np.float64]
    areas: NDArray[np.float64]
    in_object: NDArray[np.bool_]


def write_trees(path: Path, gathered: Gathered, area: Any, assessor: Assessor) -> Stems:
    """Write the crowns whose top lies in `area`; the layer is named trees.

    Returns:
        All trees of the batches, also those outside `area`: a candidate at its edge needs them.
    """
    shapely.prepare(area)
    parts: list[Stems] = []
    with complete(path) as partial:
        _append(partial, _empty(gathered.crs))
        for square in _squares(gathered):
            frame = gathered.read_crowns(square)
            x, y = frame["top_x"].to_numpy(), frame["top_y"].to_numpy()
            home = (x >= square.left) & (x < square.right)
            home &= (y >= square.bottom) & (y < square.top)
            frame = _described(frame[home].reset_index(drop=True), assessor)
            tops = frame[["top_x", "top_y"]].to_numpy(dtype=np.float64)
            parts.append(_stems(frame, tops))
            inside = shapely.contains_xy(area, tops[:, 0], tops[:, 1])
            if inside.any():
                _append(partial, frame[inside])
        add_index(partial, "trees", "tree_id")  # who reads the trees in parts takes them by id
    return _joined(parts)


def _squares(gathered: Gathered) -> Iterator[Bounds]:
    extent = gathered.crowns_extent()
    if extent is None:
        return
    for column in range(math.floor(extent.left / SQUARE), math.floor(extent.right / SQUARE) + 1):
        for row in range(math.floor(extent.bottom / SQUARE), math.floor(extent.top / SQUARE) + 1):
            left, bottom = column * SQUARE, row * SQUARE
            yield Bounds(left, bottom, left + SQUARE, bottom + SQUARE)


def _described(frame: Any, assessor: Assessor) -> Any:
    """Add object_id (the first by id where objects overlap), ndvi and is_tree."""
    points = shapely.points(frame["top_x"].to_numpy(), frame["top_y"].to_numpy())
    owner = np.full(len(frame), -1)
    if len(frame):
        tree, polygon = assessor.index.query(points, predicate="within")
        # Written from the last object to the first, so that the first one stays.
        order = np.argsort(-polygon, kind="stable")
        owner[tree[order]] = polygon[order]
    ids = assessor.objects["object_id"].to_numpy()
    seen, limits = assessor.trees, assessor.limits
    ndvi = np.array([seen.ndvi.get(tree_id, np.nan) for tree_id in frame["tree_id"]], dtype=float)
    flatness = frame["flatness"].to_numpy()
    is_tree = seen.is_tree(frame["tree_id"].to_numpy(), flatness, limits.max_flatness)
    frame["object_id"] = pd.Series(
        [ids[index] if index >= 0 else None for index in owner], dtype="object"
    )
    frame["ndvi"] = ndvi
    frame["is_tree"] = is_tree.astype("int32")
    return frame


def _stems(frame: Any, tops: NDArray[np.float64]) -> Stems:
    trees = frame["is_tree"].to_numpy() == 1
    return Stems(
        tops=tops[trees],
        heights=frame["height_m"].to_numpy()[trees],
        areas=frame["area_m2"].to_numpy()[trees],
        in_object=frame["object_id"].notna().to_numpy()[trees],
    )


def _joined(parts: list[Stems]) -> Stems:
    if not parts:
        return Stems(np.empty((0, 2)), np.empty(0), np.empty(0), np.empty(0, dtype=bool))
    return Stems(
        np.concatenate([part.tops for part in parts]),
        np.concatenate([part.heights for part in parts]),
        np.concatenate([part.areas for part in parts]),
        np.concatenate([part.in_object for part in parts]),
    )


def _empty(crs: Any) -> Any:
    kinds = {**CROWN_COLUMNS, "object_id": "object", "ndvi": "float64", "is_tree": "int32"}
    columns = {name: pd.Series(dtype=kind) for name, kind in kinds.items()}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=crs))


def _append(path: Path, frame: Any) -> None:
    columns = [*CROWN_COLUMNS, "object_id", "ndvi", "is_tree", "geometry"]
    append(path, "trees", frame[columns], "Polygon")
