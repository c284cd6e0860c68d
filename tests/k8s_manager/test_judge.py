"""The table "end of an attempt -> what follows", row by row."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from k8s_manager import judge
from k8s_manager.backends import base
from k8s_manager.backends.base import Attempt
from k8s_manager.cwl import Tool
from k8s_manager.cwl_model import Resources
from k8s_manager.settings import Settings

SETTINGS = Settings(
    config=Path("c"), home=Path("h"), database_url="sqlite:///x", workspace=Path("w"),
    retry_delays_s=(1, 4, 16), max_lost=3,
)  # fmt: skip
TOOL = Tool(resources=Resources(ram_min=100, ram_max=350))


def end(code: int | None = 0, reason: str | None = None, signal: int | None = None) -> Any:
    failed = code != 0 or reason is not None
    error = {"title": "t", "detail": "d"} if failed else None
    return {"exit_code": code, "reason": reason, "signal": signal, "error": error}


def verdict(document: Any, ram_mb: int = 100, **earlier: int) -> judge.Verdict:
    counts = Counter({name.replace("_", "-"): number for name, number in earlier.items()})
    return judge.judge(attempt(document, reason="it vanished"), TOOL, ram_mb, counts, SETTINGS)


def attempt(document: Any, **changes: Any) -> Attempt:
    return Attempt("r", 0, "a", Path("a"), base.ENDED, document, **changes)


def test_a_good_end_is_committed() -> None:
    assert verdict(end(0)).kind == judge.COMMIT


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (end(65), 422),
        (end(1), 500),
        (end(70), 500),
        (end(0, reason="outputs"), 500),
        (end(0, reason="time-limit"), 500),
        (end(None, reason="time-limit", signal=9), 500),
        (end(None, reason="not-started"), 500),
        (end(None, reason="inputs"), 500),
    ],
)
def test_what_fails_at_once(document: Any, status: int) -> None:
    found = verdict(document)
    assert found.kind == judge.FAIL
    assert found.problem == {"title": "t", "detail": "d", "status": status}


@pytest.mark.parametrize("document", [end(75), end(None, reason="io")])
def test_temporary_failure_waits_longer_each_time(document: Any) -> None:
    delays = [verdict(document, again=tries).delay_s for tries in range(3)]
    assert delays == [1, 4, 16]
    assert verdict(document, again=3).kind == judge.FAIL


def test_memory_doubles_up_to_the_limit() -> None:
    full = end(None, reason="memory", signal=9)
    assert [verdict(full, ram_mb=ram).ram_mb for ram in (100, 200)] == [200, 350]
    assert verdict(full, ram_mb=350).kind == judge.FAIL


@pytest.mark.parametrize(
    "document", [None, end(None, signal=9), end(None, reason="cancelled", signal=15)]
)
def test_what_went_without_a_word_runs_again_three_times(document: Any) -> None:
    assert [verdict(document, lost=number).kind for number in range(4)] == ["lost"] * 3 + ["fail"]


def test_other_kinds_of_failure_do_not_count() -> None:
    assert verdict(None, again=9, more_memory=9, superseded=9).kind == judge.LOST


def test_a_tool_names_its_own_codes() -> None:
    tool = Tool(permanent_fail_codes=(3,), temporary_fail_codes=(4,))
    kinds = [
        judge.judge(attempt(end(code)), tool, 100, Counter(), SETTINGS) for code in (3, 4, 65, 75)
    ]
    assert [(item.kind, (item.problem or {}).get("status")) for item in kinds] == [
        ("fail", 422), ("again", None), ("fail", 500), ("fail", 500),
    ]  # fmt: skip


def test_what_the_backend_repeats_itself_needs_nothing_and_counts_as_a_try() -> None:
    again = judge.judge(attempt(end(75), repeats=True), TOOL, 100, Counter(), SETTINGS)
    assert again.kind == judge.REPEATED
    assert verdict(end(75), repeated=3).kind == judge.FAIL


def test_what_the_kernel_killed_for_lack_of_memory_gets_more() -> None:
    killed = attempt(None, cause="memory", reason="the kernel killed it")
    assert judge.judge(killed, TOOL, 100, Counter(), SETTINGS).ram_mb == 200
    last = judge.judge(killed, TOOL, 350, Counter(), SETTINGS)
    assert last.kind == judge.FAIL
    assert "ramMax" in (last.problem or {})["detail"]


def test_a_pod_that_kubernetes_ended_after_its_time_fails() -> None:
    late = attempt(None, cause="time-limit", reason="it was not over")
    assert judge.judge(late, TOOL, 100, Counter(), SETTINGS).kind == judge.FAIL
