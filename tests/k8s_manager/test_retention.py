"""What has been kept long enough goes, and nothing that somebody still needs."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update

from k8s_manager import retention, schema
from k8s_manager import retry as retries
from k8s_manager.backends.local import LocalBackend
from k8s_manager.errors import FilesExpired, LeaseLost, NoSuchJob, UnknownDataset
from k8s_manager.lease import Lease
from k8s_manager.ledger import Ledger
from k8s_manager.old_releases import remove_old_releases
from k8s_manager.records import Job
from k8s_manager.retention import Retention
from k8s_manager.rounds import Means
from tests.k8s_manager.installation import Installation, eventually, waiting_for

WRITE = "print('said'); open('result.txt', 'w').write('done')"
FAIL = "print('said'); raise SystemExit(65)"


def aged(installation: Installation, job: Job, days: float) -> Job:
    """Let a job have ended so many days ago."""
    with installation.store.database.write() as connection:
        when = time.time() - days * 86_400
        connection.execute(
            update(schema.jobs).where(schema.jobs.c.id == job.id).values(finished=when)
        )
    return job


def ran(installation: Installation, code: str = WRITE, days: float = 0.0) -> Job:
    return aged(installation, installation.run("python", {"code": code}), days)


class Tidying:
    """The part of a controller that deletes, with a lease of its own."""

    def __init__(self, installation: Installation, **settings: Any) -> None:
        changed = replace(installation.settings, **settings)
        self.lease = Lease(installation.store.database, 60.0)
        self.ledger = Ledger(installation.store.database, self.lease)
        self._backend = LocalBackend(changed)
        self._pool = ThreadPoolExecutor(1)
        self.retention = Retention(
            Means(changed, installation.store, self.ledger, installation.workspace,
                  self._backend, self._pool)
        )  # fmt: skip

    def __enter__(self) -> Tidying:
        assert self.lease.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.lease.release()
        self._pool.shutdown()
        self._backend.close()


def tidy(installation: Installation, **settings: Any) -> None:
    with Tidying(installation, **settings) as tidying:
        while tidying.retention.slice():
            pass


def kept(installation: Installation, job: Job) -> set[str]:
    folder = installation.workspace.job(job.id)
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.every_store
def test_outputs_go_first_and_logs_later(installation: Installation) -> None:
    literal = {"class": "File", "contents": "inline", "basename": "given.txt"}
    job = installation.run("python", {"code": WRITE, "file": literal})
    assert {"result.txt", "given.txt", "inputs.json", "stdout"} <= kept(installation, job)
    aged(installation, job, days=29)
    tidy(installation)
    assert installation.store.job(job.id).files_expired is None
    aged(installation, job, days=31)
    tidy(installation)
    left = kept(installation, job)
    assert {"stdout", "stderr", "attempt.json"} <= left
    assert not {"result.txt", "given.txt", "inputs.json", "task-r1.json"} & left
    now = installation.store.job(job.id)
    assert (now.outcome, now.status, now.removed, now.results) == (
        "successful", "successful", None, job.results,
    )  # fmt: skip
    assert now.files_expired is not None
    assert now.logs_expired is None
    aged(installation, job, days=91)
    tidy(installation)
    assert not {"stdout", "stderr"} & kept(installation, job)
    assert installation.store.job(job.id).logs_expired is not None


def test_each_outcome_has_its_time(installation: Installation) -> None:
    good, bad = ran(installation, days=10), ran(installation, FAIL, days=10)
    stopped = installation.submit("python", {"code": WRITE})
    installation.store.request_dismiss(stopped.id)
    aged(installation, installation.finish(stopped), days=10)

    def expired() -> list[bool]:
        jobs = (installation.store.job(job.id) for job in (good, bad, stopped))
        return [job.files_expired is not None for job in jobs]

    tidy(installation, keep_dismissed_workspace_days=0)
    assert expired() == [False, False, False]
    tidy(installation)
    assert expired() == [False, False, True]
    tidy(installation, keep_failed_workspace_days=9.0)
    assert expired() == [False, True, True]
    tidy(installation, keep_workspace_days=9.0)
    assert expired() == [True, True, True]


def test_a_job_whose_files_are_gone_is_not_retried(installation: Installation) -> None:
    job = ran(installation, FAIL, days=15)
    tidy(installation)
    with pytest.raises(FilesExpired, match=r"were deleted on .* execute python again"):
        retries.retry(installation.settings, installation.store, job.id)


@pytest.mark.every_store
def test_what_a_retry_may_take_over_stays_until_it_has_ended(installation: Installation) -> None:
    first = ran(installation, FAIL, days=15)
    second = retries.retry(installation.settings, installation.store, first.id)
    aged(installation, installation.finish(second), days=15)
    third = retries.retry(installation.settings, installation.store, second.id)
    tidy(installation)
    for job in (first, second):
        assert installation.store.job(job.id).files_expired is None
    installation.finish(third)
    tidy(installation)
    for job in (first, second):
        assert installation.store.job(job.id).files_expired is not None


@pytest.mark.every_store
def test_records_are_kept_for_ever_unless_somebody_says_otherwise(
    installation: Installation,
) -> None:
    old = ran(installation, FAIL, days=400)
    new = installation.finish(retries.retry(installation.settings, installation.store, old.id))
    tidy(installation)
    assert installation.store.job(old.id).outcome == "failed"
    tidy(installation, keep_records_days=399.0)
    with pytest.raises(NoSuchJob):
        installation.store.job(old.id)
    assert installation.store.attempts(old.id) == installation.store.steps(old.id) == []
    assert not installation.workspace.job(old.id).exists()
    assert installation.store.job(new.id).retry_of is None


def test_many_jobs_are_done_in_slices(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE", 2)
    jobs = [installation.submit("python", {"code": WRITE}) for _ in range(3)]
    for job in jobs:
        installation.store.request_dismiss(job.id)
    for job in [installation.finish(job) for job in jobs]:
        aged(installation, job, days=8)
    with Tidying(installation) as tidying:
        assert tidying.retention.slice()
        expired = [installation.store.job(job.id).files_expired for job in jobs]
        assert sum(item is not None for item in expired) == 2
        assert not tidying.retention.slice()
    assert all(installation.store.job(job.id).files_expired for job in jobs)


def test_the_controller_does_it_beside_its_work(installation: Installation, tmp_path: Path) -> None:
    old = ran(installation, days=31)
    settings = replace(installation.settings, tidy_s=0.05)
    own = Installation(settings, installation.store)
    job = own.submit("python", {"code": f"{waiting_for(tmp_path / 'go')}\n{WRITE}"})
    controller = own.controller()

    def done_while_it_runs() -> bool:
        controller.step()
        return own.store.job(old.id).files_expired is not None

    assert eventually(done_while_it_runs)
    (tmp_path / "go").touch()
    assert controller.run_until(job.id).outcome == "successful"
    controller.dispose()
    assert own.store.job(job.id).files_expired is None


@pytest.mark.every_store
def test_a_controller_without_the_lease_writes_nothing_down(installation: Installation) -> None:
    job = ran(installation, days=31)
    with Tidying(installation) as tidying:
        with installation.store.database.write() as connection:
            connection.execute(update(schema.lease).values(epoch=schema.lease.c.epoch + 1))
        with pytest.raises(LeaseLost):
            tidying.retention.slice()
    assert installation.store.job(job.id).files_expired is None


def test_what_cannot_be_deleted_is_tried_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = ran(installation, days=31)
    real, calls = retention.remove_data, []

    def failing_at_first(folder: Path) -> None:
        calls.append(folder)
        if len(calls) == 1:
            raise OSError(5, "Input/output error", str(folder))
        real(folder)

    monkeypatch.setattr(retention, "remove_data", failing_at_first)
    with Tidying(installation, tidy_s=0.0) as tidying:

        def expired() -> bool:
            tidying.retention.tend()
            return installation.store.job(job.id).files_expired is not None

        assert eventually(expired)
    assert "old files cannot be deleted: [Errno 5]" in caplog.text


def released(installation: Installation, names: str) -> None:
    for name in names:
        assert installation.run("release", {"name": name}).outcome == "successful"


def versions(installation: Installation) -> list[str]:
    """Return the releases of the dataset `demo`, whose rows and folders agree."""
    rows = sorted(release.version for release in installation.store.releases("demo"))
    folder = installation.workspace.root / "releases" / "demo"
    assert sorted(path.name for path in folder.iterdir()) == rows
    return rows


def manifest(installation: Installation, version: str, *named: str | None) -> None:
    """Write a manifest whose rasters lie in the releases that are named."""
    rasters = [{"file": "ndom.tif", "release": name} for name in named]
    document = {"format": 1, "collections": {"ndom": {"rasters": rasters}, "objects": {}}}
    path = installation.workspace.release("demo", version) / "manifest.json"
    path.write_text(json.dumps(document))


def test_all_releases_are_kept_unless_somebody_says_otherwise(installation: Installation) -> None:
    released(installation, "abc")
    tidy(installation)
    assert versions(installation) == ["000001", "000002", "000003"]
    tidy(installation, keep_releases=2)
    assert versions(installation) == ["000002", "000003"]
    with pytest.raises(UnknownDataset):
        installation.store.rollback("demo", "000001")


@pytest.mark.every_store
def test_the_current_release_and_what_kept_ones_name_stay(installation: Installation) -> None:
    released(installation, "abcdef")
    manifest(installation, "000006", None, "000003")
    manifest(installation, "000003", "000001")
    installation.store.rollback("demo", "000005")
    tidy(installation, keep_releases=1)
    assert versions(installation) == ["000001", "000003", "000005", "000006"]


def test_a_release_that_a_publishing_step_starts_from_stays(installation: Installation) -> None:
    released(installation, "a")
    job = installation.submit("release", {"name": "x", "pause": 200})
    controller = installation.controller()
    assert eventually(lambda: _stepped(controller, installation, job))
    controller.dispose()
    with installation.store.database.write() as connection:
        connection.execute(update(schema.rounds).where(schema.rounds.c.open).values(base=1))
        for version in (2, 3):
            connection.execute(
                schema.releases.insert().values(
                    dataset="demo", version=version, path=f"workspace:releases/demo/00000{version}",
                    created=0.0, job_id="x", previous=version - 1,
                )
            )  # fmt: skip
            installation.workspace.release("demo", f"00000{version}").mkdir()
        connection.execute(update(schema.datasets).values(version=3))
    tidy(installation, keep_releases=1)
    assert versions(installation) == ["000001", "000003"]
    installation.store.request_dismiss(job.id)
    installation.finish(job)
    tidy(installation, keep_releases=1)
    assert versions(installation) == ["000003"]


def _stepped(controller: Any, installation: Installation, job: Job) -> bool:
    controller.step()
    return any(step.state == "running" for step in installation.store.steps(job.id))


@pytest.mark.parametrize("text", ["{", "[]", '{"collections": {"a": {"rasters": [{}]}}}'])
def test_a_manifest_that_makes_no_sense_deletes_nothing(
    installation: Installation, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    released(installation, "ab")
    (installation.workspace.release("demo", "000002") / "manifest.json").write_text(text)
    tidy(installation, keep_releases=1)
    assert versions(installation) == ["000001", "000002"]
    assert "none of them is deleted" in caplog.text


def test_a_folder_whose_row_went_before_a_crash_goes_later(installation: Installation) -> None:
    released(installation, "abc")
    with installation.store.database.write() as connection:
        connection.execute(schema.releases.delete().where(schema.releases.c.version == 1))
    being_made = installation.workspace.release("demo", "000004")
    being_made.mkdir()
    with Tidying(installation) as tidying:
        remove_old_releases(tidying.ledger, installation.workspace, 2)
    being_made.rmdir()  # it was not touched
    assert versions(installation) == ["000002", "000003"]


def test_the_cache_is_kept_below_its_limit(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    for name, days in (("a", 3), ("b", 2), ("c", 1)):
        digest = name * 64
        path = installation.workspace.cached(digest)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 100)
        os.utime(path, (time.time() - days * 86_400,) * 2)
    tidy(installation, cache_limit_bytes=250)
    there = [installation.workspace.cached(name * 64).exists() for name in "abc"]
    assert there == [False, True, True]
    for path in (installation.workspace.root / "cache" / "sha256").glob("*/*"):
        os.utime(path)
    tidy(installation, cache_limit_bytes=50)
    assert "cache: 200 bytes, above its limit of 50: 200 bytes are needed" in caplog.text


def test_what_is_due_is_found_without_reading_all_records(installation: Installation) -> None:
    asked: list[tuple[str, object]] = []
    with installation.store.database.read() as connection:
        engine = connection.engine

    def note(_: object, __: object, statement: str, parameters: object, *___: object) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    tidy(installation, keep_records_days=1.0)
    event.remove(engine, "before_cursor_execute", note)
    plans = []
    with installation.store.database.read() as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans += [row[3] for row in plan]
    assert any("jobs_with_files" in step for step in plans)
    scans = [step for step in plans if step.startswith("SCAN jobs")]
    assert scans == []
