"""What is known of an unfinished job besides its record: read once, then kept in step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from k8s_manager import judge, schema
from k8s_manager.backends.base import round_name
from k8s_manager.records import RoundRecord


@dataclass
class History:
    """Steps, rounds and attempts of a job so far."""

    states: dict[str, str] = field(default_factory=dict)
    """State of each step; empty when the job was not planned yet."""
    totals: dict[str, int] = field(default_factory=dict)
    """Indexes of each step of which that is known."""
    rounds: dict[str, RoundRecord] = field(default_factory=dict)
    """By name."""
    committed: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    """Step -> index -> outputs."""
    judged: set[tuple[str, int, str]] = field(default_factory=set)
    """Step, index and name of attempts that were judged."""
    decided: dict[str, set[int]] = field(default_factory=dict)
    """Name of a round -> its indexes that nothing more is expected of in it."""
    verdicts: dict[tuple[str, int], Counter[str]] = field(default_factory=dict)
    """How often each verdict fell on an index of a step."""

    @classmethod
    def read(cls, connection: Connection, job_id: str) -> History:
        """Return the history of a job."""
        history = cls()
        for step in _of(connection, schema.steps, job_id, "position"):
            history.states[step.step] = step.state
            history.committed[step.step] = {}
            if step.total is not None:
                history.totals[step.step] = step.total
        for row in _of(connection, schema.rounds, job_id, "round"):
            record = RoundRecord(
                job=row.job_id,
                step=row.step,
                round=row.round,
                name=row.name,
                indexes=row.indexes,
                ram_mb=row.ram_mb,
                not_before=row.not_before,
                base=row.base,
                open=row.open,
                code=row.code,
            )
            history.rounds[record.name] = record
        for commit in _of(connection, schema.commits, job_id, "idx"):
            history.committed[commit.step][commit.idx] = commit.outputs
        for attempt in _of(connection, schema.attempts, job_id, "judged"):
            key = (attempt.step, attempt.idx, attempt.attempt)
            history.note(key, attempt.round, attempt.verdict, job_id)
        return history

    def note(self, key: tuple[str, int, str], number: int, verdict: str, job_id: str) -> None:
        """Add a judged attempt: step, index and name, its round's number, the verdict."""
        step, index, _name = key
        self.judged.add(key)
        if verdict != judge.REPEATED:
            self.decided.setdefault(round_name(job_id, step, number), set()).add(index)
        self.verdicts.setdefault((step, index), Counter())[verdict] += 1

    def open_rounds(self) -> list[RoundRecord]:
        """Return the rounds of which something may be running."""
        return [round_ for round_ in self.rounds.values() if round_.open]

    def missing(self, step: str) -> list[int]:
        """Return the indexes of a started step that are neither committed nor under way."""
        under_way = {
            index
            for round_ in self.open_rounds()
            if round_.step == step
            for index in set(round_.indexes) - self.decided.get(round_.name, set())
        }
        return sorted(set(range(self.totals[step])) - set(self.committed[step]) - under_way)


def _of(connection: Connection, table: Any, job_id: str, order: str) -> Any:
    query = select(table).where(table.c.job_id == job_id).order_by(table.c[order])
    return connection.execute(query)
