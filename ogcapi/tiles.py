"""The indexes of a scattered step as a drawing: on a map where they have a place, else in a grid.

An index has a place where the value that it is scattered over is a record with ``core``: xmin,
ymin, xmax, ymax in a metric CRS, as the batches of the chain are.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from k8s_manager.cwl_model import Process
from k8s_manager.plan import PlanError, plan_of, with_defaults
from k8s_manager.records import Job
from ogcapi.service import Service

MOST = 1000  # indexes that are drawn one by one
WIDTH = 400.0  # of a drawing, in its own units
SIDE, GAP, ACROSS = 22.0, 4.0, 24  # of the squares of a grid, and how many stand in a row
DONE = ("commit", "reused")
STATES = ("done", "running", "failed", "again", "waiting")
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Cell:
    """One index."""

    index: int
    state: str
    """One of `STATES`."""
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Drawing:
    """The indexes of one step."""

    step: str
    counts: Mapping[str, int]
    """Indexes by state, in the order of `STATES`; those that there are."""
    total: int
    is_map: bool
    width: float
    height: float
    cells: Sequence[Cell]


def drawings(
    service: Service, job: Job, steps: Iterable[Mapping[str, Any]], attempts: Iterable[Any]
) -> list[Drawing]:
    """Return a drawing for each scattered step of which it is known how many indexes it has.

    Args:
        service: Gives the committed outputs of earlier steps.
        job: The whole record.
        steps: Steps as `attempt_views` describes them.
        attempts: Every attempt, as `attempt_views` describes it.
    """
    states: dict[str, dict[int, str]] = {}
    for attempt in attempts:
        if "index" in attempt:
            of = states.setdefault(attempt["step"], {})
            of[attempt["index"]] = _state(of.get(attempt["index"]), attempt.get("verdict"))
    found = []
    for step in steps:
        total = step.get("total") or 0
        if step["step"] in states or total > 1:
            boxes = _boxes_of(service, job, step["step"])
            found.append(
                _drawing(step, max(total, 1), states.get(step["step"], {}), job.outcome, boxes)
            )
    return found


def _state(before: str | None, verdict: str | None) -> str:
    if verdict in DONE or before == "done":
        return "done"
    if verdict is None:
        return "running"
    return "failed" if verdict == "fail" else (before if before == "running" else "again")


def _drawing(
    step: Mapping[str, Any],
    total: int,
    states: Mapping[int, str],
    outcome: str | None,
    boxes: Sequence[Box] | None,
) -> Drawing:
    def state(index: int) -> str:
        found = states.get(index, "waiting")
        # What had not ended when the job did will not go on.
        return "waiting" if outcome and found in ("running", "again") else found

    counts = Counter(state(index) for index in range(total))
    ordered = {name: counts[name] for name in STATES if counts[name]}
    if total > MOST:
        return Drawing(step["step"], ordered, total, False, 0, 0, ())
    placed = boxes is not None and len(boxes) == total
    width, height, places = _on_map(boxes or ()) if placed else _in_grid(total)
    cells = [
        Cell(index, state(index), *(round(value, 2) for value in place))
        for index, place in enumerate(places)
    ]
    return Drawing(step["step"], ordered, total, placed, width, height, cells)


def _in_grid(total: int) -> tuple[float, float, list[Box]]:
    pitch = SIDE + GAP
    across = min(total, ACROSS)
    places = [
        (pitch * (index % across), pitch * (index // across), SIDE, SIDE) for index in range(total)
    ]
    return pitch * across, pitch * math.ceil(total / across), places


def _on_map(boxes: Sequence[Box]) -> tuple[float, float, list[Box]]:
    """Scale boxes (metres, y upwards) to a drawing (y downwards)."""
    left, bottom = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, top = max(box[2] for box in boxes), max(box[3] for box in boxes)
    scale = WIDTH / max(right - left, top - bottom, 1.0)
    places = [
        (scale * (x0 - left), scale * (top - y1), scale * (x1 - x0), scale * (y1 - y0))
        for x0, y0, x1, y1 in boxes
    ]
    return scale * (right - left), scale * (top - bottom), places


def _boxes_of(service: Service, job: Job, step: str) -> Sequence[Box] | None:
    """Return where the indexes of a step lie; None where they lie nowhere, or nobody knows yet."""
    try:
        return _known_boxes(service, job.id, step)
    except LookupError:  # not kept: it may be known later
        return None


@functools.lru_cache(maxsize=256)
def _known_boxes(service: Service, job_id: str, step_id: str) -> Sequence[Box] | None:
    """Return the places of a step's indexes, which never change once they are known.

    Raises:
        LookupError: The steps that give them are not done.
    """
    job = service.store.job(job_id)
    plan = plan_of(Process.from_json(job.process))
    step = plan.steps[step_id]
    sources = {
        source.partition("/")[0]
        for name in step.scatter
        for source in step.inputs[name].sources
        if "/" in source
    }
    outputs = {}
    for source in sources:
        committed = service.store.committed(job_id, source)
        if plan.steps[source].scatter or not committed:
            raise LookupError(source)
        outputs[source] = plan.gathered(plan.steps[source], committed)
    values = with_defaults(plan.process, job.request["values"])
    only = replace(step, inputs={name: step.inputs[name] for name in step.scatter})
    try:
        indexes = plan.inputs(only, values, outputs)
    except PlanError:
        return None
    boxes = [_box(entry.values()) for entry in indexes]
    return [box for box in boxes if box is not None] if all(boxes) else None


def _box(values: Iterable[Any]) -> Box | None:
    for value in values:
        core = value.get("core") if isinstance(value, Mapping) else None
        if isinstance(core, list) and len(core) == 4 and core[0] < core[2] and core[1] < core[3]:
            return (float(core[0]), float(core[1]), float(core[2]), float(core[3]))
    return None
