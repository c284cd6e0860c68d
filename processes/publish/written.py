"""What is known of a layer once all its parts are written: for checks, manifest and report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from processes.publish.carry_over import Merged, joined
from processes.publish.checks import Faults
from processes.publish.layers import TREES
from processes.publish.parts import Source, write

Merge = Callable[[Any, Any], Merged]
"""Joins rows of the run with rows of the release before (None without one)."""


@dataclass
class Written:
    """A layer of the new release.

    Attributes:
        source: Where its rows come from, and its columns.
        own: Number of rows of this run.
        carried: Number of rows carried over.
        bounds: Rectangle around all rows (left, bottom, right, top), NaN without any.
        faults: What the checks found.
        named: Ids of the objects that trees name.
        kept: The layer's `reported` columns and the geometry of all rows, in parts; only of
            layers that have such columns.
    """

    source: Source
    own: int = 0
    carried: int = 0
    bounds: tuple[float, float, float, float] = (np.nan,) * 4
    faults: Faults = field(default_factory=Faults)
    named: set[str] = field(default_factory=set)
    kept: list[Merged] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of all rows."""
        return self.own + self.carried

    def merged(self) -> Merged:
        """Return what is kept of all rows as one."""
        return Merged(
            joined([part.own for part in self.kept]),
            joined([part.carried for part in self.kept]),
            joined([part.replaced for part in self.kept]),
        )

    def add(self, part: Merged) -> Any:
        """Take note of a part; returns its rows."""
        layer, frame = self.source.layer, part.frame
        self.own += len(part.own)
        self.carried += len(part.carried)
        self.faults.add(layer, frame)
        boxes = np.array([self.bounds, frame.total_bounds])
        left, bottom = np.fmin(*boxes[:, :2])
        right, top = np.fmax(*boxes[:, 2:])
        self.bounds = float(left), float(bottom), float(right), float(top)
        if layer is TREES:
            self.named.update(frame["object_id"].dropna())
        if layer.reported:
            self.kept.append(part.only([name for name in layer.reported if name in frame.columns]))
        return frame


def write_layer(source: Source, merge: Merge, folder: Path) -> Written:
    """Merge and write a layer part by part.

    Raises:
        InputDataError: A file cannot be read, or a value does not fit its column.
    """
    written = Written(source)

    def parts() -> Iterator[Any]:
        for new, old in source.parts():
            frame = written.add(merge(new, old))
            # After a fault there will be no release; what is no polygon could not be written.
            yield frame.iloc[:0] if written.faults.shapes else frame

    write(folder / source.file, source.layer, parts())
    return written
