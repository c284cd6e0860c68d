"""The job store as the service sees it: records of jobs and releases, the only memory there is.

What only the controller may write, and only while it holds the lease, is in `ledger`.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import uuid_utils
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from k8s_manager import callbacks, records, schema
from k8s_manager.database import Database
from k8s_manager.errors import NoSuchJob, ResultNotReady, TooManyJobs, UnknownDataset
from k8s_manager.fault_points import reached
from k8s_manager.queue import Queue
from k8s_manager.records import (
    AttemptRecord,
    Job,
    JobFilter,
    JobPage,
    NewJob,
    Release,
    StepRecord,
    iso,
    version_text,
)

_jobs = schema.jobs.c
_LARGE = ("process", "request")
_LIGHT = [column for column in schema.jobs.c if column.name not in _LARGE]
# Built once: a status request takes less time than building its query anew would.
_HAS_CALLBACKS = exists().where(schema.callbacks.c.job_id == _jobs.id).label("has_callbacks")
_WHOLE_JOB = select(schema.jobs, _HAS_CALLBACKS).where(_jobs.id == bindparam("job_id"))
_LIGHT_JOB = select(*_LIGHT, _HAS_CALLBACKS).where(_jobs.id == bindparam("job_id"))
_OWNER = select(_jobs.owner).where(_jobs.id == bindparam("job_id"))
_OPEN = select(func.count()).where(_jobs.owner == bindparam("of"), _jobs.outcome.is_(None))
_COUNTER = select(schema.counters.c.value).where(schema.counters.c.name == bindparam("counter"))
_BUMP = (
    update(schema.counters)
    .where(schema.counters.c.name == bindparam("counter"))
    .values(value=schema.counters.c.value + 1)
)
_INSERT = insert(schema.jobs)


class Store:
    """Records of jobs and releases in the database at `url`; opens it at first use."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.queue = Queue(self.database)
        """The order of the jobs that wait, and what these jobs show of it."""
        self.owner = functools.lru_cache(10_000)(self._owner)
        """`_owner`, asked once of each job: whose it is never changes."""

    def migrate(self) -> None:
        """Bring the tables up to date; harmless when several processes do it at once."""
        from k8s_manager.migrations.upgrade import upgrade

        upgrade(self.database)

    def close(self) -> None:
        """Close the connections; the store opens again at the next use."""
        self.database.close()

    def create_job(self, new: NewJob) -> Job:
        """Record a job; when this returns, the job survives whatever dies next.

        Raises:
            TooManyJobs: Its owner has as many unfinished jobs as one may have.
        """
        with self.database.write() as connection:
            job = insert_job(connection, new)
        reached("job-recorded")
        return job

    def job(self, job_id: str, whole: bool = True) -> Job:
        """Return a job; unless `whole`, with empty process and request, which may be large.

        Raises:
            NoSuchJob: There is none of that id.
        """
        row = self.database.first(_WHOLE_JOB if whole else _LIGHT_JOB, {"job_id": job_id})
        return _found(row, job_id)

    def _owner(self, job_id: str) -> str:
        """Return whose job this is.

        Raises:
            NoSuchJob: There is none of that id.
        """
        row = self.database.first(_OWNER, {"job_id": job_id})
        if row is None:
            raise no_such_job(job_id)
        return str(row.owner)

    def jobs(
        self, wanted: JobFilter | None = None, limit: int = 10, after: str | None = None
    ) -> JobPage:
        """Return jobs, newest first, beginning behind the job whose id is `after`.

        Process and request, which may be large, are empty in them.
        """
        condition = _condition(wanted or JobFilter())
        # The page's ids come from an index alone; only then are its records read.
        ids = select(_jobs.id).where(condition).order_by(_jobs.id.desc()).limit(limit + 1)
        if after is not None:
            ids = ids.where(_jobs.id < after)
        query = select(*_LIGHT).where(_jobs.id.in_(ids)).order_by(_jobs.id.desc())
        with self.database.read() as connection:
            rows = connection.execute(query).all()
            matched = connection.execute(
                select(func.count()).select_from(schema.jobs).where(condition)
            ).scalar_one()
        page = [job_of(row) for row in rows[:limit]]
        return JobPage(page, page[-1].id if len(rows) > limit else None, matched)

    def steps(self, job_id: str) -> list[StepRecord]:
        """Return the steps of a job in the order of the workflow; empty before it is planned."""
        steps, commits = schema.steps, schema.commits
        done = (
            select(func.count())
            .where(commits.c.job_id == steps.c.job_id, commits.c.step == steps.c.step)
            .scalar_subquery()
        )
        query = select(steps, done.label("done")).where(steps.c.job_id == job_id)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(steps.c.position)).all()
        return [
            StepRecord(
                step=row.step,
                position=row.position,
                state=row.state,
                total=row.total,
                done=row.done,
                scattered=row.scattered,
                progress=row.progress,
                started=_iso(row.started),
                finished=_iso(row.finished),
            )
            for row in rows
        ]

    def attempts(self, job_id: str) -> list[AttemptRecord]:
        """Return the ended attempts of a job in the order in which they were judged."""
        table = schema.attempts
        query = select(table).where(table.c.job_id == job_id).order_by(table.c.judged)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [
            AttemptRecord(
                step=row.step,
                index=row.idx,
                attempt=row.attempt,
                round=row.round,
                verdict=row.verdict,
                folder=row.folder,
                document=row.document,
                judged=iso(row.judged),
            )
            for row in rows
        ]

    def committed(self, job_id: str, step: str) -> dict[int, dict[str, Any]]:
        """Return the outputs of a step's committed attempts, by index.

        Raises:
            StoreError: The database cannot be used now.
        """
        table = schema.commits.c
        query = select(table.idx, table.outputs).where(table.job_id == job_id, table.step == step)
        with self.database.read() as connection:
            return {row.idx: row.outputs for row in connection.execute(query)}

    def request_dismiss(self, job_id: str) -> Job:
        """Record that the job shall stop; nothing changes for one that has ended.

        The controller then stops what runs and sets ``dismissed`` when it is verified gone.

        Raises:
            NoSuchJob: There is none of that id.
        """
        with self.database.write() as connection:
            connection.execute(
                update(schema.jobs)
                .where(_jobs.id == job_id, _jobs.outcome.is_(None))
                .values(dismiss_requested=True, updated=time.time())
            )
            _bump(connection, "wake")
            return _job(connection, job_id)

    def remove(self, job_id: str) -> Job:
        """Record that a finished job's results are removed; the controller deletes its files.

        Its outcome stays as it is, and so do releases. Harmless when done twice.

        Raises:
            NoSuchJob: There is none of that id.
            ResultNotReady: It has not finished; dismiss it first.
        """
        with self.database.write() as connection:
            if not _job(connection, job_id).finished_at_all:
                raise ResultNotReady(f"job {job_id} has not finished; dismiss it first")
            connection.execute(
                update(schema.jobs)
                .where(_jobs.id == job_id, _jobs.removed.is_(None))
                .values(removed=time.time(), updated=time.time())
            )
            _bump(connection, "wake")
            return _job(connection, job_id)

    def generation(self) -> int:
        """Return a number that grows whenever a current release changes; cheap to ask."""
        return self._counter("generation")

    def wake(self) -> int:
        """Return a number that grows whenever somebody asks something of the controller."""
        return self._counter("wake")

    def current_releases(self) -> dict[str, Release]:
        """Return the current release of each dataset that has one."""
        return {release.dataset: release for release in self._releases() if release.current}

    def releases(self, dataset: str) -> list[Release]:
        """Return all releases of a dataset, newest first."""
        return [release for release in self._releases() if release.dataset == dataset]

    def rollback(self, dataset: str, version: str) -> Release:
        """Make an earlier (or again a later) release the current one.

        Raises:
            UnknownDataset: The dataset has no such release.
        """
        with self.database.write() as connection:
            # Locked first: a release that is about to be deleted must not become current.
            connection.execute(
                select(schema.datasets.c.version)
                .where(schema.datasets.c.dataset == dataset)
                .with_for_update()
            )
            table = schema.releases
            row = connection.execute(
                select(table).where(
                    table.c.dataset == dataset,
                    table.c.version == (int(version) if version.isdecimal() else -1),
                )
            ).first()
            if row is None:
                raise UnknownDataset(f"dataset {dataset!r} has no release {version!r}")
            connection.execute(
                update(schema.datasets)
                .where(schema.datasets.c.dataset == dataset)
                .values(version=row.version)
            )
            _bump(connection, "generation")
        return self.current_releases()[dataset]

    def counts(self) -> dict[str, int]:
        """Return how many jobs there are of each status."""
        query = select(_jobs.status, func.count()).group_by(_jobs.status)
        with self.database.read() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {status: found.get(status, 0) for status in records.STATUSES}

    def _counter(self, name: str) -> int:
        with self.database.read() as connection:
            return int(connection.execute(_COUNTER, {"counter": name}).scalar_one())

    def _releases(self) -> list[Release]:
        releases, datasets = schema.releases, schema.datasets
        query = (
            select(releases, datasets.c.version.label("current"))
            .join(datasets, datasets.c.dataset == releases.c.dataset)
            .order_by(releases.c.dataset, releases.c.version.desc())
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [
            Release(
                dataset=row.dataset,
                version=version_text(row.version),
                path=row.path,
                created=iso(row.created),
                job=row.job_id,
                previous=None if row.previous is None else version_text(row.previous),
                current=row.version == row.current,
            )
            for row in rows
        ]


def insert_job(connection: Connection, new: NewJob) -> Job:
    """Record a job within a transaction and tell the controller.

    Raises:
        TooManyJobs: Its owner has as many unfinished jobs as one may have.
    """
    job_id = uuid_utils.uuid7().hex
    now = time.time()
    _bump(connection, "wake")  # first: of two at once the second waits here and counts the first
    if new.most_open:
        _check_open(connection, new)
    values = {
        "id": job_id,
        "process_id": new.process_id,
        "process_version": new.process_version,
        "process": new.process,
        "request": new.request,
        "owner": new.owner,
        "retry_of": new.retry_of,
        "status": records.ACCEPTED,
        "created": now,
        "updated": now,
        "progress": 0,
        "message": "",
        "dismiss_requested": False,
        "files_removed": False,
    }
    connection.execute(_INSERT, values)
    callbacks.subscribe(connection, job_id, new.request.get("subscriber"))
    return _job(connection, job_id)


def _check_open(connection: Connection, new: NewJob) -> None:
    found = connection.execute(_OPEN, {"of": new.owner}).scalar_one()
    if found >= new.most_open:
        raise TooManyJobs(
            f"{new.owner} has {found} unfinished jobs, and may have {new.most_open}; "
            "wait until one has ended, or dismiss one"
        )


def job_of(row: Row[Any]) -> Job:
    """Return the job that a row of `schema.jobs` holds."""
    values = row._mapping
    return Job(
        id=row.id,
        process_id=row.process_id,
        process_version=row.process_version,
        process=values.get("process", {}),
        status=row.status,
        outcome=row.outcome,
        created=iso(row.created),
        started=_iso(row.started),
        finished=_iso(row.finished),
        updated=iso(row.updated),
        progress=row.progress,
        message=row.message,
        owner=row.owner,
        request=values.get("request", {}),
        results=row.results,
        error=row.error,
        dismiss_requested=row.dismiss_requested,
        removed=_iso(row.removed),
        retry_of=row.retry_of,
        files_expired=_iso(row.files_expired),
        logs_expired=_iso(row.logs_expired),
        has_callbacks=values.get("has_callbacks", True),
    )


def no_such_job(job_id: str) -> NoSuchJob:
    """Return the error that tells of no job, in the same words whatever the reason."""
    return NoSuchJob(f"there is no job {job_id!r}")


def open_store(url: str, workspace: Path) -> Store:
    """Return a migrated store, and make the workspace folder; what every command starts with."""
    workspace.mkdir(parents=True, exist_ok=True)
    store = Store(url)
    store.migrate()
    return store


def _job(connection: Connection, job_id: str) -> Job:
    return _found(connection.execute(_WHOLE_JOB, {"job_id": job_id}).first(), job_id)


def _found(row: Row[Any] | None, job_id: str) -> Job:
    if row is None:
        raise no_such_job(job_id)
    return job_of(row)


def _bump(connection: Connection, name: str) -> None:
    connection.execute(_BUMP, {"counter": name})


def _condition(wanted: JobFilter) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [_jobs.id.is_not(None)]
    if wanted.process_ids:
        conditions.append(_jobs.process_id.in_(wanted.process_ids))
    if wanted.owner is not None:
        conditions.append(_jobs.owner == wanted.owner)
    if wanted.statuses:
        shown = and_(_jobs.removed.is_(None), _jobs.status.in_(wanted.statuses))
        dismissed = records.DISMISSED in wanted.statuses
        conditions.append(or_(shown, _jobs.removed.is_not(None)) if dismissed else shown)
    if wanted.created_from is not None:
        conditions.append(_jobs.created >= wanted.created_from)
    if wanted.created_to is not None:
        conditions.append(_jobs.created <= wanted.created_to)
    duration = func.coalesce(_jobs.finished, time.time()) - _jobs.started
    if wanted.min_duration_s is not None:
        conditions.append(duration >= wanted.min_duration_s)
    if wanted.max_duration_s is not None:
        conditions.append(duration <= wanted.max_duration_s)
    return and_(*conditions)


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
