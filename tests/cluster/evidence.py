"""What must hold after every fault, read from the job store, the workspace and the cluster."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from k8s_manager import judge, records, schema
from k8s_manager.records import Job
from tests.cluster.conftest import Cluster, wait_until
from tests.k8s_manager.installation import Installation


def assert_nothing_lost(
    cluster: Cluster, installation: Installation, jobs: Mapping[str, int]
) -> None:
    """Assert that chains (job id -> number of parts) succeeded, each thing once, nothing left.

    One final state, one commit for each index of each step, its files there as they were hashed,
    no files of attempts that do not count, no open round, no Job, no pod.
    """
    for job_id, count in jobs.items():
        job = installation.store.job(job_id)
        assert job.outcome == records.SUCCESSFUL, job.error
        assert job.results is not None
        total = sum(number**2 for number in range(1, count + 1))
        assert installation.text(job.results["total"]) == str(total)
        assert_committed_once(installation, job, count)
    wait_until(lambda: not open_rounds(installation), f"open: {open_rounds(installation)}")
    wait_until(lambda: not cluster.left(installation), f"left: {cluster.left(installation)}")


def assert_committed_once(installation: Installation, job: Job, count: int) -> None:
    """Assert that of each step and index one attempt counts, and that its files are what it made.

    Args:
        installation: Where it ran.
        job: A chain that succeeded.
        count: Number of its parts.
    """
    expected = Counter([("split", 0), ("join", 0), *(("work", index) for index in range(count))])
    attempts = installation.store.attempts(job.id)
    of_commits = [item for item in attempts if item.verdict == judge.COMMIT]
    assert Counter((item.step, item.index) for item in of_commits) == expected
    rows = _commits(installation, job)
    assert Counter(rows) == Counter((item.step, item.index, item.attempt) for item in of_commits)
    for item in of_commits:
        for value in _files((item.document or {})["outputs"]):
            data = installation.workspace.path(value["location"]).read_bytes()
            assert value["checksum"] == f"sha256${hashlib.sha256(data).hexdigest()}"
    folder = installation.workspace.job(job.id)
    kept = {path.parent.name for path in folder.glob("**/outputs") if path.is_dir()}
    assert kept == {item.attempt for item in of_commits}
    assert not list(folder.glob("**/*.partial"))


def open_rounds(installation: Installation) -> list[str]:
    """Return the names of rounds that are not closed, whosever they are."""
    query = select(schema.rounds.c.name).where(schema.rounds.c.open)
    with installation.store.database.read() as connection:
        return list(connection.execute(query).scalars())


def epoch(installation: Installation) -> int:
    """Return how often the right to control has changed hands."""
    with installation.store.database.read() as connection:
        return int(connection.execute(select(schema.lease.c.epoch)).scalar_one())


def go_file(installation: Installation, job: Job) -> Path:
    """Return the file that the parts of a chain wait for whose code is `WAIT`."""
    return installation.workspace.job(job.id) / "go"


WAIT = """
import time
while not pathlib.Path("../../../../go").exists():
    time.sleep(0.05)
"""
"""Code for the parts of a chain: each stays until the file `go_file` is there."""


def parts_begun(installation: Installation, job: Job) -> int:
    """Return how many attempts of a chain's parts have started their program."""
    return len(list(installation.workspace.job(job.id).glob("work/*/*/stdout")))


def commits(installation: Installation, job: Job) -> int:
    """Return how many indexes of a job's steps are committed."""
    return len(_commits(installation, job))


def _commits(installation: Installation, job: Job) -> list[tuple[str, int, str]]:
    table = schema.commits.c
    query = select(table.step, table.idx, table.attempt).where(table.job_id == job.id)
    with installation.store.database.read() as connection:
        return [(row.step, row.idx, row.attempt) for row in connection.execute(query)]


def _files(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the files within output values."""
    if isinstance(value, Mapping):
        if value.get("class") == "File":
            yield value
        else:
            for item in value.values():
                yield from _files(item)
    elif isinstance(value, list):
        for item in value:
            yield from _files(item)
