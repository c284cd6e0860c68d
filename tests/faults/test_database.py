"""A job store that is away for a while: what runs goes on, what was accepted is carried out."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from k8s_manager.database import Database
from k8s_manager.errors import StoreError
from k8s_manager.records import Job
from tests.faults.controllers import controller, until, until_settled
from tests.faults.evidence import NOTHING_LOST, assert_nothing_lost
from tests.k8s_manager.installation import Installation, processes_below, waiting_for
from tests.postgresql import PostgreSQL

_context = multiprocessing.get_context("forkserver")


@contextmanager
def jobs_submitted_meanwhile(installation: Installation) -> Iterator[list[Job]]:
    """Submit small jobs all the time, as clients do that try again; give those accepted."""
    accepted: list[Job] = []
    stop = threading.Event()

    def submit() -> None:
        while len(accepted) < 20 and not stop.wait(0.3):
            try:
                accepted.append(installation.submit("chain", {"count": 0}))
            except StoreError:
                continue

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield accepted
    finally:
        stop.set()
        thread.join()


class TestPostgreSQL:
    @pytest.fixture
    def store_kind(self) -> str:
        return "postgresql"

    @pytest.mark.fault(
        "PostgreSQL restarted as after a crash (immediate), twice in the middle of a chain",
        f"jobs accepted meanwhile end too; {NOTHING_LOST}",
    )
    def test_restarted(self, watched: Installation, postgresql: PostgreSQL, tmp_path: Path) -> None:
        code = waiting_for(tmp_path / "go")
        job = watched.submit("published", {"count": 3, "name": "a", "code": code})
        with controller(watched), jobs_submitted_meanwhile(watched) as accepted:
            for running in (1, 2):
                work = watched.workspace.step(job.id, "work")
                until(lambda: len(processes_below(work)) >= running)  # noqa: B023
                postgresql.stop()
                if running == 2:
                    (tmp_path / "go").touch()
                time.sleep(0.3)
                postgresql.start()
            until(lambda: watched.store.job(job.id).finished_at_all)
        with controller(watched):
            until_settled(watched, accepted)
        assert_nothing_lost(watched, {job.id: 5, **{item.id: 2 for item in accepted}})

    @pytest.mark.fault(
        "PostgreSQL away while all programs of a step end", f"found when it is back; {NOTHING_LOST}"
    )
    def test_away(self, watched: Installation, postgresql: PostgreSQL, tmp_path: Path) -> None:
        code = waiting_for(tmp_path / "go")
        job = watched.submit("published", {"count": 2, "name": "a", "code": code})
        work = watched.workspace.step(job.id, "work")
        with controller(watched):
            until(lambda: len(processes_below(work)) == 4)
            postgresql.stop()
            (tmp_path / "go").touch()
            until(lambda: processes_below(work) == [])
            postgresql.start()
            until_settled(watched, [job])
        assert_nothing_lost(watched, {job.id: 4})


def hold_lock(path: str, locked: Event, release: Event) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    locked.set()
    release.wait(120)
    connection.execute("COMMIT")


@pytest.mark.fault(
    "SQLite locked by another process for longer than the busy time-out",
    f"a request is refused, not lost; jobs go on afterwards; {NOTHING_LOST}",
)
def test_sqlite_locked(watched: Installation, tmp_path: Path) -> None:
    store = watched.store
    store.close()
    store.database = Database(watched.settings.database_url, busy_timeout_s=0.2)
    code = waiting_for(tmp_path / "go")
    job = watched.submit("published", {"count": 2, "name": "a", "code": code})
    locked, release = _context.Event(), _context.Event()
    path = str(watched.settings.home / "cdi.db")
    other = _context.Process(target=hold_lock, args=(path, locked, release))
    working, stop = watched.controller(), threading.Event()
    thread = threading.Thread(target=working.run, args=(stop,))
    thread.start()
    until(lambda: len(processes_below(watched.workspace.step(job.id, "work"))) >= 2)
    other.start()
    assert locked.wait(60)
    (tmp_path / "go").touch()
    with pytest.raises(StoreError, match=r"database is locked|too many changes at once"):
        watched.submit("chain", {"count": 0})
    time.sleep(watched.settings.lease_s)  # longer than the lease, too
    release.set()
    other.join()
    until_settled(watched, [job])
    stop.set()
    thread.join()
    working.dispose()
    assert store.jobs().matched == 1
    assert_nothing_lost(watched, {job.id: 4})
