"""A wall clock that jumps by a day, forward and back, in a running controller (libfaketime)."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.controllers import command, controller, stopped, until, until_settled
from tests.faults.evidence import NOTHING_LOST, assert_nothing_lost
from tests.k8s_manager.installation import Installation, waiting_for
from tests.lacking import lacking

LONG_S = 3.0
"""Pause before another try, long enough to set the clock in it."""
JUMPS = pytest.mark.parametrize("jump", ["+1d", "-1d"])


class Clock:
    """The wall clock of processes that are started with `env`; monotonic clocks go on as ever."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "clock"
        self.set("+0")
        self.env: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        partial = self._file.with_suffix(".new")
        partial.write_text(f"{offset}\n")
        partial.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        lacking("there is no libfaketime on this machine (Debian: libfaketime)")
    return Clock(tmp_path, found[0])


@pytest.mark.fault(
    "wall clock set by a day, forward or back, while a chain runs", f"goes on; {NOTHING_LOST}"
)
@JUMPS
def test_a_jump_while_steps_run(
    watched: Installation, clock: Clock, jump: str, tmp_path: Path
) -> None:
    code = waiting_for(tmp_path / "go")
    job = watched.submit("published", {"count": 3, "name": "a", "code": code})
    with command(watched, clock.env), command(watched, clock.env):
        until(lambda: watched.store.job(job.id).message.startswith("work"))
        clock.set(jump)
        (tmp_path / "go").touch()
        until_settled(watched, [job])
    assert_nothing_lost(watched, {job.id: 5})


@pytest.mark.fault(
    "wall clock set by a day while a step waits for another try",
    f"tried again after its pause, not after a day; {NOTHING_LOST}",
)
@JUMPS
@pytest.mark.parametrize("killed", [False, True], ids=["", "and the controller killed"])
def test_a_jump_while_a_step_pauses(
    watched: Installation, clock: Clock, jump: str, killed: bool
) -> None:
    settings = replace(watched.settings, retry_delays_s=(LONG_S,))
    pausing = replace(watched, settings=settings)
    marker = watched.settings.home / "once"
    code = (
        f"import os\nif not os.path.exists({str(marker)!r}): open({str(marker)!r}, 'w'); exit(75)"
    )
    job = pausing.submit("published", {"count": 1, "name": "a", "code": code})
    with command(pausing, clock.env) as first:
        until(lambda: ("work", 0, "again") in pausing.verdicts(job))
        clock.set(jump)
        if killed:
            first.kill()
            with command(pausing, clock.env):
                until_settled(pausing, [job])
        until_settled(pausing, [job])
    assert_nothing_lost(pausing, {job.id: 3})


@pytest.mark.fault(
    "wall clock set back by a day under a lease whose holder stands still",
    f"another controller takes over at once; {NOTHING_LOST}",
)
def test_a_jump_back_under_a_lease(watched: Installation, clock: Clock) -> None:
    job = watched.submit("chain", {"count": 1})
    with controller(watched, "stop:planned:1") as old:
        until(lambda: stopped(old.pid))
        clock.set("-1d")
        with command(watched, clock.env):
            until_settled(watched, [job])
            os.kill(old.pid or 0, signal.SIGCONT)
    assert_nothing_lost(watched, {job.id: 3})
