"""How far the surface model lies beside the image at a place, from what was measured around it.

A single object can mislead, a young orchard above all; a flight is displaced over kilometres. So
the median of the objects around counts, which does not depend on how the area was cut into
batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

RELIABLE = ("ok", "shifted")
REACH = 1000.0  # metres


class Registration:
    """Measured displacements, to be asked by place."""

    def __init__(
        self, notes: Iterable[Mapping[str, Any]], places: Mapping[str, tuple[float, float]]
    ) -> None:
        """Collect the reliable measurements.

        Args:
            notes: The batches' prepared files; ``registration.objects`` holds, by object id,
                ``dx_m``, ``dy_m`` and ``status``.
            places: Object id to a point in it.
        """
        found: dict[str, tuple[float, float]] = {}
        for document in notes:
            measured = (document.get("registration") or {}).get("objects") or {}
            for object_id, entry in measured.items():
                if entry.get("status") in RELIABLE and object_id in places:
                    found[object_id] = float(entry["dx_m"]), float(entry["dy_m"])
        ids = sorted(found)
        self._shifts: NDArray[np.float64] = np.array([found[key] for key in ids]).reshape(-1, 2)
        self._tree = cKDTree(np.array([places[key] for key in ids]).reshape(-1, 2))

    def shift(self, x: float, y: float, least: float) -> tuple[float, float]:
        """Return how far the surface lies east and north of the image, metres.

        Zero where nothing was measured within 1 km, or less than `least` metres.
        """
        near = sorted(self._tree.query_ball_point((x, y), REACH)) if len(self._shifts) else []
        if not near:
            return 0.0, 0.0
        east, north = np.median(self._shifts[near], axis=0)
        return (float(east), float(north)) if math.hypot(east, north) >= least else (0.0, 0.0)
