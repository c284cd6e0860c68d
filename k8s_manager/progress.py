"""How far a job is, in one number and one sentence that are true.

Every step of a job weighs the same; within a step every index does; within an index counts what
the program itself reports. An index counts as whole only once it is committed, and a job as 100 %
only once it is successful, so the number never runs ahead of the truth.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from k8s_manager.backends.base import Waiting

_TAIL_BYTES = 4096
_LONGEST_UNIT = 40


@dataclass(frozen=True)
class Line:
    """The last line that a program wrote to the file named by CDI_PROGRESS."""

    done: float
    total: float
    unit: str

    @property
    def share(self) -> float:
        """What is done, 0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0


@dataclass(frozen=True)
class StepProgress:
    """A step as the user is told of it."""

    step: str
    state: str
    total: int | None
    """Indexes; None while not known."""
    done: int
    """Committed indexes."""
    running: tuple[Line | None, ...] = ()
    """What the running attempts report; None for one that has not reported."""
    unit: str | None = None
    """What an index is called, for a scattered step."""

    @property
    def share(self) -> float:
        """What is done of the step, 0 to 1."""
        if self.state == "done":
            return 1.0
        if not self.total:
            return 0.0
        part = sum(line.share for line in self.running if line is not None)
        return min(1.0, (self.done + part) / self.total)


def percent(steps: Mapping[str, StepProgress]) -> int:
    """Return the progress of a job that is not finished: 0 to 99."""
    if not steps:
        return 0
    return min(99, int(100 * sum(step.share for step in steps.values()) / len(steps)))


def message(steps: Mapping[str, StepProgress], waiting: Waiting | None) -> str:
    """Return the sentence that says what happens now."""
    busy = [step for step in steps.values() if step.state == "running"]
    active = [step for step in busy if step.running]
    if not active and waiting is not None:
        return f"waiting: {waiting.code}: {waiting.sentence}"
    shown = (active or busy)[:1]
    return _sentence(shown[0]) if shown else ""


def last_line(path: Path) -> Line | None:
    """Return the last whole line of a progress file; None when there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            lines = stream.read().split(b"\n")[:-1]
    except OSError:
        return None
    for line in reversed(lines):
        try:
            found = json.loads(line)
            done, total, unit = float(found["done"]), float(found["total"]), str(found["unit"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
        if math.isfinite(done) and math.isfinite(total) and unit.isprintable():
            return Line(done, total, unit[:_LONGEST_UNIT])
    return None


def plural(name: str) -> str:
    """Return the plural of an input's name: batch -> batches, tile -> tiles."""
    return name + ("es" if name.endswith(("ch", "sh", "s", "x", "z")) else "s")


def _sentence(step: StepProgress) -> str:
    line = next((line for line in step.running if line is not None), None)
    if step.unit is None and line is not None:
        return f"{step.step}: {line.done:g} of {line.total:g} {line.unit}"
    unit = step.unit or "runs"
    return f"{step.step}: {step.done} of {step.total or 0} {unit}"
