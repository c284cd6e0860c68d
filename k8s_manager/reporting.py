"""Telling the user how far a job is, and writing it down only when there is news."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from k8s_manager import progress, records
from k8s_manager.backends import base
from k8s_manager.backends.base import Observation, RoundState, Waiting
from k8s_manager.history import History
from k8s_manager.ledger import Ledger
from k8s_manager.plan import Plan
from k8s_manager.progress import StepProgress
from k8s_manager.records import Job
from k8s_manager.workspace import Workspace

REPORT_S = 0.5
"""Seconds between reports of progress: often enough to watch, seldom enough to cost nothing."""


class Reporter:
    """What the record of one job shows of its progress."""

    def __init__(self, ledger: Ledger, workspace: Workspace, job: Job, plan: Plan) -> None:
        self._ledger = ledger
        self._workspace = workspace
        self._job = job.id
        self._plan = plan
        self._shown = (job.status, job.progress, job.message)
        self._next = 0.0

    def report(self, history: History, observation: Observation) -> None:
        """Write down how far the job is, when that has changed and the last time is long ago."""
        states = [
            observation.rounds.get(round_.name, RoundState()) for round_ in history.open_rounds()
        ]
        begun = any(state.attempts for state in states)
        status = records.RUNNING if begun else self._shown[0]
        if status == self._shown[0] and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REPORT_S
        steps = {name: self._step(name, history, states) for name in self._plan.steps}
        waiting = next((state.waiting for state in states if state.waiting), None)
        percent = max(self._shown[1], progress.percent(steps))
        shares = {name: step.share for name, step in steps.items() if step.state == "running"}
        self._show(status, percent, progress.message(steps, waiting), shares)

    def wait(self, waiting: Waiting) -> None:
        """Tell the user why nothing happens."""
        self._show(self._shown[0], self._shown[1], progress.message({}, waiting), {})

    def _step(self, name: str, history: History, states: Sequence[RoundState]) -> StepProgress:
        scatter = self._plan.steps[name].scatter
        folder = self._workspace.step(self._job, name)
        return StepProgress(
            step=name,
            state=history.states[name],
            total=history.totals.get(name),
            done=len(history.committed[name]),
            running=tuple(
                progress.last_line(attempt.folder / "progress.jsonl")
                for state in states
                for attempt in state.attempts
                if attempt.state == base.RUNNING and attempt.folder.is_relative_to(folder)
            ),
            unit=progress.plural(scatter[0]) if scatter else None,
        )

    def _show(self, status: str, percent: int, message: str, shares: Mapping[str, float]) -> None:
        shown = (status, percent, message)
        if shown != self._shown:
            self._ledger.report(self._job, status, percent, message, shares)
            self._shown = shown
