"""Trees as the search for candidates needs them: a few numbers each, without their crowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Stems:
    """Trees as arrays of equal length: top (n, 2), height, crown area, and whether in an object."""

    tops: NDArray[np.float64]
    heights: NDArray[np.float64]
    areas: NDArray[np.float64]
    in_object: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.tops)

    @classmethod
    def none(cls) -> Stems:
        """Return no trees."""
        return cls(np.empty((0, 2)), np.empty(0), np.empty(0), np.empty(0, dtype=bool))

    @classmethod
    def joined(cls, parts: Sequence[Stems]) -> Stems:
        """Return the trees of all parts (at least one), in their order."""
        return cls(
            np.concatenate([part.tops for part in parts]),
            np.concatenate([part.heights for part in parts]),
            np.concatenate([part.areas for part in parts]),
            np.concatenate([part.in_object for part in parts]),
        )

    def take(self, chosen: NDArray[Any]) -> Stems:
        """Return the chosen trees (indexes or a mask)."""
        return Stems(
            self.tops[chosen], self.heights[chosen], self.areas[chosen], self.in_object[chosen]
        )
