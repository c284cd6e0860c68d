"""The number and the sentence that a user sees, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8s_manager.backends.base import Waiting
from k8s_manager.progress import Line, StepProgress, last_line, message, percent, plural


def steps(*given: StepProgress) -> dict[str, StepProgress]:
    return {item.step: item for item in given}


DONE = StepProgress("ingest", "done", 1, 1)
HALF = StepProgress("detect", "running", 4, 1, (Line(5, 10, "tiles"), Line(1, 2, "tiles")),
                    "batches")  # fmt: skip
LATER = StepProgress("publish", "waiting", None, 0)


def test_steps_and_indexes_weigh_the_same() -> None:
    assert HALF.share == (1 + 0.5 + 0.5) / 4
    assert percent(steps(DONE, HALF, LATER)) == 50  # (1 + 0.5 + 0) / 3


def test_never_complete_before_the_job_is() -> None:
    assert percent(steps(DONE)) == 99
    assert percent({}) == 0


def test_the_sentence() -> None:
    queue = Waiting("queue", "2 are running")
    assert message(steps(DONE, HALF), queue) == "detect: 1 of 4 batches"
    own = StepProgress("ingest", "running", 1, 0, (None, Line(3, 7.5, "files")))
    assert message(steps(own), None) == "ingest: 3 of 7.5 files"
    silent = StepProgress("ingest", "running", 1, 0, (None,))
    assert message(steps(silent), None) == "ingest: 0 of 1 runs"
    idle = StepProgress("ingest", "running", 1, 0)
    assert message(steps(idle), queue) == "waiting: queue: 2 are running"
    assert message(steps(LATER), None) == ""


def test_the_last_whole_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    assert last_line(path) is None
    path.write_text('{"done": 1, "total": 4, "unit": "tiles"}\nnoise\n{"done": 2, "tot')
    assert last_line(path) == Line(1, 4, "tiles")
    path.write_text("[]\n{}\n")
    assert last_line(path) is None
    assert Line(3, 0, "x").share == 0
    assert Line(9, 3, "x").share == 1


@pytest.mark.parametrize(("one", "many"), [("batch", "batches"), ("tile", "tiles")])
def test_plural(one: str, many: str) -> None:
    assert plural(one) == many


@pytest.mark.parametrize(
    "line",
    [
        '{"done": NaN, "total": 4, "unit": "tiles"}',
        '{"done": 1e999, "total": 4, "unit": "tiles"}',
        '{"done": 1' + "0" * 400 + ', "total": 4, "unit": "tiles"}',
        '{"done": 1, "total": 4, "unit": "a\\u0000b"}',
        '{"done": 1, "total": 4, "unit": "\\ud800"}',
        '{"a":' * 1500,
    ],
)
def test_lines_that_no_record_can_hold_are_passed_over(tmp_path: Path, line: str) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_text('{"done": 1, "total": 4, "unit": "tiles"}\n' + line[:3000] + "\n")
    assert last_line(path) == Line(1, 4, "tiles")
