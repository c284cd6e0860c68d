"""A controller that stands still for longer than its lease, and goes on when another acts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k8s_manager.database import Database
from k8s_manager.errors import StoreError
from k8s_manager.records import Job
from tests.faults.controllers import (
    command,
    controller,
    log_of,
    stopped,
    until,
    until_settled,
)
from tests.faults.evidence import NOTHING_LOST, assert_nothing_lost, snapshot
from tests.k8s_manager.installation import Installation, processes_below, waiting_for

PROGRAMS = 4
EVIDENCE = f"the other finishes; the old one then changes no record and no file; {NOTHING_LOST}"
STOPPED_AT = [
    "inputs-settled", "planned", "round-opened", "task-written", "may-start", "folder-made",
    "runner-started", "end-seen", "decided", "release-copied", "release-switched", "finishing",
]  # fmt: skip


@pytest.fixture
def impatient(watched: Installation) -> Installation:
    return replace(watched, settings=replace(watched.settings, lease_s=1.0))


def submit(installation: Installation, code: str = "pass") -> Job:
    return installation.submit("published", {"count": 2, "name": "a", "code": code})


def stop(pid: int, installation: Installation) -> None:
    """Stop a process that is not just writing to SQLite: there it would hold up everybody."""
    database = Database(installation.settings.database_url, busy_timeout_s=0.1)
    while True:
        os.kill(pid, signal.SIGSTOP)
        until(lambda: stopped(pid))
        try:
            with database.write():
                pass
        except StoreError:
            os.kill(pid, signal.SIGCONT)
        else:
            database.close()
            return


def goes_on_too_late(installation: Installation, pid: int | None, gone_on: Any) -> None:
    """Continue a stopped controller and wait until it knows that another has taken over."""
    before = snapshot(installation)
    os.kill(pid or 0, signal.SIGCONT)
    until(gone_on)
    assert snapshot(installation) == before


def knows(installation: Installation) -> Callable[[], bool]:
    return lambda: "another controller has taken over" in log_of(installation)


@pytest.mark.fault(
    "controller stopped (SIGSTOP) at a fault point for longer than its lease", EVIDENCE
)
@pytest.mark.parametrize("point", STOPPED_AT)
def test_stopped_at(impatient: Installation, point: str) -> None:
    job = submit(impatient)
    with controller(impatient, f"stop:{point}:1") as old:
        until(lambda: stopped(old.pid))
        with controller(impatient):
            until_settled(impatient, [job])
            goes_on_too_late(impatient, old.pid, knows(impatient))
    assert_nothing_lost(impatient, {job.id: PROGRAMS})


@pytest.mark.fault("`cdi controller` stopped while steps run, another takes over", EVIDENCE)
@pytest.mark.every_store
def test_stopped_while_steps_run(impatient: Installation, tmp_path: Path) -> None:
    job = submit(impatient, waiting_for(tmp_path / "go"))
    with command(impatient) as old:
        until(lambda: len(processes_below(impatient.workspace.step(job.id, "work"))) == 4)
        stop(old.pid, impatient)
        (tmp_path / "go").touch()
        with command(impatient):
            until_settled(impatient, [job])
            goes_on_too_late(impatient, old.pid, knows(impatient))
    assert_nothing_lost(impatient, {job.id: PROGRAMS})


@pytest.mark.fault(
    "two controllers put a release together, one stopped in between",
    f"neither touches the copy of the other; {NOTHING_LOST}",
)
def test_stopped_beside_another_that_publishes(impatient: Installation) -> None:
    job = submit(impatient)
    with controller(impatient, "stop:release-copied:1") as old:
        until(lambda: stopped(old.pid))
        with controller(impatient, "stop:release-copied:1") as new:
            until(lambda: stopped(new.pid))
            os.kill(old.pid or 0, signal.SIGCONT)
            staged = impatient.workspace.root / "releases" / "demo"
            until(lambda: len(list(staged.iterdir())) == 1)  # the old one's copy is gone
            os.kill(new.pid or 0, signal.SIGCONT)
            until_settled(impatient, [job])
    assert "trying again" not in log_of(impatient)
    assert_nothing_lost(impatient, {job.id: PROGRAMS})


@pytest.mark.fault("two controllers started at once", f"one gets the lease; {NOTHING_LOST}")
@pytest.mark.every_store
def test_two_started_at_once(watched: Installation) -> None:
    # The right to control must not pass on because a busy machine stands still for a moment.
    watched = replace(watched, settings=replace(watched.settings, lease_s=60.0))
    jobs = [submit(watched), watched.submit("chain", {"count": 3})]
    with command(watched), command(watched):
        until_settled(watched, jobs)
        with watched.store.database.read() as connection:
            assert connection.exec_driver_sql("SELECT epoch FROM lease").scalar_one() == 1
    assert_nothing_lost(watched, {jobs[0].id: PROGRAMS, jobs[1].id: 5})
