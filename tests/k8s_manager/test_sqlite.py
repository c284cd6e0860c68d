"""What the job store owes to SQLite: how it is opened, and how its lists are read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event

from k8s_manager import callbacks
from k8s_manager.errors import ConfigError, StoreError
from k8s_manager.lease import Lease
from k8s_manager.ledger import Ledger
from k8s_manager.records import JobFilter, NewJob
from k8s_manager.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    yield made
    made.close()


def test_a_commit_is_on_disk(store: Store) -> None:
    with store.database.read() as opened:
        assert opened.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert opened.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert opened.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_job_is_read_by_one_statement(store: Store) -> None:
    job = store.create_job(NewJob("detect", "0.1.0", {}, {"values": {}}))
    asked: list[str] = []
    with store.database.read() as connection:
        engine = connection.engine
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert store.job(job.id, whole=False).status == "accepted"
    assert [statement.split()[0] for statement in asked] == ["SELECT"]
    assert not job.has_callbacks


def test_connections_that_threads_opened_are_kept(store: Store) -> None:
    with store.database.read() as connection:
        engine = connection.engine
    opened: list[object] = []
    event.listen(engine, "connect", lambda *given: opened.append(given[0]))
    together = threading.Barrier(12)

    def read(_: int) -> None:
        with store.database.read():
            together.wait(10)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(read, range(24)))
    assert len(opened) == 11


def test_what_is_wrong_with_the_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("this is no database, and long enough to be seen as none")
    broken = Store(f"sqlite:///{tmp_path / 'no.db'}")
    with pytest.raises(StoreError, match=r"no\.db: file is not a database"):
        broken.migrate()
    broken.close()
    for url in ("nonsense", "mysql://localhost/x"):
        with pytest.raises(ConfigError):
            Store(url)
    with pytest.raises(ConfigError, match="memory"):
        Store("sqlite://").migrate()


FILTERS = [
    JobFilter(),
    JobFilter(statuses=("running",)),
    JobFilter(statuses=("failed", "dismissed")),
    JobFilter(process_ids=("detect",)),
    JobFilter(owner="local"),
    JobFilter(created_from=1.0, created_to=2.0),
    JobFilter(min_duration_s=1.0, statuses=("successful",)),
]


def test_nothing_that_is_asked_often_reads_all_records(store: Store) -> None:
    asked: list[tuple[str, object]] = []
    with store.database.read() as connection:
        engine = connection.engine

    def note(_: object, __: object, statement: str, parameters: object, *___: object) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    for wanted in FILTERS:
        store.jobs(wanted)
    ledger = Ledger(store.database, Lease(store.database, 10.0))
    with store.database.read() as connection:
        callbacks.due(connection, 1e12, 1000)
    for question in (store.counts, ledger.unfinished, ledger.to_remove, ledger.rounds_left):
        question()
    event.remove(engine, "before_cursor_execute", note)
    with store.database.read() as connection:
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps = [row[3] for row in plan]
                scans = [step for step in steps if "SCAN" in step and "rounds_open" not in step]
                assert [step for step in scans if "COVERING INDEX" not in step] == []
