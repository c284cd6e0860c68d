"""What a monitoring system is told of the job store, read from it when asked.

Nothing is counted as it happens: every worker gives the same answer, and one that is started anew
goes on where the others are. Steps and attempts of jobs that have ended never change, so a process
adds them up once and afterwards only what has come since; a scrape costs the same after a year.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import ColumnElement, Connection, case, func, select

from k8s_manager import judge, queue, records, schema
from k8s_manager.database import Database

BUCKETS_S = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
"""Upper bounds of the durations of steps, from trivial ones to a night's work."""
REASONS = ("memory", "time-limit", "cancelled", "inputs", "not-started", "outputs", "io")
"""Words of the step runner; what a program put in their place is not repeated."""
_AT_ONCE = 500
_jobs = schema.jobs.c


def registry_of(database: Database) -> CollectorRegistry:
    """Return a registry that holds what there is to know of the store."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(database))
    return registry


@dataclass
class Sums:
    """Durations of finished steps and ends of attempts, added up."""

    durations: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """Process and step -> steps of at most each of `BUCKETS_S`, of any duration, and seconds."""
    attempts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Process, step, verdict and reason -> attempts."""

    def add(self, connection: Connection, which: ColumnElement[bool]) -> None:
        """Add the steps and attempts of the jobs that fulfil a condition."""
        for process, step, *numbers in connection.execute(_durations(which)):
            sums = self.durations.setdefault((process, step), [0.0] * len(numbers))
            self.durations[process, step] = [a + b for a, b in zip(sums, numbers, strict=True)]
        for process, step, verdict, *ending, count in connection.execute(_attempts(which)):
            self.attempts[process, step, verdict, _reason(verdict, *ending)] += count

    def plus(self, connection: Connection, which: ColumnElement[bool]) -> Sums:
        """Return these sums together with those of the jobs that fulfil a condition."""
        both = Sums(dict(self.durations), self.attempts.copy())
        both.add(connection, which)
        return both


