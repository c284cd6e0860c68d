"""One job being carried out: compares what should run with what does, and acts on the difference.

Nothing here is remembered that could not be read again from the store and the backend: a new
controller goes on where the last one stopped, at whatever moment that was.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from k8s_manager import job_files, judge, progress, records, releases
from k8s_manager.backends import base
from k8s_manager.backends.base import Attempt, Backend, Observation, Round, RoundState, Waiting
from k8s_manager.clearing import clear_up
from k8s_manager.cwl import Process, Step, Tool
from k8s_manager.input_fetching import InputUnavailable
from k8s_manager.judge import Verdict
from k8s_manager.ledger import Failure, History, Judged, Ledger
from k8s_manager.plan import PlanError, plan_of, with_defaults
from k8s_manager.progress import StepProgress
from k8s_manager.records import Job, RoundRecord
from k8s_manager.settings import Settings
from k8s_manager.store import Store
from k8s_manager.workspace import Workspace

REPORT_S = 0.5
"""Seconds between reports of progress: often enough to watch, seldom enough to cost nothing."""
SHORT_S = 0.05
"""Seconds that one job may hold up others while its inputs are settled: enough for small ones."""


@dataclass(frozen=True)
class Means:
    """What every execution works with."""

    settings: Settings
    store: Store
    ledger: Ledger
    workspace: Workspace
    backend: Backend
    pool: ThreadPoolExecutor
    """For what may take long and must not hold up other jobs: copying and fetching inputs."""


class Execution:
    """One unfinished job."""

    def __init__(self, means: Means, job: Job, ending: str | None, history: History) -> None:
        self.job = job
        self.dismissing = job.dismiss_requested
        self._means = means
        self._ending = ending
        self._error: Mapping[str, Any] = job.error or {}
        self._history = history
        self._process = Process.from_json(job.process)
        self._plan = plan_of(self._process)
        self._dataset = releases.dataset_of(means.settings, self._process, job.request["values"])
        self._settling: Future[Any] | None = None
        self._values: dict[str, Any] | None = None
        self._outputs: dict[str, dict[str, Any]] = {}
        self._submitted: set[str] = set()
        self._shown = (job.status, job.progress, job.message)
        self._report_at = 0.0

    @property
    def next_start(self) -> float:
        """Unix seconds at which the next round that pauses may start; infinite when none does."""
        pausing = (
            round_.not_before
            for round_ in self._open_rounds()
            if round_.name not in self._submitted
        )
        return min(pausing, default=float("inf"))

    @property
    def _ending_now(self) -> bool:
        return self.dismissing or self._ending is not None

    def advance(self, observation: Observation) -> bool:
        """Do what can be done now; True once the job has ended.

        Raises:
            LeaseLost: Another controller has taken over.
            StoreError: The database cannot be used now.
            OSError: The workspace cannot be used now.
        """
        if not self._ending_now and not self._settle():
            return False
        if not self._ending_now:
            self._judge(observation)
        if not self._ending_now:
            self._start_steps()
        if self._ending_now:
            return self._wind_down()
        self._close_rounds()
        self._submit()
        if len(self._outputs) == len(self._plan.steps):
            return self._succeed()
        self._report(observation)
        return False

    def fail(self, problem: Mapping[str, Any], step: str | None = None) -> None:
        """Write down that the job fails; what runs of it is stopped from now on."""
        self._means.ledger.decide(self.job.id, (), failure=Failure(problem, step))
        self._ending, self._error = records.FAILED, problem

    def show(self, waiting: Waiting) -> None:
        """Tell the user why nothing happens."""
        self._show(self._shown[0], self._shown[1], progress.message({}, waiting), {})

    def _settle(self) -> bool:
        """Let the job's files be settled beside; True once that is done.

        Raises:
            OSError: A file cannot be written.
            ConfigError: The configured sources cannot be read.
        """
        if self._values is not None:
            return True
        means = self._means
        if self._settling is None:
            self._settling = means.pool.submit(
                job_files.job_values, means.settings, means.workspace, self.job, self._process
            )
            self._settling.add_done_callback(lambda _done: means.backend.wake())
            wait([self._settling], timeout=SHORT_S)
        if not self._settling.done():
            self.show(Waiting("starting", "the inputs are being copied"))
            return False
        try:
            self._remember(self._settling.result())
        except InputUnavailable as error:
            title = "an input file cannot be had"
            self.fail({"title": title, "detail": str(error), "status": 422})
        return True

    def _remember(self, given: Mapping[str, Any]) -> None:
        """Write down the job's steps if that was not done, and bring to mind what is done."""
        history = self._history
        if not history.states:
            steps = {step.id: bool(step.scatter) for step in self._plan.steps.values()}
            self._means.ledger.plan(self.job.id, steps)
            history.states = dict.fromkeys(steps, "waiting")
            history.committed = {step: {} for step in steps}
        self._values = with_defaults(self._process, given)
        for name, state in history.states.items():
            if state == "done":
                step = self._plan.steps[name]
                self._outputs[name] = self._plan.gathered(step, history.committed[name])

    def _judge(self, observation: Observation) -> None:
        """Decide what follows from every attempt that has ended since the last look."""
        judged: list[Judged] = []
        again: dict[tuple[str, float, int], list[int]] = defaultdict(list)
        failure: Failure | None = None
        for round_, attempt in self._new_ends(observation):
            verdict, entry = self._verdict(round_, attempt)
            if verdict.kind == judge.COMMIT and self._publishes(round_.step):
                entry = self._publish(round_, entry)
            else:
                judged.append(entry)
            self._note(round_, entry)
            if verdict.kind == judge.FAIL and failure is None:
                failure = Failure(self._problem(verdict, entry), entry.step)
            elif verdict.kind in (judge.AGAIN, judge.LOST, judge.MORE_MEMORY):
                ram_mb = verdict.ram_mb or round_.ram_mb
                again[round_.step, verdict.delay_s, ram_mb].append(attempt.index)
        failure = failure or self._refused(observation)
        rounds = [] if failure else [self._round(*key, found) for key, found in again.items()]
        if judged or failure is not None:
            self._means.ledger.decide(self.job.id, judged, rounds, failure)
        if failure is not None:
            self._ending, self._error = records.FAILED, failure.problem

    def _refused(self, observation: Observation) -> Failure | None:
        """Return why waiting for a round is pointless, if it is."""
        for round_ in self._open_rounds():
            refusal = observation.rounds.get(round_.name, RoundState()).failure
            if refusal is not None:
                title = f"the step cannot start: {refusal.code}"
                problem = {"title": title, "detail": refusal.sentence, "status": 500}
                return Failure(problem | {"step": round_.step}, round_.step)
        return None

    def _new_ends(self, observation: Observation) -> list[tuple[RoundRecord, Attempt]]:
        return [
            (round_, attempt)
            for round_ in self._open_rounds()
            for attempt in observation.rounds.get(round_.name, RoundState()).attempts
            if attempt.state != base.RUNNING
            and (round_.step, attempt.index, attempt.name) not in self._history.judged
        ]

    def _verdict(self, round_: RoundRecord, attempt: Attempt) -> tuple[Verdict, Judged]:
        step = round_.step
        if attempt.index in self._history.committed[step]:
            verdict = Verdict(judge.SUPERSEDED)
        else:
            earlier = self._history.verdicts.get((step, attempt.index), Counter())
            verdict = judge.judge(
                attempt.document, self._tool(step), round_.ram_mb, earlier, self._means.settings
            )
        return verdict, Judged(
            step=step,
            index=attempt.index,
            attempt=attempt.name,
            round=round_.round,
            verdict=verdict.kind,
            folder=self._means.workspace.location(attempt.folder),
            document=attempt.document,
        )

    def _note(self, round_: RoundRecord, entry: Judged) -> None:
        """Keep in mind what is (or is about to be) written down."""
        key = (entry.step, entry.index, entry.attempt)
        self._history.note(key, round_.round, entry.verdict, self.job.id)
        if entry.verdict == judge.COMMIT:
            outputs = dict(entry.document or {})["outputs"]
            self._history.committed[entry.step][entry.index] = outputs

    def _problem(self, verdict: Verdict, entry: Judged) -> dict[str, Any]:
        """Return the job's error: the stage's own words, and where it happened."""
        problem = dict(verdict.problem or {})
        where = f"step {entry.step}"
        if self._plan.steps[entry.step].scatter:
            problem["index"] = entry.index
            where += f", index {entry.index}"
        problem["detail"] = f"{problem['detail']} ({where})".lstrip()
        return problem | {"step": entry.step}

    def _publishes(self, step: str) -> bool:
        return self._dataset is not None and releases.publishing_step(self._plan) == step

    def _publish(self, round_: RoundRecord, entry: Judged) -> Judged:
        """Switch to the release that a step wrote, unless another one came in between."""
        means = self._means
        assert self._dataset is not None  # noqa: S101  asked before
        switched = releases.publish(
            means.ledger, means.workspace, self._dataset, round_.base, self.job.id, entry
        )
        return entry if switched else replace(entry, verdict=judge.SUPERSEDED)

    def _start_steps(self) -> None:
        """Start every step whose inputs are there, and note the end of those that are done."""
        changed = True
        while changed and self._ending is None:
            changed = False
            for step in self._plan.steps.values():
                state = self._history.states[step.id]
                if state == "waiting" and self._plan.ready(step, self._outputs):
                    changed |= self._start(step)
                elif state == "running":
                    changed |= self._go_on(step)

    def _start(self, step: Step) -> bool:
        try:
            total = len(self._inputs(step, None))
        except PlanError as error:
            self.fail({"title": "the workflow cannot go on", "detail": str(error), "status": 500})
            return False
        self._history.totals[step.id] = total
        self._history.states[step.id] = "running"
        if total:
            ram_mb = self._tool(step.id).resources.ram_min
            first = self._round(step.id, 0.0, ram_mb, list(range(total)))
            self._means.ledger.start_step(self.job.id, step.id, total, first)
        return True

    def _go_on(self, step: Step) -> bool:
        """Note the end of a step, or run again what is neither committed nor under way."""
        committed, total = self._history.committed[step.id], self._history.totals[step.id]
        if len(committed) == total:
            self._means.ledger.end_step(self.job.id, step.id, total)
            self._history.states[step.id] = "done"
            self._outputs[step.id] = self._plan.gathered(step, committed)
            return True
        rounds = [item for item in self._history.rounds.values() if item.step == step.id]
        under_way = {
            index
            for item in rounds
            if item.open
            for index in set(item.indexes) - self._history.decided.get(item.name, set())
        }
        missing = sorted(set(range(total)) - set(committed) - under_way)
        if missing:
            ram_mb = max(item.ram_mb for item in rounds)
            round_ = self._round(step.id, 0.0, ram_mb, missing)
            self._means.ledger.decide(self.job.id, (), [round_])
        return False

    def _inputs(self, step: Step, version: int | None) -> list[dict[str, Any]]:
        """Return the inputs of each index of a step that starts from that release."""
        values = dict(self._values or {})
        if self._dataset is not None and releases.PREVIOUS in self._process.inputs:
            values[releases.PREVIOUS] = releases.previous_value(
                self._means.workspace, self._dataset, version
            )
        return self._plan.inputs(step, values, self._outputs)

    def _round(self, step: str, delay_s: float, ram_mb: int, indexes: Sequence[int]) -> RoundRecord:
        """Return a new round of a step; it starts from the release that is current now."""
        rounds = self._history.rounds.values()
        number = 1 + max((item.round for item in rounds if item.step == step), default=0)
        version = None
        if self._dataset is not None:
            version = releases.current_version(self._means.store.database, self._dataset)
        record = RoundRecord(
            job=self.job.id,
            step=step,
            round=number,
            name=base.round_name(self.job.id, step, number),
            indexes=sorted(indexes),
            ram_mb=ram_mb,
            not_before=time.time() + delay_s if delay_s else 0.0,
            base=version,
            open=True,
        )
        self._history.rounds[record.name] = record
        return record

    def _submit(self) -> None:
        """Hand over every round whose time has come; harmless for one that runs already."""
        means = self._means
        for record in self._open_rounds():
            if record.name in self._submitted or record.not_before > time.time():
                continue
            step = self._plan.steps[record.step]
            tool = self._tool(record.step)
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
            )
            if not round_.task.exists():
                given = self._inputs(step, record.base)
                values = [given[index] for index in record.indexes]
                job_files.write_task(means.settings, means.workspace, round_, step.process, values)
            means.backend.submit(round_)
            self._submitted.add(record.name)

    def _close_rounds(self) -> None:
        """Tidy up behind rounds whose indexes are all decided."""
        self._cancel(
            round_
            for round_ in self._open_rounds()
            if set(round_.indexes) <= self._history.decided.get(round_.name, set())
        )

    def _cancel(self, rounds: Any) -> None:
        """Cancel rounds, and note which of them nothing is left of."""
        gone = [round_ for round_ in rounds if self._means.backend.cancel(round_.name)]
        if gone:
            self._means.ledger.close_rounds(self.job.id, [round_.name for round_ in gone])
        for round_ in gone:
            self._history.rounds[round_.name] = replace(round_, open=False)

    def _succeed(self) -> bool:
        means = self._means
        results = self._plan.results(self._values or {}, self._outputs)
        clear_up(means.ledger, means.workspace, self.job.id)
        if means.ledger.finish(self.job.id, records.SUCCESSFUL, "", results):
            return True
        self.dismissing = True
        return self._wind_down()

    def _wind_down(self) -> bool:
        """Stop what still runs; end the job when nothing of it is left."""
        means = self._means
        self._cancel(self._open_rounds())
        if self._open_rounds() or (self._settling is not None and not self._settling.done()):
            return False
        clear_up(means.ledger, means.workspace, self.job.id)
        if self.dismissing:
            return means.ledger.finish(self.job.id, records.DISMISSED, "dismissed on request")
        where = self._error.get("step", self.job.process_id)
        message = f"failed: {where}: {self._error['title']}"
        return means.ledger.finish(self.job.id, records.FAILED, message)

    def _report(self, observation: Observation) -> None:
        """Tell how far the job is, when that has changed."""
        states = [
            observation.rounds.get(round_.name, RoundState()) for round_ in self._open_rounds()
        ]
        begun = any(state.attempts for state in states)
        status = records.RUNNING if begun else self._shown[0]
        if status == self._shown[0] and time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + REPORT_S
        steps = {name: self._step_progress(name, states) for name in self._plan.steps}
        waiting = next((state.waiting for state in states if state.waiting), None)
        percent = max(self._shown[1], progress.percent(steps))
        shares = {name: step.share for name, step in steps.items() if step.state == "running"}
        self._show(status, percent, progress.message(steps, waiting), shares)

    def _step_progress(self, name: str, states: Sequence[RoundState]) -> StepProgress:
        history, scatter = self._history, self._plan.steps[name].scatter
        folder = self._means.workspace.step(self.job.id, name)
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
            self._means.ledger.report(self.job.id, status, percent, message, shares)
            self._shown = shown

    def _open_rounds(self) -> list[RoundRecord]:
        return [round_ for round_ in self._history.rounds.values() if round_.open]

    def _tool(self, step: str) -> Tool:
        tool = self._plan.steps[step].process.tool
        assert tool is not None  # noqa: S101  the loader refuses nested workflows
        return tool
