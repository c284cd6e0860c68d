"""The one table "end of an attempt -> what follows", the same for every backend.

| end of the attempt                                        | what follows                       |
|-----------------------------------------------------------|------------------------------------|
| exit code 0, all outputs valid                            | commit                             |
| exit code 0 with missing or invalid outputs; 65; time or  | fail                               |
| disk limit; the program cannot be started; any other code |                                    |
| 75; the attempt's files cannot be handled                 | again, after a growing pause       |
| memory limit                                              | more memory, up to ``ramMax``,     |
|                                                           | then fail                          |
| gone without a word; a signal that we did not send        | a new round, a few times           |
| any of these, where the backend itself starts it again    | nothing: its next attempt counts   |

The numbers are settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k8s_manager.backends.base import Attempt
from k8s_manager.cwl import Tool
from k8s_manager.settings import Settings

COMMIT = "commit"
FAIL = "fail"
AGAIN = "again"
MORE_MEMORY = "more-memory"
LOST = "lost"
REPEATED = "repeated"
SUPERSEDED = "superseded"
CANCELLED = "cancelled"
REUSED = "reused"
"""Not judged here: taken over from a job that is being retried."""
COUNT = (COMMIT, REUSED)
"""Verdicts on the one attempt of an index whose outputs count."""

_UNPROCESSABLE = 422
_INTERNAL = 500
_UNAVAILABLE = 503


@dataclass(frozen=True)
class Verdict:
    """What follows from the end of an attempt."""

    kind: str
    delay_s: float = 0.0
    """Pause before the new round, for ``again``."""
    ram_mb: int = 0
    """Memory of the new round, for ``more-memory``."""
    problem: Mapping[str, Any] | None = None
    """Title, detail and HTTP status, for ``fail``."""


def judge(
    attempt: Attempt,
    tool: Tool,
    ram_mb: int,
    earlier: Counter[str],
    settings: Settings,
) -> Verdict:
    """Return what follows from the end of an attempt.

    Args:
        attempt: The attempt; without a document it is gone without a word.
        tool: The program that ran.
        ram_mb: Memory that its round had, in MiB.
        earlier: Verdicts on earlier attempts of the same index, by kind.
        settings: The numbers of the table.
    """
    if attempt.repeats:
        return Verdict(REPEATED)
    if attempt.document is None:
        return _silent(attempt, tool, ram_mb, earlier, settings)
    document = attempt.document
    reason, code = document["reason"], document["exit_code"]
    error = document["error"] or {"title": "", "detail": ""}
    if reason == "memory":
        return _out_of_memory(error, tool, ram_mb)
    if reason == "cancelled":
        return _lost("the step was stopped from outside", error["detail"], earlier, settings)
    if reason == "io" or (reason is None and code in tool.temporary_fail_codes):
        return _again(error, earlier, settings)
    if reason is not None:
        return _fail(error, _INTERNAL)
    if document["signal"] is not None:
        return _lost(error["title"], error["detail"], earlier, settings)
    if code == 0:
        return Verdict(COMMIT)
    return _fail(error, _UNPROCESSABLE if code in tool.permanent_fail_codes else _INTERNAL)


def _silent(
    attempt: Attempt, tool: Tool, ram_mb: int, earlier: Counter[str], settings: Settings
) -> Verdict:
    """Return what follows for an attempt whose runner could not say how it ended."""
    if attempt.cause == "memory":
        error = {"title": "memory limit exceeded", "detail": f"{attempt.reason} ({ram_mb} MiB)"}
        return _out_of_memory(error, tool, ram_mb)
    if attempt.cause == "time-limit":
        return _fail({"title": "time limit exceeded", "detail": attempt.reason}, _INTERNAL)
    if attempt.cause == "disk":
        return _fail({"title": "disk limit exceeded", "detail": attempt.reason}, _INTERNAL)
    return _lost("the step was killed", attempt.reason, earlier, settings)


def _out_of_memory(error: Mapping[str, str], tool: Tool, ram_mb: int) -> Verdict:
    more = min(2 * ram_mb, tool.resources.ram_max)
    if more > ram_mb:
        return Verdict(MORE_MEMORY, ram_mb=more)
    detail = f"{error['detail']}; that is the most that its process file allows (ramMax)"
    return _fail({"title": error["title"], "detail": detail}, _INTERNAL)


def _again(error: Mapping[str, str], earlier: Counter[str], settings: Settings) -> Verdict:
    tries = earlier[AGAIN] + earlier[REPEATED]
    if tries < len(settings.retry_delays_s):
        return Verdict(AGAIN, delay_s=settings.retry_delays_s[tries])
    return _fail(
        {"title": error["title"], "detail": f"{error['detail']} (tried {tries + 1} times)"},
        _UNAVAILABLE,
    )


def _lost(title: str, detail: str, earlier: Counter[str], settings: Settings) -> Verdict:
    if earlier[LOST] < settings.max_lost:
        return Verdict(LOST)
    return _fail({"title": title, "detail": f"{detail} ({earlier[LOST] + 1} times)"}, _INTERNAL)


def _fail(error: Mapping[str, str], status: int) -> Verdict:
    problem = {"title": error["title"], "detail": error["detail"], "status": status}
    return Verdict(FAIL, problem=problem)
