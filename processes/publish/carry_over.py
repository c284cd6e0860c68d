"""A run replaces what is at home in its area and keeps the rest: two districts stay both there.

An object is at home where its representative point lies. A tree goes with its object, a tree
without object is at home where its top lies, a candidate like an object. So a tree of an object
that crosses the border of the area is never lost and never there twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from processes.publish.layers import CANDIDATES, OBJECTS, TREES, Layer
from processes.stage import InputDataError


@dataclass(frozen=True)
class Merged:
    """A layer of the new release.

    Attributes:
        frame: All rows: the run's own and those carried over.
        own: Number of rows of this run.
        carried: Number of rows carried over.
        dropped: Rows of this run that are not at home in its area.
        replaced: Rows of the previous release that this run replaces (or found no more).
    """

    frame: Any
    own: int
    carried: int
    dropped: int
    replaced: Any


def merge_objects(new: Any, previous: Any | None, area: Any) -> Merged:
    """Join the run's objects with those of the previous release that live outside `area`."""
    own = np.ones(len(new), dtype=bool)  # the run took them because they are at home in its area
    if previous is None:
        return _join(OBJECTS, new, own, None, None)
    outside = ~_inside(area, _representative(previous))
    again = _in(previous.object_id, new.object_id)
    _refuse_other_places(previous[outside & again], new)
    stays = outside & ~again
    return _join(OBJECTS, new, own, previous, stays)


def merge_trees(new: Any, previous: Any | None, area: Any, objects: Merged) -> Merged:
    """Join the trees; `objects` says which objects are the run's and which are carried over."""
    own = new.object_id.notna().to_numpy() | _inside(area, _tops(new))
    if previous is None:
        return _join(TREES, new, own, None, None)
    carried_ids = objects.frame.object_id[objects.own :]
    belongs = previous.object_id.notna().to_numpy()
    stays = np.where(
        belongs, _in(previous.object_id, carried_ids), ~_inside(area, _tops(previous))
    ).astype(bool)
    # The same crown seen by both runs: the one that knows its object wins, else the newer.
    of_carried = previous.tree_id[stays & belongs]
    own &= new.object_id.notna().to_numpy() | ~_in(new.tree_id, of_carried)
    stays &= ~_in(previous.tree_id, new.tree_id[own])
    return _join(TREES, new, own, previous, stays)


def merge_candidates(new: Any, previous: Any | None, area: Any) -> Merged:
    """Join the candidates; what is at home outside the area is left to the run over there."""
    own = _inside(area, _representative(new))
    if previous is None:
        return _join(CANDIDATES, new, own, None, None)
    stays = ~_inside(area, _representative(previous))
    stays &= ~_in(previous.candidate_id, new.candidate_id[own])
    return _join(CANDIDATES, new, own, previous, stays)


def _refuse_other_places(previous: Any, new: Any) -> None:
    """Refuse ids that stand for another object elsewhere: one of the two would get lost.

    An object whose outline was changed at the border of the area still shares ground with itself.
    """
    now = new.drop_duplicates("object_id").set_index("object_id").geometry
    there = now.reindex(previous.object_id).to_numpy()
    apart = previous.object_id[~shapely.intersects(previous.geometry.to_numpy(), there)]
    if len(apart):
        raise InputDataError(
            "object id stands for two places",
            f"{', '.join(map(str, apart[:3]))}{', ...' if len(apart) > 3 else ''}: in the release "
            "before, outside this run's area, and here elsewhere. Give ids that are unique in the "
            "dataset, or publish into another one",
        )


def _join(
    layer: Layer,
    new: Any,
    own: NDArray[np.bool_],
    previous: Any | None,
    stays: NDArray[np.bool_] | None,
) -> Merged:
    kept = new[own]
    dropped = int(len(new) - len(kept))
    if previous is None or stays is None:
        return Merged(kept, len(kept), 0, dropped, new.iloc[:0])
    carried, replaced = previous[stays], previous[~stays]
    if carried.empty:
        frame = kept
    elif kept.empty:
        frame = carried
    else:
        columns = [*dict.fromkeys([*kept.columns, *carried.columns])]
        joined = {
            name: _column(kept, carried, name) for name in columns if name != kept.geometry.name
        }
        shapes = np.concatenate([kept.geometry.to_numpy(), carried.geometry.to_numpy()])
        frame = gpd.GeoDataFrame(joined, geometry=shapes, crs=kept.crs)
    return Merged(frame, len(kept), len(carried), dropped, replaced)


def _column(first: Any, second: Any, name: str) -> Any:
    present = [part[name] for part in (first, second) if name in part.columns]
    if len(present) == 2:
        return pd.concat(present, ignore_index=True)
    index = (
        range(len(first)) if name in first.columns else range(len(first), len(first) + len(second))
    )
    values = pd.Series(present[0].to_numpy(), index=index, dtype=present[0].dtype)
    return values.reindex(range(len(first) + len(second)))


def _in(values: Any, wanted: Any) -> NDArray[np.bool_]:
    return np.asarray(values.isin(set(wanted.dropna())), dtype=bool)


def _representative(frame: Any) -> NDArray[np.float64]:
    points = shapely.point_on_surface(frame.geometry.to_numpy())
    return np.column_stack([shapely.get_x(points), shapely.get_y(points)])


def _tops(frame: Any) -> NDArray[np.float64]:
    return np.column_stack([frame.top_x.to_numpy(float), frame.top_y.to_numpy(float)])


def _inside(area: Any, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    shapely.prepare(area)
    return np.asarray(shapely.intersects_xy(area, points[:, 0], points[:, 1]), dtype=bool)
