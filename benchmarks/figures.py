"""Measured values, their medians and what was demanded, as a table that can be pasted into docs."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

OUT = Console(width=110, highlight=False)


@dataclass(frozen=True)
class Figure:
    """One line of the result."""

    name: str
    measured: float
    unit: str
    demand: float | None = None
    """The most (or, for a rate, the least) that is allowed; None where nothing is demanded."""
    at_least: bool = False
    beside: str = ""
    """The same of a raw baseline, in words."""
    values: Sequence[float] = field(default_factory=tuple)
    """What it was computed from."""

    @property
    def met(self) -> bool | None:
        """Whether the demand is met; None where there is none."""
        if self.demand is None:
            return None
        return self.measured >= self.demand if self.at_least else self.measured <= self.demand


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float], unit: str = "s") -> str:
    """Return median, 95th percentile and number of values, in words."""
    middle, high = statistics.median(values), percentile(values, 0.95)
    return f"median {middle:.3g}, p95 {high:.3g} {unit} (n={len(values)})"


def show(figures: Sequence[Figure]) -> None:
    """Print the figures as a table."""
    table = Table("figure", "demand", "measured", "met", "beside it", box=None)
    for item in figures:
        sign = ">=" if item.at_least else "<="
        demand = "" if item.demand is None else f"{sign} {item.demand:g} {item.unit}"
        met = {None: "", True: "yes", False: "NO"}[item.met]
        table.add_row(item.name, demand, f"{item.measured:.3g} {item.unit}", met, item.beside)
    OUT.print(table)


def write(figures: Sequence[Figure], machine: str, path: Path) -> None:
    """Write the figures with all their values as JSON."""
    document = {"machine": machine, "figures": [asdict(item) for item in figures]}
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
