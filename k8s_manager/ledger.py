"""What the controller alone may write, and only while it holds the lease.

Every method is one transaction that says "where epoch = ours"; when it is not, `LeaseLost` is
raised and nothing was changed. So an attempt is committed once, a job ends once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from k8s_manager import judge, records, schema
from k8s_manager.database import Database
from k8s_manager.fault_points import reached
from k8s_manager.history import History
from k8s_manager.lease import Lease, guard
from k8s_manager.queue import next_jobs
from k8s_manager.records import Job, RoundRecord
from k8s_manager.store import job_of

_jobs = schema.jobs
_rounds = schema.rounds


@dataclass(frozen=True)
class Judged:
    """An attempt with what follows from it, to be written down."""

    step: str
    index: int
    attempt: str
    round: int
    verdict: str
    folder: str
    document: Mapping[str, Any] | None
    reuse_key: str | None = None
    """What made its outputs (`reuse_key`), for one that a retry may take over."""


@dataclass(frozen=True)
class Failure:
    """Why a job fails: a problem (title, detail, status...) and the step it happened in."""

    problem: Mapping[str, Any]
    step: str | None = None


@dataclass(frozen=True)
class Unfinished:
    """What the controller looks at to find out whether a job needs attention."""

    id: str
    dismiss_requested: bool
    begun: bool
    """Its steps are written down: some controller has begun with it."""


class Ledger:
    """The controller's side of the job store, valid while `lease` is held."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease

    @property
    def epoch(self) -> int:
        """The epoch under which everything is written."""
        return self._lease.epoch or 0

    def unfinished(self) -> list[Unfinished]:
        """Return all jobs without an outcome, oldest first."""
        begun = select(schema.steps.c.step).where(schema.steps.c.job_id == _jobs.c.id).exists()
        query = (
            select(_jobs.c.id, _jobs.c.dismiss_requested, begun)
            .where(_jobs.c.outcome.is_(None))
            .order_by(_jobs.c.id)
        )
        with self._database.read() as connection:
            return [Unfinished(*row) for row in connection.execute(query)]

    def next_jobs(self, count: int) -> list[str]:
        """Return the first `count` of the jobs that wait to begin, the next one first."""
        with self._database.read() as connection:
            return next_jobs(connection, count)

    def to_remove(self) -> list[str]:
        """Return the ids of removed jobs whose files still have to be deleted."""
        query = select(_jobs.c.id).where(
            _jobs.c.removed.is_not(None), _jobs.c.files_removed.is_(False)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def rounds_left(self) -> list[tuple[str, str]]:
        """Return (job, name) of open rounds whose job has ended."""
        query = (
            select(_rounds.c.job_id, _rounds.c.name)
            .join(_jobs, _jobs.c.id == _rounds.c.job_id)
            .where(_rounds.c.open, _jobs.c.outcome.is_not(None))
        )
        with self._database.read() as connection:
            return [(row.job_id, row.name) for row in connection.execute(query)]

    def not_open(self, names: Iterable[str]) -> list[str]:
        """Return those of the rounds that nobody waits for: closed, or unknown to this store."""
        wanted = list(names)
        if not wanted:
            return []
        query = select(_rounds.c.name).where(_rounds.c.open, _rounds.c.name.in_(wanted))
        with self._database.read() as connection:
            expected = set(connection.execute(query).scalars())
        return [name for name in wanted if name not in expected]

    def load(self, job_id: str) -> tuple[Job, str | None, History]:
        """Return a job, how it is about to end, and its history."""
        with self._database.read() as connection:
            row = connection.execute(select(_jobs).where(_jobs.c.id == job_id)).one()
            return job_of(row), row.ending, History.read(connection, job_id)

    def plan(self, job_id: str, steps: Mapping[str, bool]) -> None:
        """Write down the steps of a job (step -> whether it is scattered), in their order."""
        with self.write() as connection:
            for position, (step, scattered) in enumerate(steps.items()):
                connection.execute(
                    insert(schema.steps).values(
                        job_id=job_id,
                        step=step,
                        position=position,
                        state="waiting",
                        scattered=scattered,
                        total=None if scattered else 1,
                        progress=0.0,
                    )
                )
        reached("planned")

    def start_step(
        self,
        job_id: str,
        step: str,
        total: int,
        first: RoundRecord | None,
        reused: Iterable[Judged] = (),
    ) -> None:
        """Write down that a step starts, with its number of indexes and its first round.

        `reused` counts already; no round is needed when that is all of it.
        """
        with self.write() as connection:
            _set_step(connection, job_id, step, state="running", total=total, started=time.time())
            for attempt in reused:
                write_judged(connection, job_id, attempt)
            if first is not None:
                _open_round(connection, first, self.epoch)
        reached("round-opened")

    def decide(
        self,
        job_id: str,
        judged: Iterable[Judged],
        rounds: Iterable[RoundRecord] = (),
        failure: Failure | None = None,
    ) -> None:
        """Write down ended attempts together with all that follows from them.

        Those with the verdict ``commit`` count from now on. One transaction: otherwise a controller
        that dies in between would leave attempts decided and nothing done about it.
        """
        reached("end-seen")
        with self.write() as connection:
            for attempt in judged:
                write_judged(connection, job_id, attempt)
            for round_ in rounds:
                _open_round(connection, round_, self.epoch)
            if failure is not None:
                _begin_ending(connection, job_id, failure)
        reached("decided")

    def close_rounds(self, job_id: str, names: Iterable[str]) -> None:
        """Write down that nothing of these rounds is left."""
        with self.write() as connection:
            for name in names:
                connection.execute(
                    update(_rounds)
                    .where(_rounds.c.job_id == job_id, _rounds.c.name == name)
                    .values(open=False)
                )
        reached("round-closed")

    def end_step(self, job_id: str, step: str, total: int) -> None:
        """Write down that all indexes of a step are committed."""
        values = {"state": "done", "total": total, "progress": 1.0, "finished": time.time()}
        with self.write() as connection:
            _set_step(connection, job_id, step, **values)
        reached("step-ended")

    def report(
        self, job_id: str, status: str, percent: int, message: str, steps: Mapping[str, float]
    ) -> None:
        """Write down how far a job is; `steps` gives the share of each step that is done."""
        now = time.time()
        values: dict[str, Any] = {
            "status": status, "progress": percent, "message": message, "updated": now,
        }  # fmt: skip
        with self.write() as connection:
            connection.execute(
                update(_jobs).where(_jobs.c.id == job_id, _jobs.c.outcome.is_(None)).values(values)
            )
            if status == records.RUNNING:
                connection.execute(
                    update(_jobs)
                    .where(_jobs.c.id == job_id, _jobs.c.started.is_(None))
                    .values(started=now)
                )
            for step, share in steps.items():
                _raise_progress(connection, job_id, step, share)

    def abandon(self, job_id: str, problem: Mapping[str, Any]) -> None:
        """Let a job fail of which nothing can run because its record cannot be understood."""
        self.decide(job_id, (), failure=Failure(problem))
        self.finish(job_id, records.FAILED, f"failed: {problem['title']}")

    def finish(
        self,
        job_id: str,
        outcome: str,
        message: str,
        results: Mapping[str, Any] | None = None,
    ) -> bool:
        """End a job, once; False when it cannot succeed because it shall be dismissed."""
        now = time.time()
        successful = outcome == records.SUCCESSFUL
        values: dict[str, Any] = {
            "status": outcome, "outcome": outcome, "message": message,
            "finished": now, "updated": now,
        }  # fmt: skip
        if outcome != records.DISMISSED:
            values["started"] = func.coalesce(_jobs.c.started, now)
        if successful:
            values |= {"progress": 100, "results": dict(results or {})}
        where = [_jobs.c.id == job_id, _jobs.c.outcome.is_(None)]
        if successful:
            where.append(_jobs.c.dismiss_requested.is_(False))
        reached("finishing")
        with self.write() as connection:
            ended = connection.execute(update(_jobs).where(*where).values(values))
            if ended.rowcount == 1 and not successful:
                table = schema.steps
                connection.execute(
                    update(table)
                    .where(table.c.job_id == job_id, table.c.state.in_(("waiting", "running")))
                    .values(state="cancelled", finished=now)
                )
        reached("finished")
        return ended.rowcount == 1

    def committed_attempts(self, job_id: str) -> set[tuple[str, int, str]]:
        """Return step, index and name of the attempts whose outputs count."""
        table = schema.commits.c
        query = select(table.step, table.idx, table.attempt).where(table.job_id == job_id)
        with self._database.read() as connection:
            return {(row.step, row.idx, row.attempt) for row in connection.execute(query)}

    def files_removed(self, job_id: str) -> None:
        """Write down that the files of a removed job are deleted."""
        with self.write() as connection:
            connection.execute(update(_jobs).where(_jobs.c.id == job_id).values(files_removed=True))

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection for one transaction that counts only while our epoch is current.

        Raises:
            LeaseLost: Another controller has taken over.
        """
        with self._database.write() as connection:
            guard(connection, self._lease.epoch)
            yield connection


def write_judged(connection: Connection, job_id: str, judged: Judged) -> None:
    """Write an ended attempt; a second one of the same index never becomes the one that counts."""
    key = {"job_id": job_id, "step": judged.step, "idx": judged.index}
    verdict = judged.verdict
    if verdict in judge.COUNT:
        table = schema.commits
        taken = connection.execute(
            select(table.c.attempt).where(
                table.c.job_id == job_id, table.c.step == judged.step, table.c.idx == judged.index
            )
        ).first()
        if taken is not None:
            verdict = judge.SUPERSEDED
        else:
            outputs = dict((judged.document or {})["outputs"])
            connection.execute(
                insert(table).values(
                    **key, attempt=judged.attempt, outputs=outputs, reuse_key=judged.reuse_key
                )
            )
    connection.execute(
        insert(schema.attempts).values(
            **key,
            attempt=judged.attempt,
            round=judged.round,
            verdict=verdict,
            folder=judged.folder,
            document=None if judged.document is None else dict(judged.document),
            judged=time.time(),
        )
    )


def _open_round(connection: Connection, round_: RoundRecord, epoch: int) -> None:
    connection.execute(
        insert(_rounds).values(
            job_id=round_.job,
            step=round_.step,
            round=round_.round,
            name=round_.name,
            epoch=epoch,
            indexes=round_.indexes,
            ram_mb=round_.ram_mb,
            not_before=round_.not_before,
            base=round_.base,
            code=round_.code,
            open=True,
            created=time.time(),
        )
    )


def _begin_ending(connection: Connection, job_id: str, failure: Failure) -> None:
    """Write down that the job fails, before what still runs of it is stopped."""
    now = time.time()
    connection.execute(
        update(_jobs)
        .where(_jobs.c.id == job_id, _jobs.c.ending.is_(None))
        .values(ending=records.FAILED, error=dict(failure.problem), updated=now)
    )
    if failure.step is not None:
        _set_step(connection, job_id, failure.step, state="failed", finished=now)


def _raise_progress(connection: Connection, job_id: str, step: str, share: float) -> None:
    """Write down a step's progress unless it has been further: an index may run again."""
    table = schema.steps
    connection.execute(
        update(table)
        .where(table.c.job_id == job_id, table.c.step == step, table.c.progress < share)
        .values(progress=share)
    )


def _set_step(connection: Connection, job_id: str, step: str, **values: Any) -> None:
    table = schema.steps
    connection.execute(
        update(table).where(table.c.job_id == job_id, table.c.step == step).values(values)
    )
