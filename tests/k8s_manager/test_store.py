"""The job store: nothing is lost, everything is found again."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, select

from k8s_manager import migrations, schema
from k8s_manager.database import Database
from k8s_manager.errors import ConfigError, NoSuchJob, StoreError
from k8s_manager.lease import Lease
from k8s_manager.ledger import Ledger
from k8s_manager.records import JobFilter, NewJob
from k8s_manager.store import Store

NEW = NewJob("detect", "0.1.0", {"path": "p.cwl", "documents": {}}, {"values": {"a": [1, None]}})


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    path = tmp_path / "cdi.db"
    path.write_bytes(empty_store.read_bytes())
    made = Store(f"sqlite:///{path}")
    yield made
    made.close()


def migrate(url: str) -> None:
    made = Store(url)
    made.migrate()
    made.create_job(NEW)
    made.close()


def test_a_job_is_found_as_it_was_recorded(store: Store) -> None:
    job = store.create_job(NEW)
    assert len(job.id) == 32
    assert (job.status, job.progress, job.outcome, job.results, job.error) == (
        "accepted", 0, None, None, None,
    )  # fmt: skip
    assert (job.request, job.process, job.owner) == (NEW.request, NEW.process, "local")
    assert job.created.endswith("Z")
    assert job.created == job.updated
    assert store.job(job.id) == job
    with pytest.raises(NoSuchJob):
        store.job("0" * 32)


def test_a_recorded_job_survives_in_the_file(store: Store, tmp_path: Path) -> None:
    job = store.create_job(NEW)
    other = Store(f"sqlite:///{tmp_path / 'cdi.db'}")
    assert other.job(job.id) == job
    other.close()
    with sqlite3.connect(tmp_path / "cdi.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    with store.database.read() as opened:
        assert opened.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert opened.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_pages_newest_first(store: Store) -> None:
    ids = [store.create_job(NEW).id for _ in range(5)]
    assert ids == sorted(ids)
    first = store.jobs(limit=2)
    assert ([job.id for job in first.jobs], first.matched) == ([ids[4], ids[3]], 5)
    second = store.jobs(limit=2, after=first.next)
    third = store.jobs(limit=2, after=second.next)
    assert [job.id for job in second.jobs + third.jobs] == [ids[2], ids[1], ids[0]]
    assert third.next is None


def test_filters(store: Store) -> None:
    job = store.create_job(NEW)
    other = store.create_job(NewJob("ingest", "0", {}, {}, owner="somebody"))
    with store.database.write() as connection:
        jobs = schema.jobs
        connection.execute(
            jobs.update().where(jobs.c.id == job.id).values(
                status="successful", outcome="successful", created=100.0, started=100.0,
                finished=160.0,
            )
        )  # fmt: skip

    def found(**wanted: object) -> list[str]:
        page = store.jobs(JobFilter(**wanted))  # type: ignore[arg-type]
        return [item.id for item in page.jobs]

    assert found(process_ids=("ingest",)) == found(owner="somebody") == [other.id]
    assert found(statuses=("successful",)) == [job.id]
    assert found(statuses=("accepted", "successful")) == [other.id, job.id]
    assert found(created_to=100.0) == [job.id]
    assert found(created_from=100.1) == [other.id]
    assert found(min_duration_s=60) == found(max_duration_s=60) == [job.id]
    assert found(min_duration_s=61) == []
    store.remove(job.id)
    assert found(statuses=("successful",)) == []
    assert found(statuses=("dismissed",)) == [job.id]
    assert store.counts()["accepted"] == 1


def test_requests_wake_the_controller_and_nothing_else(store: Store) -> None:
    before = store.wake()
    job = store.create_job(NEW)
    assert store.request_dismiss(job.id).dismiss_requested
    assert store.wake() == before + 2
    assert store.generation() == 0
    for request in (store.request_dismiss, store.remove):
        with pytest.raises(NoSuchJob):
            request("0" * 32)


def test_migrating_at_once_from_several_processes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'cdi.db'}"
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=migrate, args=(url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    store = Store(url)
    assert store.jobs().matched == 3
    store.close()


def test_the_migrations_make_the_declared_tables(store: Store) -> None:
    with store.database.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert script.get_current_head() == schema.HEAD


def test_many_writers_at_once_lose_nothing(store: Store) -> None:
    threads = [
        threading.Thread(target=lambda: [store.create_job(NEW) for _ in range(10)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.jobs(limit=1).matched == 40
    assert store.wake() == 40


def test_a_failed_transaction_changes_nothing(store: Store) -> None:
    job = store.create_job(NEW)

    def break_off() -> None:
        with store.database.write() as connection:
            connection.execute(schema.jobs.update().values(message="half"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert store.job(job.id).message == ""
    with store.database.read() as connection:
        assert connection.execute(select(schema.counters.c.value)).scalars().all() == [0, 1]


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


def test_a_store_of_the_first_version_is_brought_up_to_date(store: Store) -> None:
    job = store.create_job(NEW)
    with store.database.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    store.migrate()
    assert store.jobs().jobs[0].id == job.id


def test_too_many_requests_at_once_are_a_problem_of_the_store(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'cdi.db'}", busy_timeout_s=0.05)
    with ExitStack() as held:
        for _ in range(15):
            held.enter_context(database.read())
        with pytest.raises(StoreError, match="too many requests at once"):
            held.enter_context(database.read())
    database.close()
