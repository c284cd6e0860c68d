"""What the images said of the crowns near objects, kept on the disk and read square by square.

An object may reach far beyond its square, so the trees can be written only when all objects are
judged; a district has too many crowns near objects to hold them until then.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processes.assess.squares import squares_of


class Seen:
    """By tree id: NDVI, and whether that is a tree's; those at hand are of a few squares only.

    A crown between two objects keeps what was found first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at_hand: dict[str, tuple[float, bool]] = {}
        self._new: dict[tuple[int, int], list[str]] = defaultdict(list)

    def load(self, tops: NDArray[np.float64]) -> None:
        """Have at hand what is known of the crowns with these tops, and no more."""
        for square, lines in self._new.items():
            with self._file(*square).open("a", encoding="utf-8") as stream:
                stream.writelines(lines)
        self._new.clear()
        self._at_hand.clear()
        for column, row in np.unique(squares_of(tops), axis=0).tolist():
            if (path := self._file(column, row)).exists():
                for line in path.read_text(encoding="utf-8").splitlines():
                    tree_id, ndvi, green = json.loads(line)
                    self._at_hand[tree_id] = ndvi, green

    def add(
        self,
        ids: NDArray[Any],
        tops: NDArray[np.float64],
        ndvi: NDArray[np.float64],
        green: NDArray[np.bool_],
    ) -> None:
        """Keep the NDVI of crowns; they must be among those that `load` was asked for last."""
        squares = map(tuple, squares_of(tops).tolist())
        for tree_id, square, *known in zip(
            ids, squares, ndvi.tolist(), green.tolist(), strict=True
        ):
            if tree_id not in self._at_hand:
                self._at_hand[tree_id] = known[0], known[1]
                self._new[square].append(json.dumps([tree_id, *known]) + "\n")

    def ndvi(self, ids: NDArray[Any]) -> NDArray[np.float64]:
        """Return the NDVI of crowns; NaN where it is not known."""
        unknown = (np.nan, False)
        return np.array([self._at_hand.get(tree_id, unknown)[0] for tree_id in ids], np.float64)

    def is_tree(
        self, ids: NDArray[Any], flatness: NDArray[np.float64], max_flatness: float
    ) -> NDArray[np.bool_]:
        """Tell which crowns are trees: by their NDVI where known, else by their shape."""
        is_tree = flatness <= max_flatness
        for index, tree_id in enumerate(ids):
            if tree_id in self._at_hand:
                is_tree[index] = self._at_hand[tree_id][1]
        return is_tree

    def _file(self, column: int, row: int) -> Path:
        return self._folder / f"{column}_{row}.jsonl"


@contextmanager
def seen_in(folder: Path) -> Iterator[Seen]:
    """Give a `Seen` that works in `folder`, which is made and at the end removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield Seen(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
