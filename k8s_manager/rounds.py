"""The rounds of one job: making them, handing them to the backend, tidying up behind them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from k8s_manager import job_files, releases
from k8s_manager.backends import base
from k8s_manager.backends.base import Backend, Round
from k8s_manager.cwl import Step, Tool
from k8s_manager.fault_points import reached
from k8s_manager.history import History
from k8s_manager.ledger import Ledger
from k8s_manager.plan import Plan
from k8s_manager.records import Job, RoundRecord
from k8s_manager.settings import Settings
from k8s_manager.store import Store
from k8s_manager.workspace import Workspace


@dataclass(frozen=True)
class Means:
    """What every job is carried out with."""

    settings: Settings
    store: Store
    ledger: Ledger
    workspace: Workspace
    backend: Backend
    pool: ThreadPoolExecutor
    """For what may take long and must not hold up other jobs: copying and fetching inputs."""


class Rounds:
    """What a job hands to the backend."""

    def __init__(self, means: Means, job: Job, plan: Plan, history: History) -> None:
        self._means = means
        self._job = job.id
        self._owner = job.owner
        self._plan = plan
        self._history = history
        self._submitted: set[str] = set()
        self._start_at: dict[str, float] = {}
        self.dataset = releases.dataset_of(means.settings, plan.process, job.request["values"])
        """The dataset that the job publishes to, if any."""
        self.values: Mapping[str, Any] | None = None
        """The job's input values, once its files are settled."""
        self.outputs: dict[str, dict[str, Any]] = {}
        """Output values of the steps that are done."""

    @property
    def next_start(self) -> float:
        """Monotonic seconds at which the next round that pauses may start; infinite for none."""
        pausing = (
            self._may_start_at(round_)
            for round_ in self._history.open_rounds()
            if round_.name not in self._submitted
        )
        return min(pausing, default=float("inf"))

    def new(self, step: str, delay_s: float, ram_mb: int, indexes: Iterable[int]) -> RoundRecord:
        """Return a new round of a step; it starts from the release that is current now."""
        rounds = self._history.rounds
        number = 1 + max((item.round for item in rounds.values() if item.step == step), default=0)
        version = None
        if self.dataset is not None:
            version = releases.current_version(self._means.store.database, self.dataset)
        record = RoundRecord(
            job=self._job,
            step=step,
            round=number,
            name=base.round_name(self._job, step, number),
            indexes=sorted(indexes),
            ram_mb=ram_mb,
            not_before=time.time() + delay_s if delay_s else 0.0,
            base=version,
            open=True,
            code=self.code(step),
        )
        rounds[record.name] = record
        return record

    def inputs(self, step: Step, version: int | None = None) -> list[dict[str, Any]]:
        """Return the inputs of each index of a step that starts from that release.

        Raises:
            PlanError: The values do not fit the workflow.
        """
        values = dict(self.values or {})
        if self.dataset is not None and releases.PREVIOUS in self._plan.process.inputs:
            values[releases.PREVIOUS] = releases.previous_value(
                self._means.workspace, self.dataset, version
            )
        return self._plan.inputs(step, values, self.outputs)

    def tool(self, step: str) -> Tool:
        """Return the program of a step."""
        tool = self._plan.steps[step].process.tool
        assert tool is not None  # noqa: S101  the loader refuses nested workflows
        return tool

    def publishes(self, step: str) -> bool:
        """Tell whether a step makes a release, which starts from the one that is current then."""
        return self.dataset is not None and releases.publishing_step(self._plan) == step

    def code(self, step: str) -> str | None:
        """Return what identifies the code that a step runs now; None when nobody knows."""
        tool = self.tool(step)
        words = [*tool.base_command, *(argument.value for argument in tool.arguments)]
        for declared in self._plan.steps[step].process.inputs.values():
            if isinstance(declared.default, Mapping) and declared.default.get("class") == "File":
                words.append(str(self._means.workspace.path(declared.default["location"])))
        return self._means.backend.code_of(tool.image, words)

    def submit(self) -> bool:
        """Hand over every round whose time has come; True when there was one."""
        due = [
            record
            for record in self._history.open_rounds()
            if record.name not in self._submitted and self._may_start_at(record) <= time.monotonic()
        ]
        for record in due:
            self._hand_over(record)
            self._submitted.add(record.name)
        return bool(due)

    def close_decided(self) -> None:
        """Tidy up behind rounds whose indexes are all decided."""
        decided = self._history.decided
        self._cancel(
            [
                round_
                for round_ in self._history.open_rounds()
                if set(round_.indexes) <= decided.get(round_.name, set())
            ]
        )

    def cancel(self) -> bool:
        """Stop what still runs; True when nothing of it is left."""
        self._cancel(self._history.open_rounds())
        return not self._history.open_rounds()

    def _may_start_at(self, record: RoundRecord) -> float:
        """Return the monotonic seconds at which a round may start.

        The record says it in Unix seconds, for a controller that comes later. That clock may have
        been set back meanwhile, so nobody waits longer than the longest pause.
        """
        if record.name not in self._start_at:
            longest = max(self._means.settings.retry_delays_s, default=0.0)
            pause = min(max(0.0, record.not_before - time.time()), longest)
            self._start_at[record.name] = time.monotonic() + pause
        return self._start_at[record.name]

    def _hand_over(self, record: RoundRecord) -> None:
        """Submit a round; harmless for one that runs already."""
        means, step, tool = self._means, self._plan.steps[record.step], self.tool(record.step)
        round_ = Round(
            job=record.job,
            step=record.step,
            number=record.round,
            epoch=means.ledger.epoch,
            indexes=tuple(record.indexes),
            scattered=bool(step.scatter),
            folder=means.workspace.step(record.job, record.step),
            cores=tool.resources.cores_min,
            ram_mb=record.ram_mb,
            time_limit_s=tool.time_limit_s,
            network=tool.network,
            gpus=tool.gpu.count if tool.gpu else 0,
            image=tool.image,
            process=step.process.id,
            owner=self._owner,
        )
        if not round_.task.exists():
            given = self.inputs(step, record.base)
            values = [given[index] for index in record.indexes]
            job_files.write_task(means.settings, means.workspace, round_, step.process, values)
            reached("task-written")
        means.backend.submit(round_)

    def _cancel(self, rounds: Sequence[RoundRecord]) -> None:
        gone = [round_ for round_ in rounds if self._means.backend.cancel(round_.name)]
        if gone:
            self._means.ledger.close_rounds(self._job, [round_.name for round_ in gone])
        for round_ in gone:
            self._history.rounds[round_.name] = replace(round_, open=False)
