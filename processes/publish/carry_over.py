"""A run replaces what is at home in its area and keeps the rest: two districts stay both there.

Each function may be given parts of the two releases, as long as both parts hold the same ids.

An object is at home where its representative point lies. A tree goes with its object, a tree
without object is at home where its top lies, a candidate like an object. So a tree of an object
that crosses the border of the area is never lost and never there twice.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from processes.stage import InputDataError


@dataclass(frozen=True)
class Merged:
    """Rows of a layer of the new release, and those that it replaces.

    Attributes:
        own: Rows of this run.
        carried: Rows carried over from the previous release.
        replaced: Rows of the previous release that this run replaces (or found no more).
    """

    own: Any
    carried: Any
    replaced: Any

    @property
    def frame(self) -> Any:
        """All rows of the new release."""
        return joined([self.own, self.carried])

    def only(self, columns: list[str]) -> Merged:
        """Return the rows with some of their columns, and the geometry."""
        names = [*columns, "geometry"]
        return Merged(self.own[names], self.carried[names], self.replaced[names])


def joined(frames: Sequence[Any]) -> Any:
    """Return the rows of frames that have the same columns of the same types."""
    first = frames[0]
    columns = {
        name: pd.concat([frame[name] for frame in frames], ignore_index=True)
        for name in first.columns
        if name != first.geometry.name
    }
    shapes = np.concatenate([frame.geometry.to_numpy() for frame in frames])
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=first.crs)


def merge_objects(new: Any, previous: Any | None, area: Any) -> Merged:
    """Join the run's objects with those of the previous release that live outside `area`."""
    own = np.ones(len(new), dtype=bool)  # the run took them because they are at home in its area
    if previous is None:
        return _join(new, own, None, None)
    outside = ~_inside(area, _representative(previous))
    again = _in(previous.object_id, new.object_id)
    _refuse_other_places(previous[outside & again], new)
    stays = outside & ~again
    return _join(new, own, previous, stays)


def merge_trees(new: Any, previous: Any | None, area: Any, carried: Set[Any]) -> Merged:
    """Join the trees; `carried` are the ids of the objects that are carried over."""
    own = new.object_id.notna().to_numpy() | _inside(area, _tops(new))
    if previous is None:
        return _join(new, own, None, None)
    belongs = previous.object_id.notna().to_numpy()
    stays = np.where(
        belongs, previous.object_id.isin(carried), ~_inside(area, _tops(previous))
    ).astype(bool)
    # The same crown seen by both runs: the one that knows its object wins, else the newer.
    of_carried = previous.tree_id[stays & belongs]
    own &= new.object_id.notna().to_numpy() | ~_in(new.tree_id, of_carried)
    stays &= ~_in(previous.tree_id, new.tree_id[own])
    return _join(new, own, previous, stays)


def merge_candidates(new: Any, previous: Any | None, area: Any) -> Merged:
    """Join the candidates; what is at home outside the area is left to the run over there."""
    own = _inside(area, _representative(new))
    if previous is None:
        return _join(new, own, None, None)
    stays = ~_inside(area, _representative(previous))
    stays &= ~_in(previous.candidate_id, new.candidate_id[own])
    return _join(new, own, previous, stays)


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
    new: Any, own: NDArray[np.bool_], previous: Any | None, stays: NDArray[np.bool_] | None
) -> Merged:
    if previous is None or stays is None:
        return Merged(new[own], new.iloc[:0], new.iloc[:0])
    return Merged(new[own], previous[stays], previous[~stays])


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
