"""What must be so after every fault, looked up in the store, on disk and among the processes.

The store itself keeps watch: triggers note every time that an outcome is set and every change of
what was committed, whoever does it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from k8s_manager.records import SUCCESSFUL, Job
from tests.faults.controllers import open_rounds
from tests.k8s_manager.installation import Installation, processes_below

NOTHING_LOST = "nothing lost"
"""What the table of results calls all that `assert_nothing_lost` looks up."""

_WATCHED = {
    "outcome set": "AFTER UPDATE OF outcome ON jobs",
    "commit changed": "AFTER UPDATE ON commits",
    "commit deleted": "AFTER DELETE ON commits",
    "release changed": "AFTER UPDATE ON releases",
    "release deleted": "AFTER DELETE ON releases",
}
_FUNCTION = """
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO noted VALUES (TG_ARGV[0], OLD.job_id); RETURN NULL; END $$
"""


def watch(installation: Installation) -> None:
    """Let the store note what happens to outcomes, commits and releases."""
    database = installation.store.database
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE noted (what text, job text)")
        if database.dialect == "postgresql":
            connection.exec_driver_sql(_FUNCTION)
            jobs = _FUNCTION.replace("note()", "note_job()").replace("OLD.job_id", "OLD.id")
            connection.exec_driver_sql(jobs)
        for number, (what, event) in enumerate(_WATCHED.items()):
            of_jobs = event.endswith("jobs")
            if database.dialect == "postgresql":
                function = "note_job" if of_jobs else "note"
                action = f"EXECUTE FUNCTION {function}('{what}')"
            else:
                column = "id" if of_jobs else "job_id"
                action = f"BEGIN INSERT INTO noted VALUES ('{what}', OLD.{column}); END"
            connection.exec_driver_sql(
                f"CREATE TRIGGER watch{number} {event} FOR EACH ROW {action}"
            )


def noted(installation: Installation) -> Counter[tuple[str, str]]:
    """Return how often what happened to the records of which job."""
    with installation.store.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT what, job FROM noted")
        return Counter((row.what, row.job) for row in rows)


def assert_nothing_lost(
    installation: Installation, jobs: Mapping[str, int], outcome: str = SUCCESSFUL
) -> None:
    """Assert that jobs (id -> number of programs that count) ended once and left nothing.

    For each job: one outcome, set once and never changed; exactly one attempt of each step and
    index committed; files on disk as their checksums say; no process, no open round, no outputs of
    attempts that do not count, no half-written file; no half release.
    """
    for job_id, programs in jobs.items():
        job = installation.store.job(job_id)
        assert job.outcome == job.status == outcome, (job.message, job.error)
        _assert_committed_once(installation, job, programs)
        _assert_only_what_counts_is_left(installation, job)
    assert noted(installation) == {("outcome set", job_id): 1 for job_id in jobs}
    assert processes_below(installation.settings.home) == []
    assert open_rounds(installation) == []
    assert_no_half_release(installation)


def assert_no_half_release(installation: Installation) -> None:
    """Assert that the folders of releases are those of the records, and whole."""
    store, workspace = installation.store, installation.workspace
    for dataset in installation.settings.datasets:
        releases = store.releases(dataset)
        folder = workspace.root / "releases" / dataset
        found = {path.name for path in folder.iterdir()} if folder.exists() else set()
        assert found == {release.version for release in releases}
        for release in releases:
            results = store.job(release.job).results or {}
            for name, checksum in _listing(results.get("release") or {}):
                assert _sha256(workspace.path(release.path) / name) == checksum


def snapshot(installation: Installation) -> tuple[Any, ...]:
    """Return all that the store says about jobs, and every file of the workspace."""
    tables = ("jobs", "steps", "rounds", "attempts", "commits", "releases", "datasets", "counters")
    with installation.store.database.read() as connection:
        rows = [
            sorted(repr(tuple(row)) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))
            for table in tables
        ]
    root = installation.workspace.root
    return rows, sorted((str(path), path.lstat().st_size) for path in root.rglob("*"))


def _assert_committed_once(installation: Installation, job: Job, programs: int) -> None:
    with installation.store.database.read() as connection:
        commits = [
            (row.step, row.idx, row.attempt)
            for row in connection.exec_driver_sql("SELECT * FROM commits")
            if row.job_id == job.id
        ]
    assert len({(step, index) for step, index, _ in commits}) == len(commits) == programs
    attempts = [item for item in installation.store.attempts(job.id) if item.verdict == "commit"]
    assert sorted((item.step, item.index, item.attempt) for item in attempts) == sorted(commits)
    for item in attempts:
        for location, checksum in _files((item.document or {})["outputs"]):
            assert _sha256(installation.workspace.path(location)) == checksum


def _assert_only_what_counts_is_left(installation: Installation, job: Job) -> None:
    folder = installation.workspace.job(job.id)
    attempts = installation.store.attempts(job.id)
    kept = {item.attempt for item in attempts if item.verdict == "commit"}
    for name in ("outputs", "inputs", "tmp"):
        found = {path.parent.name for path in folder.glob(f"*/**/r*-*/{name}")}
        assert found <= kept, f"{name} of attempts that do not count: {found - kept}"
    assert list(folder.glob("**/.*.partial")) == []


def _files(value: Any) -> Iterator[tuple[str, str]]:
    """Yield location and checksum of every file in CWL values."""
    if isinstance(value, Mapping):
        if value.get("class") == "File":
            yield value["location"], value["checksum"]
        for item in value.values():
            yield from _files(item)
    elif isinstance(value, list):
        for item in value:
            yield from _files(item)


def _listing(directory: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and checksum of every file of a release."""
    base = directory.get("location", "")
    for location, checksum in _files(directory.get("listing", [])):
        yield location.removeprefix(f"{base}/"), checksum


def _sha256(path: Path) -> str:
    return f"sha256${hashlib.sha256(path.read_bytes()).hexdigest()}"
