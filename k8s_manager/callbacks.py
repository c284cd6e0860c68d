"""Whom a job's subscriber wants called: a row for each address, written together with the job.

What is due is not written down by anybody: it follows from these rows and the jobs' status. So a
job that ends needs no second record, and whatever dies in between, its callbacks are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, insert, or_, select, update

from k8s_manager import records, schema
from k8s_manager.database import Database
from k8s_manager.records import iso

IN_PROGRESS = "inProgress"
SUCCESS = "success"
FAILED = "failed"

EVENT_OF = {
    records.RUNNING: IN_PROGRESS,
    records.SUCCESSFUL: SUCCESS,
    records.FAILED: FAILED,
    records.DISMISSED: FAILED,
}
"""What a job in this state has to tell."""
_MEMBERS = {"successUri": SUCCESS, "inProgressUri": IN_PROGRESS, "failedUri": FAILED}
_table = schema.callbacks
_callbacks = schema.callbacks.c
_OF_JOB = select(_table).where(_callbacks.job_id == bindparam("of")).order_by(_callbacks.event)
_jobs = schema.jobs.c


@dataclass(frozen=True)
class Callback:
    """An address that a subscriber named, and what became of it."""

    event: str
    """`IN_PROGRESS`, `SUCCESS` or `FAILED`."""
    uri: str
    open: bool
    """Whether something may still be sent."""
    tries: int
    """Requests that were sent."""
    status: int | None
    """HTTP status of the last answer; None where there was none."""
    error: str | None
    """Why the last try did not succeed."""
    last_try: str | None
    next_try: str | None
    """When it is tried again, where the last try did not succeed."""
    delivered: str | None
    """When a message was last taken."""


@dataclass(frozen=True)
class Due:
    """A row that something has to be done about now."""

    job: str
    event: str
    uri: str
    status: str
    """The job's."""
    tries: int
    failures: int
    """Tries in a row that did not succeed."""
    first_try: float | None
    last_try: float | None

    @property
    def wanted(self) -> bool:
        """Whether the job has this to tell; otherwise it ended in another way."""
        return EVENT_OF[self.status] == self.event


def subscribe(connection: Connection, job_id: str, subscriber: Mapping[str, str] | None) -> None:
    """Write down, with a new job, whom its subscriber wants called."""
    rows = [
        {
            "job_id": job_id, "event": event, "uri": str(subscriber[member]),
            "open": True, "tries": 0, "failures": 0, "next_try": 0.0,
        }
        for member, event in _MEMBERS.items()
        if subscriber and member in subscriber
    ]  # fmt: skip
    if rows:
        connection.execute(insert(_table), rows)


def callbacks_of(database: Database, job_id: str) -> list[Callback]:
    """Return the callbacks of a job.

    Raises:
        StoreError: The database cannot be used now.
    """
    with database.read() as connection:
        rows = connection.execute(_OF_JOB, {"of": job_id}).all()
    return [
        Callback(
            event=row.event,
            uri=row.uri,
            open=row.open,
            tries=row.tries,
            status=row.status,
            error=row.error,
            last_try=_iso(row.last_try),
            next_try=iso(row.next_try) if row.open and row.failures else None,
            delivered=_iso(row.delivered),
        )
        for row in rows
    ]


def due(connection: Connection, now: float, most: int) -> list[Due]:
    """Return up to `most` rows that something has to be done about at `now` (Unix seconds)."""
    # Finished jobs are many and records may be large, so neither is looked through: an index gives
    # the unfinished jobs, and only of what remains the status is read.
    unfinished = select(_jobs.id).where(_jobs.status.in_((records.ACCEPTED, records.RUNNING)))
    running = select(_jobs.id).where(_jobs.status == records.RUNNING)
    status = select(_jobs.status).where(_jobs.id == _callbacks.job_id).scalar_subquery()
    query = (
        select(
            _callbacks.job_id,
            _callbacks.event,
            _callbacks.uri,
            status,
            _callbacks.tries,
            _callbacks.failures,
            _callbacks.first_try,
            _callbacks.last_try,
        )
        .where(_callbacks.open, _callbacks.next_try <= now)
        .where(
            or_(
                _callbacks.job_id.not_in(unfinished),
                and_(_callbacks.event == IN_PROGRESS, _callbacks.job_id.in_(running)),
            )
        )
        .order_by(_callbacks.next_try)
        .limit(most)
    )
    return [Due(*row) for row in connection.execute(query)]


def is_owed(database: Database, job_id: str) -> bool:
    """Tell whether a job that has ended has to tell something that was not tried to be told yet."""
    query = (
        select(_callbacks.event, _jobs.status)
        .join(schema.jobs, _jobs.id == _callbacks.job_id)
        .where(_callbacks.job_id == job_id, _callbacks.open, _callbacks.tries == 0)
    )
    with database.read() as connection:
        return any(EVENT_OF.get(row.status) == row.event for row in connection.execute(query))


def note(connection: Connection, item: Due, **values: Any) -> None:
    """Write down what became of a callback."""
    connection.execute(
        update(_table)
        .where(_callbacks.job_id == item.job, _callbacks.event == item.event)
        .values(values)
    )


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
