"""The job store, in each database it may lie in: nothing is lost, everything is found again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select

from k8s_manager import migrations, schema
from k8s_manager.database import Database
from k8s_manager.errors import NoSuchJob, StoreError
from k8s_manager.records import JobFilter, NewJob
from k8s_manager.store import Store

pytestmark = pytest.mark.every_store

NEW = NewJob("detect", "0.1.0", {"path": "p.cwl", "documents": {}}, {"values": {"a": [1, None]}})


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    yield made
    made.close()


def migrate(url: str) -> None:
    made = Store(url)
    made.migrate()
    made.create_job(NEW)
    made.close()


def record_and_die(url: str, answer: Connection) -> None:
    answer.send(Store(url).create_job(NEW).id)
    os.kill(os.getpid(), signal.SIGKILL)


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
    assert store.owner(job.id) == "local"
    with pytest.raises(NoSuchJob):
        store.job("0" * 32)
    with pytest.raises(NoSuchJob):
        store.owner("0" * 32)


def test_a_recorded_job_survives_the_process_that_recorded_it(
    store: Store, database_url: str
) -> None:
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=record_and_die, args=(database_url, theirs))
    process.start()
    recorded = ours.recv()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert store.job(recorded).request == NEW.request


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


def test_migrating_at_once_from_several_processes(new_database_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=migrate, args=(new_database_url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    store = Store(new_database_url)
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


def test_a_store_of_the_first_version_is_brought_up_to_date(store: Store) -> None:
    job = store.create_job(NEW)
    with store.database.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    store.migrate()
    assert store.jobs().jobs[0].id == job.id


def test_too_many_requests_at_once_are_a_problem_of_the_store(database_url: str) -> None:
    database = Database(database_url, busy_timeout_s=0.05)
    with ExitStack() as held:
        for _ in range(15):
            held.enter_context(database.read())
        with pytest.raises(StoreError, match="too many requests at once"):
            held.enter_context(database.read())
    database.close()
