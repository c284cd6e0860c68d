"""Waiting jobs take turns by owner, and each is told its true place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from k8s_manager import queue, schema
from k8s_manager.queue import Place
from k8s_manager.records import NewJob
from k8s_manager.store import Store

ACCEPTED = {
    **{"process_id": "p", "process_version": "1", "process": {}, "request": {}, "message": ""},
    **{"status": "accepted", "created": 1.0, "updated": 1.0, "progress": 0},
    **{"dismiss_requested": False, "files_removed": False},
}


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    path = tmp_path / "cdi.db"
    path.write_bytes(empty_store.read_bytes())
    made = Store(f"sqlite:///{path}")
    yield made
    made.close()


def submit(store: Store, owners: str) -> list[str]:
    """Record a job for every letter, which is its owner."""
    return [store.create_job(NewJob("p", "1", {}, {}, owner=owner)).id for owner in owners]


def plan(store: Store, job_id: str) -> None:
    with store.database.write() as connection:
        values = {"job_id": job_id, "step": "run", "position": 0, "state": "waiting"}
        connection.execute(
            insert(schema.steps).values(**values, scattered=False, total=1, progress=0.0)
        )


def position_by_formula(owners: str, number: int) -> int:
    """The place of a job, counted by owner: rank among its own, and what the others have before."""
    mine = owners[number]
    rank = owners[: number + 1].count(mine)
    place = rank
    for owner in set(owners) - {mine}:
        theirs = [n for n, letter in enumerate(owners) if letter == owner]
        place += min(len(theirs), rank - 1)
        place += len(theirs) >= rank and theirs[rank - 1] < number
    return place


def test_owners_take_turns_and_each_ones_oldest_job_is_first(store: Store) -> None:
    a1, a2, a3, b1, c1, b2 = submit(store, "aaabcb")
    with store.database.read() as connection:
        assert queue.next_jobs(connection, 10) == [a1, b1, c1, a2, b2, a3]
        assert queue.next_jobs(connection, 2) == [a1, b1]
        assert queue.queue_position(connection, b2) == Place(5, 6)
        assert queue.queue_position(connection, "0" * 32) is None
        count, oldest = queue.length(connection)
    assert count == 6
    assert oldest is not None


def test_who_submits_many_delays_the_others_by_one_job_at_a_time(store: Store) -> None:
    submit(store, "a" * 50)
    (late,) = submit(store, "b")
    with store.database.read() as connection:
        assert queue.queue_position(connection, late) == Place(2, 51)


def test_jobs_that_are_planned_run_or_have_ended_do_not_wait(store: Store) -> None:
    planned, running, ended, waiting = submit(store, "abcd")
    plan(store, planned)
    with store.database.write() as connection:
        for job_id, values in (
            (running, {"status": "running"}),
            (ended, {"status": "dismissed", "outcome": "dismissed"}),
        ):
            query = update(schema.jobs).where(schema.jobs.c.id == job_id)
            connection.execute(query.values(values))
    with store.database.read() as connection:
        assert queue.next_jobs(connection, 10) == [waiting]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(owners=st.text(alphabet="abc", min_size=1, max_size=12))
def test_the_order_is_that_of_the_formula(store: Store, owners: str) -> None:
    ids = [f"{number:032x}" for number in range(len(owners))]
    with store.database.write() as connection:
        connection.execute(delete(schema.jobs))
        for job_id, owner in zip(ids, owners, strict=True):
            connection.execute(
                insert(schema.jobs).values({**ACCEPTED, "id": job_id, "owner": owner})
            )
    with store.database.read() as connection:
        order = queue.next_jobs(connection, len(ids))
        for number, job_id in enumerate(ids):
            place = Place(position_by_formula(owners, number), len(ids))
            assert queue.queue_position(connection, job_id) == place
            assert order[place.position - 1] == job_id


def test_a_waiting_job_shows_its_place_and_others_their_own_words(store: Store) -> None:
    first, second, third, copying = (store.job(job_id) for job_id in submit(store, "aaab"))
    with store.database.write() as connection:
        words = "waiting: starting: the inputs are being copied"
        query = update(schema.jobs).where(schema.jobs.c.id == copying.id)
        connection.execute(query.values(message=words))
    shown = store.queue.shown([third, first, store.job(copying.id)])
    assert [job.message for job in shown] == [
        "waiting: queue: 4 of 4 waiting jobs",
        "waiting: queue: 1 of 4 waiting jobs",
        words,
    ]
    assert store.job(second.id).message == ""


def test_a_job_that_has_just_come_is_in_the_queue_at_once(store: Store) -> None:
    (old,) = submit(store, "a")
    assert store.queue.shown([store.job(old)])[0].message == "waiting: queue: 1 of 1 waiting job"
    (new,) = submit(store, "a")
    assert store.queue.shown([store.job(new)])[0].message == "waiting: queue: 2 of 2 waiting jobs"


def test_the_order_is_found_without_reading_records(store: Store) -> None:
    with store.database.read() as connection:
        compiled = queue._in_order().compile(connection)
        values = tuple(compiled.params[name] for name in compiled.positiontup or ())
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)
        steps = [row[3] for row in rows]
    looked_up = [step for step in steps if step.startswith(("SEARCH", "SCAN jobs"))]
    assert len(looked_up) == 3, steps
    assert all("COVERING INDEX" in step for step in looked_up), steps
