"""The layer of trees: every crown of the area once, with its object, NDVI and whether it is a tree.

A district has millions of crowns, so they are read and written square by square.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from processes.assess.gathered import CROWN_COLUMNS
from processes.assess.objects import Assessor
from processes.assess.squares import owned
from processes.assess.stems import Stems
from processes.grid import Bounds
from processes.vector import append


def start_trees(path: Path, crs: Any) -> None:
    """Make the layer trees, without any."""
    kinds = {**CROWN_COLUMNS, "object_id": "object", "ndvi": "float64", "is_tree": "int32"}
    columns = {name: pd.Series(dtype=kind) for name, kind in kinds.items()}
    _append(path, gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=crs)))


def append_trees(path: Path, square: Bounds, margin: float, assessor: Assessor, area: Any) -> Stems:
    """Write the crowns whose top lies in a square and in `area`.

    Returns:
        All trees in the square and within `margin` of it, also those outside `area`: a candidate
        at its edge needs them.
    """
    frame = _described(assessor.gathered.read_crowns(square.grow(margin)), assessor)
    tops = frame[["top_x", "top_y"]].to_numpy(dtype=np.float64)
    home = owned(square, tops) & shapely.contains_xy(area, tops[:, 0], tops[:, 1])
    if home.any():
        _append(path, frame[home])
    trees = frame["is_tree"].to_numpy() == 1
    return Stems(
        tops=tops[trees],
        heights=frame["height_m"].to_numpy()[trees],
        areas=frame["area_m2"].to_numpy()[trees],
        in_object=frame["object_id"].notna().to_numpy()[trees],
    )


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
    seen, limits = assessor.seen, assessor.limits
    seen.load(frame[["top_x", "top_y"]].to_numpy(dtype=np.float64))
    tree_ids, flatness = frame["tree_id"].to_numpy(), frame["flatness"].to_numpy()
    frame["object_id"] = pd.Series(
        [ids[index] if index >= 0 else None for index in owner], dtype="object"
    )
    frame["ndvi"] = seen.ndvi(tree_ids)
    frame["is_tree"] = seen.is_tree(tree_ids, flatness, limits.max_flatness).astype("int32")
    return frame


def _append(path: Path, frame: Any) -> None:
    columns = [*CROWN_COLUMNS, "object_id", "ndvi", "is_tree", "geometry"]
    append(path, "trees", frame[columns], "Polygon")
