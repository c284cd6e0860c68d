"""What a job that retries another one need not do again.

A step's index is taken over when an attempt of the same step with an equal `reuse_key` counts in a
job that is being retried. Its outputs get a second name in the new job's folder, so that either
job can be removed without the other one noticing, and are committed together with the start of the
step.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from k8s_manager import judge, schema
from k8s_manager.cwl import Step
from k8s_manager.fault_points import reached
from k8s_manager.judge import Verdict
from k8s_manager.ledger import Judged
from k8s_manager.plan import Plan
from k8s_manager.records import Job, RoundRecord
from k8s_manager.retry import ancestors
from k8s_manager.reuse_key import reuse_key
from k8s_manager.reused_files import NotThereAnyMoreError, copy_attempt, remove_copies
from k8s_manager.rounds import Means, Rounds

SHORT_S = 0.05
"""Seconds that one job may hold up others while outputs are taken over."""
CODE_S = 1.0
"""Seconds for which a look at the installed code is believed: it takes 3 ms."""

_Values = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _Committed:
    """An attempt that counts in a job that is being retried."""

    attempt: str
    folder: str
    outputs: Mapping[str, Any]
    document: Mapping[str, Any]


class Reuse:
    """What one job takes over, and what is noted of it for those that may retry it."""

    def __init__(self, means: Means, job: Job, plan: Plan, rounds: Rounds) -> None:
        self._means = means
        self._job = job
        self._plan = plan
        self._rounds = rounds
        self._copying: dict[str, Future[list[Judged]]] = {}
        self._keys: dict[tuple[str, str | None, int | None], list[str | None]] = {}
        self._codes: dict[str, tuple[float, str | None]] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing is being copied."""
        return all(future.done() for future in self._copying.values())

    def taken_over(self, step: Step, given: _Values) -> list[Judged] | None:
        """Return the attempts that a step takes over; None while their outputs are copied.

        Args:
            step: A step that has not started.
            given: Input values of each of its indexes.

        Raises:
            OSError: Outputs cannot be copied; ask again.
        """
        if self._job.retry_of is None or self._rounds.publishes(step.id):
            return []
        if step.id not in self._copying:
            code = self._rounds.code(step.id)
            keys = [reuse_key(step.process, values, code) for values in given]
            future = self._means.pool.submit(self._take_over, step, keys)
            future.add_done_callback(lambda _done: self._means.backend.wake())
            self._copying[step.id] = future
            wait([future], timeout=SHORT_S)
        if not self._copying[step.id].done():
            return None
        return self._copying.pop(step.id).result()

    def key_after(self, round_: RoundRecord, index: int, verdict: Verdict) -> str | None:
        """Return what made the outputs of an index, once an attempt of it has ended.

        None when they do not count, and when the code has changed since the round began: nobody
        knows which one ran.
        """
        if verdict.kind != judge.COMMIT:
            return None
        code = self._code(round_.step)
        if code is None or code != round_.code:
            return None
        known = (round_.step, code, round_.base)
        if known not in self._keys:
            step = self._plan.steps[round_.step]
            given = self._rounds.inputs(step, round_.base)
            self._keys[known] = [reuse_key(step.process, values, code) for values in given]
        return self._keys[known][index]

    def _code(self, step: str) -> str | None:
        looked, code = self._codes.get(step, (float("-inf"), None))
        if time.monotonic() - looked > CODE_S:
            code = self._rounds.code(step)
            self._codes[step] = time.monotonic(), code
        return code

    def _take_over(self, step: Step, keys: Sequence[str | None]) -> list[Judged]:
        """Copy what is there of a step; made anew when a controller was killed in between."""
        workspace = self._means.workspace
        remove_copies(workspace.step(self._job.id, step.id))
        there = self._committed(step.id)
        taken = []
        for index, key in enumerate(keys):
            for found in there.get(key, ()) if key is not None else ():
                entry = self._copied(step, index, found, key)
                if entry is not None:
                    taken.append(entry)
                    break
        return taken

    def _committed(self, step: str) -> dict[str | None, list[_Committed]]:
        """Return what counts of a step in the jobs being retried, by key, the nearest job first."""
        commits, attempts, jobs = schema.commits, schema.attempts, schema.jobs
        same = [commits.c[name] == attempts.c[name] for name in ("job_id", "step", "idx")]
        query = (
            select(commits, attempts.c.folder, attempts.c.document)
            .join(attempts, same[0] & same[1] & same[2] & (commits.c.attempt == attempts.c.attempt))
            .join(jobs, jobs.c.id == commits.c.job_id)
            .where(commits.c.step == step, commits.c.reuse_key.is_not(None))
            .where(jobs.c.removed.is_(None), jobs.c.files_expired.is_(None))
        )
        found: dict[str | None, list[_Committed]] = {}
        with self._means.store.database.read() as connection:
            for job in ancestors(connection, self._job.id):
                for row in connection.execute(query.where(commits.c.job_id == job)):
                    entry = _Committed(row.attempt, row.folder, row.outputs, row.document)
                    found.setdefault(row.reuse_key, []).append(entry)
        return found

    def _copied(self, step: Step, index: int, found: _Committed, key: str | None) -> Judged | None:
        """Copy an attempt; None when something of it is no longer there."""
        workspace = self._means.workspace
        parent = workspace.index(self._job.id, step.id, index, bool(step.scatter))
        try:
            folder, document = copy_attempt(
                workspace, found.folder, parent, found.document, found.outputs
            )
        except NotThereAnyMoreError:
            return None
        reached("attempt-copied")
        return Judged(
            step=step.id,
            index=index,
            attempt=folder.name,
            round=0,
            verdict=judge.REUSED,
            folder=workspace.location(folder),
            document=document,
            reuse_key=key,
        )
