"""Whose turn it is: the one order in which waiting jobs are adopted, and a job's place in it.

Round robin between owners: first the oldest waiting job of every owner, then everybody's second
oldest, and so on; among equals the oldest first. Somebody who submits a thousand jobs therefore
delays somebody who submits one by a single job. The order is computed from the records whenever it
is needed, so that nothing has to be written down when the queue moves.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Select, func, select

from k8s_manager import schema
from k8s_manager.database import Database
from k8s_manager.records import ACCEPTED, Job, iso

QUEUED = "waiting: queue: "
KEPT = 10
"""A place stands for this many times as long as it took to find out: with 1,000 waiting jobs that
are some hundredths of a second, and with 100,000 it keeps status requests from queueing too."""


@dataclass(frozen=True)
class Place:
    """A place in the queue."""

    position: int
    """1 for the job whose turn is next."""
    of: int
    """Jobs that wait."""

    @property
    def message(self) -> str:
        """The status message of the job that has this place."""
        return f"{QUEUED}{self.position} of {self.of} waiting {'job' if self.of == 1 else 'jobs'}"


def next_jobs(connection: Connection, count: int) -> list[str]:
    """Return the ids of the first `count` waiting jobs, the next one first.

    A job waits while it is accepted and has no steps: planning, the first thing that a controller
    does with a job, writes them. A job that was adopted and is not planned yet is still among them.
    """
    return [row.id for row in connection.execute(_in_order().limit(count))]


def queue_position(connection: Connection, job_id: str) -> Place | None:
    """Return the place of a job in the queue; None when it does not wait."""
    order = [row.id for row in connection.execute(_in_order())]
    return Place(order.index(job_id) + 1, len(order)) if job_id in order else None


def length(connection: Connection) -> tuple[int, float | None]:
    """Return how many jobs wait, and when the oldest of them was created (Unix seconds)."""
    waiting = _waiting().subquery()
    query = select(func.count(), func.min(waiting.c.created)).select_from(waiting)
    count, oldest = connection.execute(query).one()
    return count, oldest


class Queue:
    """The queue as users see it; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._places: dict[str, int] = {}
        self._read_at = ""
        self._stands_until = 0.0

    def shown(self, jobs: Iterable[Job]) -> list[Job]:
        """Return jobs with their place in the queue as message, those of them that wait.

        Raises:
            StoreError: The database cannot be used now.
        """
        return [self._shown(job) for job in jobs]

    def _shown(self, job: Job) -> Job:
        silent = job.message == "" or job.message.startswith(QUEUED)
        if job.status != ACCEPTED or job.dismiss_requested or not silent:
            return job
        with self._lock:
            if time.monotonic() > self._stands_until or job.created >= self._read_at:
                self._read()
            position, of = self._places.get(job.id), len(self._places)
        return job if position is None else replace(job, message=Place(position, of).message)

    def _read(self) -> None:
        before, self._read_at = time.monotonic(), iso(time.time())
        with self._database.read() as connection:
            order = enumerate(connection.execute(_in_order()), 1)
            self._places = {row.id: position for position, row in order}
        now = time.monotonic()
        self._stands_until = now + KEPT * (now - before)


@functools.cache  # building the query takes longer than reading some dozens of jobs with it
def _in_order() -> Select[tuple[str]]:
    """Select the ids of all waiting jobs in the order of their turns."""
    waiting = _waiting().subquery()
    turn = func.row_number().over(partition_by=waiting.c.owner, order_by=waiting.c.id)
    turns = select(waiting.c.id, turn.label("turn")).subquery()
    return select(turns.c.id).order_by(turns.c.turn, turns.c.id)


def _waiting() -> Select[tuple[str, str, float]]:
    """Select id, owner and time of creation of all waiting jobs.

    The table is joined with itself because one index finds the accepted jobs and another one holds
    the rest; records, which may hold megabytes before the owner, are not read at all.
    """
    found, listed, steps = schema.jobs.alias("found"), schema.jobs.alias("listed"), schema.steps
    return (
        select(listed.c.id, listed.c.owner, listed.c.created)
        .join_from(found, listed, listed.c.id == found.c.id)
        .where(
            found.c.status == ACCEPTED,
            found.c.removed.is_(None),
            listed.c.status == ACCEPTED,
            ~select(steps.c.step).where(steps.c.job_id == found.c.id).exists(),
        )
    )
