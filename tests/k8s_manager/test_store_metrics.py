"""The numbers of the store are those of its records, whoever asks and since when."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, select, update

from k8s_manager import queue, schema
from k8s_manager.records import NewJob
from k8s_manager.store import Store
from k8s_manager.store_metrics import registry_of
from tests.cluster.watched import process_file
from tests.k8s_manager.installation import Installation

OWNER = "somebody-who-must-not-be-named"


def numbers(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Return name and label values of each sample, without those that tell the time."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            if sample.name != "cdi_queue_oldest_seconds":
                found[sample.name, *sorted(sample.labels.values())] = sample.value
    return found


def afresh(store: Store) -> dict[tuple[str, ...], float]:
    """The numbers of a process that has added up nothing yet."""
    return numbers(registry_of(store.database))


def test_jobs_attempts_and_durations_are_those_of_the_records(
    installation: Installation, tmp_path: Path
) -> None:
    installation.run("chain", {"count": 3})
    installation.run("python", {"code": "import sys; sys.exit(75)"})
    brief = process_file(tmp_path, time_limit_s=1)
    installation.run(brief, {"code": "import time; time.sleep(200)"})
    waiting = installation.store.create_job(NewJob("p", "1", {}, {"x": OWNER}, owner=OWNER))
    found = afresh(installation.store)
    counts = {key[1]: value for key, value in found.items() if key[0] == "cdi_jobs"}
    assert counts == {**{"accepted": 1, "running": 0, "successful": 1, "failed": 2, "dismissed": 0}}
    assert found["cdi_queue_jobs",] == 1
    attempts = {key[1:]: value for key, value in found.items() if key[0] == "cdi_attempts_total"}
    assert attempts == {
        ("", "chain", "commit", "split"): 1,
        ("", "chain", "commit", "work"): 3,
        ("", "chain", "commit", "join"): 1,
        ("again", "exit-75", "python", "python"): 2,
        ("exit-75", "fail", "python", "python"): 1,
        ("fail", "python", "python", "time-limit"): 1,
    }
    assert found["cdi_step_duration_seconds_count", "chain", "work"] == 1
    assert found["cdi_step_duration_seconds_count", "python", "python"] == 2
    steps = [
        step for job in installation.store.jobs().jobs for step in seconds(installation, job.id)
    ]
    sums = sum(v for key, v in found.items() if key[0] == "cdi_step_duration_seconds_sum")
    assert sums == pytest.approx(sum(steps))
    text = generate_latest(registry_of(installation.store.database)).decode()
    assert OWNER not in text
    assert waiting.id not in text


def seconds(installation: Installation, job_id: str) -> list[float]:
    steps = schema.steps.c
    query = select(steps.finished - steps.started).where(steps.job_id == job_id)
    with installation.store.database.read() as connection:
        return [value for value in connection.execute(query).scalars() if value is not None]


def test_counters_never_fall_and_equal_those_of_a_new_process(installation: Installation) -> None:
    """One registry follows jobs through their lives; each time a new one must agree with it."""
    store, registry = installation.store, registry_of(installation.store.database)
    before: Counter[tuple[str, ...]] = Counter()

    def look() -> None:
        nonlocal before
        now = numbers(registry)
        assert now == pytest.approx(afresh(store))
        assert all(now[key] >= value for key, value in before.items())
        before = Counter(
            {key: value for key, value in now.items() if key[0].endswith(("_total", "_bucket"))}
        )

    look()
    first = record(store, "1" * 32)
    look()
    end(store, record(store, "2" * 32))
    look()
    end(store, first)  # an old one ends late
    look()
    end(store, record(store, "0" * 32))  # an older id comes and ends between two looks
    look()
    last = record(store, "f" * 32, finished=True)  # a finished step of a job that goes on
    look()
    end(store, last)
    look()
    with store.database.write() as connection:
        for table in (schema.steps, schema.attempts):
            connection.execute(table.delete().where(table.c.job_id == first))
        connection.execute(schema.jobs.delete().where(schema.jobs.c.id == first))
    assert numbers(registry) == pytest.approx(afresh(store))


def record(store: Store, job_id: str, finished: bool = False) -> str:
    """Write down a job with one step, which takes two seconds."""
    made = store.create_job(NewJob("made", "1", {}, {}))
    with store.database.write() as connection:
        jobs = schema.jobs
        connection.execute(update(jobs).where(jobs.c.id == made.id).values(id=job_id))
        connection.execute(
            insert(schema.steps).values(
                **{"job_id": job_id, "step": "run", "position": 0, "scattered": False},
                **{"total": 1, "progress": 0.0, "started": 100.0},
                **{"state": "done" if finished else "running"},
                **{"finished": 102.0 if finished else None},
            )
        )
    return job_id


def end(store: Store, job_id: str) -> None:
    with store.database.write() as connection:
        connection.execute(
            update(schema.steps)
            .where(schema.steps.c.job_id == job_id)
            .values(state="done", finished=102.0)
        )
        connection.execute(
            insert(schema.attempts).values(
                **{"job_id": job_id, "step": "run", "idx": 0, "attempt": "a", "round": 1},
                **{"verdict": "lost", "folder": "workspace:x", "document": None, "judged": 1.0},
            )
        )
        connection.execute(
            update(schema.jobs)
            .where(schema.jobs.c.id == job_id)
            .values(status="failed", outcome="failed")
        )


def test_reasons_that_a_program_made_up_are_not_repeated(installation: Installation) -> None:
    job = record(installation.store, "a" * 32)
    forged = (
        {"reason": OWNER},
        {"exit_code": 10**6},
        {"exit_code": 9, "signal": 9},
        {"reason": "io"},
    )
    with installation.store.database.write() as connection:
        for number, members in enumerate(forged):
            document = {"reason": None, "exit_code": None, "signal": None, **members}
            connection.execute(
                insert(schema.attempts).values(
                    **{"job_id": job, "step": "run", "idx": 0, "attempt": str(number), "round": 1},
                    **{"verdict": "fail", "folder": "x", "document": document, "judged": 1.0},
                )
            )
    found = afresh(installation.store)
    reasons = {key[1:]: v for key, v in found.items() if key[0] == "cdi_attempts_total"}
    assert reasons == {
        ("fail", "made", "other", "run"): 2,
        ("fail", "made", "run", "signal"): 1,
        ("fail", "io", "made", "run"): 1,
    }


@pytest.mark.every_store
def test_the_queue_and_the_numbers_are_the_same_in_every_database(
    installation: Installation,
) -> None:
    store = installation.store
    registry = registry_of(store.database)
    installation.run("chain", {"count": 2})
    installation.run("python", {"code": "import sys; sys.exit(65)"})
    ids = [store.create_job(NewJob("p", "1", {}, {}, owner=owner)).id for owner in "aab"]
    with store.database.read() as connection:
        assert queue.next_jobs(connection, 3) == [ids[0], ids[2], ids[1]]
        assert queue.queue_position(connection, ids[1]) == queue.Place(3, 3)
    found = numbers(registry)
    assert found["cdi_jobs", "accepted"] == 3
    assert found["cdi_step_duration_seconds_count", "chain", "work"] == 1
