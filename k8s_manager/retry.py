"""Trying a job again: a new job with the same process, inputs and outputs, linked to the old one.

The old job stays as it is. What the new one can take over from it is found by `reuse`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from k8s_manager import judge, records, schema
from k8s_manager.cwl import Process
from k8s_manager.database import Database
from k8s_manager.errors import FilesExpired, JobGone, NoSuchJob, NotRetryable
from k8s_manager.records import Job, NewJob
from k8s_manager.releases import check_dataset
from k8s_manager.settings import Settings
from k8s_manager.store import Store, insert_job, job_of

_jobs = schema.jobs.c


@dataclass(frozen=True)
class ReusedStep:
    """What a job took over of one step of one job that it retries."""

    step: str
    job: str
    indexes: tuple[int, ...]


def retry(settings: Settings, store: Store, job_id: str) -> Job:
    """Record a new job that tries a failed or dismissed one again.

    Two requests at once make one job: the second is told of the first one's.

    Raises:
        NoSuchJob: There is none of that id.
        NotRetryable: It has not ended, was successful, or is being retried already.
        JobGone: Its files were removed or deleted.
        InvalidInputs: Its process may no longer write to its dataset.
        TooManyJobs: Its owner has too many unfinished jobs.
    """
    with store.database.write() as connection:
        query = select(schema.jobs).where(_jobs.id == job_id).with_for_update()
        row = connection.execute(query).first()
        if row is None:
            raise NoSuchJob(f"there is no job {job_id!r}")
        job = job_of(row)
        _check(connection, job)
        check_dataset(settings, Process.from_json(job.process), job.request["values"])
        new = NewJob(
            process_id=job.process_id,
            process_version=job.process_version,
            process=job.process,
            request=job.request,
            owner=job.owner,
            retry_of=job.id,
            most_open=settings.open_jobs_per_owner,
        )
        return insert_job(connection, new)


def retries_of(database: Database, job_id: str) -> list[str]:
    """Return the ids of the jobs that try this one again, oldest first."""
    query = select(_jobs.id).where(_jobs.retry_of == job_id).order_by(_jobs.id)
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def ancestors(connection: Connection, job_id: str) -> list[str]:
    """Return the jobs that a job retries, directly or through others, the nearest first."""
    found: list[str] = []
    query = select(_jobs.retry_of)
    older = connection.execute(query.where(_jobs.id == job_id)).scalar()
    while older is not None:
        found.append(older)
        older = connection.execute(query.where(_jobs.id == older)).scalar()
    return found


def reused_steps(database: Database, job_id: str) -> list[ReusedStep]:
    """Return what a job took over from jobs that it retries, in the order of its steps."""
    attempts, steps = schema.attempts, schema.steps
    query = (
        select(attempts.c.step, attempts.c.idx, attempts.c.document)
        .join(steps, (steps.c.job_id == attempts.c.job_id) & (steps.c.step == attempts.c.step))
        .where(attempts.c.job_id == job_id, attempts.c.verdict == judge.REUSED)
        .order_by(steps.c.position, attempts.c.idx)
    )
    found: dict[tuple[str, str], list[int]] = {}
    with database.read() as connection:
        for row in connection.execute(query):
            # An attempt that was taken over goes on naming the job in which it ran.
            found.setdefault((row.step, row.document["job"]), []).append(row.idx)
    return [ReusedStep(step, job, tuple(indexes)) for (step, job), indexes in found.items()]


def _check(connection: Connection, job: Job) -> None:
    if not job.finished_at_all:
        raise NotRetryable(
            f"job {job.id} is {job.status}; it can be retried when it has failed or was dismissed"
        )
    gone = job.why_files_are_gone
    if gone is not None:
        raise (JobGone if job.removed else FilesExpired)(gone)
    if job.outcome == records.SUCCESSFUL:
        raise NotRetryable(
            f"job {job.id} was successful: there is nothing to try again; "
            f"execute {job.process_id} for a new result"
        )
    query = select(_jobs.id).where(_jobs.retry_of == job.id, _jobs.outcome.is_(None))
    under_way = connection.execute(query.order_by(_jobs.id)).scalars().first()
    if under_way is not None:
        raise NotRetryable(f"job {job.id} is being retried already by job {under_way}")
