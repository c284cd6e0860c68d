"""The checks before a release: a release that fails one is never made, the old one stays.

Each check has a name that people meet in the report, in the manifest and in the error.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import shapely
from pyproj import CRS

from processes.publish.carry_over import Merged
from processes.publish.layers import VERDICTS, Layer
from processes.stage import InputDataError

SHOWN = 5  # examples named in one failed check


@dataclass
class Checks:
    """The checks done so far."""

    done: list[dict[str, Any]] = field(default_factory=list)

    def record(self, check: str, faults: list[str], passed: str) -> None:
        """Note the result of one check: its faults, or `passed` when there are none."""
        detail = "; ".join(faults) if faults else passed
        self.done.append({"check": check, "ok": not faults, "detail": detail})

    def require(self) -> None:
        """Raise InputDataError that names every failed check."""
        failed = [check for check in self.done if not check["ok"]]
        if failed:
            names = ", ".join(check["check"] for check in failed)
            details = " | ".join(f"{check['check']}: {check['detail']}" for check in failed)
            raise InputDataError(
                f"release refused, check failed: {names}",
                f"{details}. The release before stays as it is.",
            )


@dataclass
class Faults:
    """What is wrong with the rows of a layer that were looked at so far.

    Attributes:
        shapes: Ids of rows that have no valid polygon.
        without_id: Number of rows without id.
        twice: Ids that are there twice.
    """

    shapes: list[str] = field(default_factory=list)
    without_id: int = 0
    twice: list[str] = field(default_factory=list)

    def add(self, layer: Layer, frame: Any) -> None:
        """Look at further rows; rows of one id come together."""
        shapes, ids = frame.geometry.to_numpy(), frame[layer.id_field]
        good = shapely.is_valid(shapes) & ~shapely.is_empty(shapes) & ~shapely.is_missing(shapes)
        good &= (shapely.get_dimensions(shapes) == 2) & (shapely.get_type_id(shapes) != 7)
        self.shapes += ids[~good].astype(str).tolist()
        self.without_id += int(ids.isna().sum())
        self.twice += sorted(set(ids[ids.duplicated() & ids.notna()].astype(str)))


def check_schema(checks: Checks, frames: Mapping[Layer, Any]) -> None:
    """Every layer has the columns that readers rely on."""
    faults = [
        f"layer {layer.name} lacks column {name}"
        for layer, frame in frames.items()
        for name, column in layer.columns.items()
        if column.required and name not in frame.columns
    ]
    checks.record("schema", faults, "all required columns are there")


def check_crs(checks: Checks, frames: Mapping[Layer, Any], crs: str) -> None:
    """Every layer has the coordinate reference system of the run."""
    wanted = CRS.from_user_input(crs)
    faults = [
        f"layer {layer.name} has {frame.crs.to_string() if frame.crs else 'none'}, expected {crs}"
        for layer, frame in frames.items()
        if frame.crs is None or not CRS.from_user_input(frame.crs).equals(wanted)
    ]
    checks.record("crs", faults, f"all layers are in {crs}")


def check_geometry(checks: Checks, found: Mapping[Layer, Faults]) -> None:
    """Every feature has a valid polygon."""
    faults = [
        f"layer {layer.name}: {len(rows.shapes)} not a valid polygon ({_some(rows.shapes)})"
        for layer, rows in found.items()
        if rows.shapes
    ]
    checks.record("geometry", faults, "all features are valid polygons")


def check_ids(checks: Checks, found: Mapping[Layer, Faults]) -> None:
    """Every feature has an id that no other feature of its layer has."""
    faults = []
    for layer, rows in found.items():
        if rows.without_id:
            faults.append(f"layer {layer.name}: {rows.without_id} features without id")
        if rows.twice:
            faults.append(f"layer {layer.name}: {len(rows.twice)} ids twice ({_some(rows.twice)})")
    checks.record("unique-ids", faults, "all ids are unique")


def check_references(checks: Checks, objects: Any, named: Set[str]) -> None:
    """Every tree that names an object names one of this release."""
    unknown = sorted(str(name) for name in named - set(objects["object_id"]))
    faults = [f"{len(unknown)} objects named by trees are not there ({_some(unknown)})"]
    checks.record("references", faults if unknown else [], "all objects named by trees are there")


def check_verdicts(checks: Checks, merged: Merged, max_change: float, min_compared: int) -> None:
    """Verdicts are known, and their shares are near those of the same area before.

    Compared are the run's objects with those they replace, when both are `min_compared` or more.
    """
    now, before = merged.own["verdict"], merged.replaced["verdict"]
    given = {*now, *merged.carried["verdict"]}
    unknown = sorted({str(value) for value in given if value not in VERDICTS})
    faults = [f"unknown: {_some(unknown)}, expected {', '.join(VERDICTS)}"] if unknown else []
    checks.record("verdicts", faults, "all verdicts are known")
    if len(now) < min_compared or len(before) < min_compared:
        detail = (
            f"not compared: {len(now)} objects now, {len(before)} before; {min_compared} needed"
        )
        checks.record("verdict-shares", [], detail)
        return
    faults, compared = [], []
    for verdict in VERDICTS:
        new, old = float((now == verdict).mean()), float((before == verdict).mean())
        text = f"{verdict} {old:.1%} before, {new:.1%} now"
        compared.append(text)
        if abs(new - old) > max_change:
            faults.append(f"{text}, more than {max_change:.0%} apart (input max_verdict_change)")
    checks.record("verdict-shares", faults, "; ".join(compared))


def check_counts(checks: Checks, counts: Mapping[Layer, tuple[int, int]], folder: Path) -> None:
    """The files hold as many features as were taken from the inputs and carried over.

    Args:
        checks: Where the result is noted.
        counts: Features of this run and those carried over, by layer.
        folder: Folder of the files.
    """
    from pyogrio import read_info

    faults, counted = [], []
    for layer, (own, carried) in counts.items():
        written = int(read_info(folder / f"{layer.name}.gpkg", layer=layer.name)["features"])
        counted.append(f"{layer.name} {written} ({own} of this run, {carried} carried over)")
        if written != own + carried:
            faults.append(f"{layer.name}.gpkg holds {written} features, expected {own + carried}")
    checks.record("counts", faults, "; ".join(counted))


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