class StoreCollector(Collector):
    """Gives the numbers of a store to whatever exposes them; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._ended, self._counted = Sums(), 0
        """Sums over jobs that have ended, and how many jobs these are."""
        self._open: set[str] = set()
        self._newest = ""

    def describe(self) -> list[Metric]:
        """Name nothing beforehand: registering must not read the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers of this moment, all of the same one.

        Raises:
            StoreError: The database cannot be used now.
        """
        with self._lock, self._database.read() as connection:
            if self._database.dialect == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            by_status: Counter[str] = Counter(dict.fromkeys(records.STATUSES, 0))
            query = select(_jobs.status, func.count()).group_by(_jobs.status)
            by_status.update({row[0]: row[1] for row in connection.execute(query)})
            waiting, oldest = queue.length(connection)
            rounds = select(func.count()).select_from(schema.rounds).where(schema.rounds.c.open)
            open_rounds = connection.execute(rounds).scalar_one()
            sums = self._sums(connection, sum(by_status[status] for status in records.FINAL))
        yield _by_status(by_status)
        age = 0.0 if oldest is None else max(0.0, time.time() - oldest)
        yield GaugeMetricFamily("cdi_queue_jobs", "Jobs that wait for their turn.", waiting)
        yield GaugeMetricFamily("cdi_queue_oldest_seconds", "Age of the oldest of them.", age)
        yield GaugeMetricFamily("cdi_open_rounds", "Rounds that are not over.", open_rounds)
        yield _as_histogram(sums)
        yield _as_counter(sums)

    def _sums(self, connection: Connection, ended: int) -> Sums:
        """Return the sums over all jobs, of which so many have ended."""
        unfinished = _jobs.status.in_(_unfinished())
        open_now = set(connection.execute(select(_jobs.id).where(unfinished)).scalars())
        newest = connection.execute(select(func.max(_jobs.id))).scalar() or ""
        self._add_ended(connection, open_now)
        if self._counted != ended:
            # None was counted yet, or a record came later than newer ones, or one was deleted.
            self._ended, self._counted = Sums(), ended
            self._ended.add(connection, _jobs.status.in_(records.FINAL))
        self._open, self._newest = open_now, newest
        return self._ended.plus(connection, unfinished)

    def _add_ended(self, connection: Connection, open_now: set[str]) -> None:
        """Add the jobs that have ended since the last time: those open then, and newer ones."""
        if self._counted == 0:
            return
        came = set(connection.execute(select(_jobs.id).where(_jobs.id > self._newest)).scalars())
        ended = sorted((self._open | came) - open_now)
        for begin in range(0, len(ended), _AT_ONCE):
            self._ended.add(connection, _jobs.id.in_(ended[begin : begin + _AT_ONCE]))
        self._counted += len(ended)


def _unfinished() -> list[str]:
    return [status for status in records.STATUSES if status not in records.FINAL]


def _durations(which: ColumnElement[bool]) -> Any:
    """Select process, step, and the numbers of `Sums.durations`, for steps that ran to an end."""
    steps = schema.steps.c
    seconds = steps.finished - steps.started
    return (
        select(
            _jobs.process_id,
            steps.step,
            *(func.sum(case((seconds <= bound, 1), else_=0)) for bound in BUCKETS_S),
            func.count(),
            func.sum(seconds),
        )
        .join_from(schema.jobs, schema.steps, steps.job_id == _jobs.id)
        .where(which, steps.state.in_(("done", "failed")), seconds >= 0)
        .group_by(_jobs.process_id, steps.step)
    )


def _attempts(which: ColumnElement[bool]) -> Any:
    """Select process, step, verdict, the members that say how it ended, and how many did so.

    Of committed attempts, nearly all, the documents are not read.
    """
    attempts = schema.attempts.c
    failed = attempts.verdict != judge.COMMIT
    ends = (
        select(
            _jobs.process_id,
            attempts.step,
            attempts.verdict,
            *(
                case((failed, attempts.document[member].as_string())).label(member)
                for member in ("reason", "signal", "exit_code")
            ),
        )
        .join_from(schema.jobs, schema.attempts, attempts.job_id == _jobs.id)
        .where(which)
        .subquery()
    )
    return select(*ends.c, func.count()).group_by(*ends.c)


def _reason(verdict: str, reason: Any, signal: Any, exit_code: Any) -> str:
    """Return why an attempt ended as it did, in one of few words."""
    if verdict == judge.COMMIT:
        return ""
    if reason is not None:
        return str(reason) if reason in REASONS else "other"
    if signal is not None:
        return "signal"
    if exit_code is None:
        return "gone"
    code = str(exit_code)
    return f"exit-{code}" if code.isdecimal() and int(code) < 256 else "other"


def _by_status(counts: Counter[str]) -> Metric:
    family = GaugeMetricFamily("cdi_jobs", "Jobs by status.", labels=("status",))
    for status, count in counts.items():
        family.add_metric((status,), count)
    return family


def _as_histogram(sums: Sums) -> Metric:
    text = "Time from the start of a step to its end, waiting included."
    family = HistogramMetricFamily("cdi_step_duration_seconds", text, labels=("process", "step"))
    bounds = [f"{float(bound):g}" for bound in BUCKETS_S] + ["+Inf"]
    for labels, numbers in sorted(sums.durations.items()):
        *buckets, seconds = numbers
        family.add_metric(labels, list(zip(bounds, buckets, strict=True)), seconds)
    return family


def _as_counter(sums: Sums) -> Metric:
    text = "Ended attempts by what followed (verdict) and why."
    names = ("process", "step", "verdict", "reason")
    family = CounterMetricFamily("cdi_attempts", text, labels=names)
    for labels, count in sorted(sums.attempts.items()):
        family.add_metric(labels, count)
    return family
