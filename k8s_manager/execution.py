"""One job being carried out: compares what should run with what does, and acts on the difference.

Nothing here is remembered that could not be read again from the store and the backend: a new
controller goes on where the last one stopped, at whatever moment that was.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import Any

from k8s_manager import job_files, judge, records, releases
from k8s_manager.backends import base
from k8s_manager.backends.base import Attempt, Observation, RoundState, Waiting
from k8s_manager.clearing import clear_up
from k8s_manager.cwl import Process, Step
from k8s_manager.dataset_fit import release_misfit
from k8s_manager.history import History
from k8s_manager.input_fetching import InputUnavailable
from k8s_manager.judge import Verdict
from k8s_manager.ledger import Failure, Judged
from k8s_manager.plan import PlanError, plan_of, with_defaults
from k8s_manager.records import Job, RoundRecord
from k8s_manager.reporting import Reporter
from k8s_manager.reuse import Reuse
from k8s_manager.rounds import Means, Rounds
from k8s_manager.step_runner import VERSION

SHORT_S = 0.05
"""Seconds that one job may hold up others while its inputs are settled: enough for small ones."""


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
        self._rounds = Rounds(means, job, self._plan, history)
        self._reuse = Reuse(means, job, self._plan, self._rounds)
        self._settling: Future[Any] | None = None
        self._reporter = Reporter(means.ledger, means.workspace, job, self._plan)

    @property
    def next_start(self) -> float:
        """Monotonic seconds at which the next round that pauses may start; infinite for none."""
        return self._rounds.next_start

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
            return self._wind_down(observation)
        if self._rounds.submit():
            observation = self._means.backend.observe()
        self._rounds.close_decided()
        if len(self._rounds.outputs) == len(self._plan.steps):
            return self._succeed()
        self._reporter.report(self._history, observation)
        return False

    def fail(self, problem: Mapping[str, Any], step: str | None = None) -> None:
        """Write down that the job fails; what runs of it is stopped from now on."""
        self._means.ledger.decide(self.job.id, (), failure=Failure(problem, step))
        self._ending, self._error = records.FAILED, problem

    def show(self, waiting: Waiting) -> None:
        """Tell the user why nothing happens."""
        self._reporter.wait(waiting)

    def _settle(self) -> bool:
        """Let the job's files be settled beside; True once that is done.

        Raises:
            OSError: A file cannot be written.
            ConfigError: The configured sources cannot be read.
        """
        if self._rounds.values is not None:
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
        self._rounds.values = with_defaults(self._process, given)
        for name, state in history.states.items():
            if state == "done":
                step = self._plan.steps[name]
                self._rounds.outputs[name] = self._plan.gathered(step, history.committed[name])

    def _judge(self, observation: Observation) -> None:
        """Decide what follows from every attempt that has ended since the last look."""
        judged: list[Judged] = []
        again: dict[tuple[str, float, int], list[int]] = defaultdict(list)
        failure: Failure | None = None
        for round_, attempt in self._new_ends(observation):
            verdict, entry = self._verdict(round_, attempt)
            if verdict.kind == judge.COMMIT and self._rounds.publishes(round_.step):
                entry = self._publish(round_, entry)
            else:
                judged.append(entry)
            self._note(entry)
            if verdict.kind == judge.FAIL and failure is None:
                failure = Failure(self._problem(verdict, entry), entry.step)
            elif verdict.kind in (judge.AGAIN, judge.LOST, judge.MORE_MEMORY):
                ram_mb = verdict.ram_mb or round_.ram_mb
                again[round_.step, verdict.delay_s, ram_mb].append(attempt.index)
        failure = failure or self._refused(observation)
        rounds = [] if failure else [self._rounds.new(*key, found) for key, found in again.items()]
        if judged or failure is not None:
            self._means.ledger.decide(self.job.id, judged, rounds, failure)
        if failure is not None:
            self._ending, self._error = records.FAILED, failure.problem

    def _refused(self, observation: Observation) -> Failure | None:
        """Return why waiting for a round is pointless, if it is."""
        for round_ in self._history.open_rounds():
            refusal = observation.rounds.get(round_.name, RoundState()).failure
            if refusal is not None:
                title = f"the step cannot start: {refusal.code}"
                problem = {"title": title, "detail": refusal.sentence, "status": 500}
                return Failure(problem | {"step": round_.step}, round_.step)
        return None

    def _new_ends(self, observation: Observation) -> list[tuple[RoundRecord, Attempt]]:
        return [
            (round_, attempt)
            for round_ in self._history.open_rounds()
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
                attempt, self._rounds.tool(step), round_.ram_mb, earlier, self._means.settings
            )
            if verdict.kind == judge.COMMIT and self._rounds.publishes(step):
                verdict = self._fitting(attempt, verdict)
        return verdict, Judged(
            step=step,
            index=attempt.index,
            attempt=attempt.name,
            round=round_.round,
            verdict=verdict.kind,
            folder=self._means.workspace.location(attempt.folder),
            document=_document(round_, attempt),
            reuse_key=self._reuse.key_after(round_, attempt.index, verdict),
        )

    def _fitting(self, attempt: Attempt, verdict: Verdict) -> Verdict:
        """Return the verdict, or a failure when the release does not fit its dataset."""
        means, name = self._means, self._rounds.dataset
        dataset = means.settings.datasets[str(name)]
        written = dict(attempt.document or {})["outputs"][releases.RELEASE]
        misfit = release_misfit(dataset, means.workspace.path(written["location"]))
        if misfit is None:
            return verdict
        title = f"the release does not fit the dataset {name}"
        return Verdict(judge.FAIL, problem={"title": title, "detail": misfit, "status": 422})

    def _note(self, entry: Judged) -> None:
        """Keep in mind what is (or is about to be) written down."""
        key = (entry.step, entry.index, entry.attempt)
        self._history.note(key, entry.round, entry.verdict, self.job.id)
        if entry.verdict in judge.COUNT:
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

    def _publish(self, round_: RoundRecord, entry: Judged) -> Judged:
        """Switch to the release that a step wrote, unless another one came in between."""
        means = self._means
        assert self._rounds.dataset is not None  # noqa: S101  asked before
        switched = releases.publish(
            means.ledger, means.workspace, self._rounds.dataset, round_.base, self.job.id, entry
        )
        return entry if switched else replace(entry, verdict=judge.SUPERSEDED)

    def _start_steps(self) -> None:
        """Start every step whose inputs are there, and note the end of those that are done."""
        changed = True
        while changed and self._ending is None:
            changed = False
            for step in self._plan.steps.values():
                state = self._history.states[step.id]
                if state == "waiting" and self._plan.ready(step, self._rounds.outputs):
                    changed |= self._start(step)
                elif state == "running":
                    changed |= self._go_on(step)

    def _start(self, step: Step) -> bool:
        try:
            given = self._rounds.inputs(step)
        except PlanError as error:
            self.fail({"title": "the workflow cannot go on", "detail": str(error), "status": 500})
            return False
        reused = self._reuse.taken_over(step, given)
        if reused is None:
            return False
        total = self._history.totals[step.id] = len(given)
        self._history.states[step.id] = "running"
        if total:
            ram_mb = self._rounds.tool(step.id).resources.ram_min
            open_ = set(range(total)) - {entry.index for entry in reused}
            first = self._rounds.new(step.id, 0.0, ram_mb, open_) if open_ else None
            self._means.ledger.start_step(self.job.id, step.id, total, first, reused)
            for entry in reused:
                self._note(entry)
        return True

    def _go_on(self, step: Step) -> bool:
        """Note the end of a step, or run again what is neither committed nor under way."""
        committed, total = self._history.committed[step.id], self._history.totals[step.id]
        if len(committed) == total:
            self._means.ledger.end_step(self.job.id, step.id, total)
            self._history.states[step.id] = "done"
            self._rounds.outputs[step.id] = self._plan.gathered(step, committed)
            return True
        missing = self._history.missing(step.id)
        if missing:
            rounds = self._history.rounds.values()
            ram_mb = max(item.ram_mb for item in rounds if item.step == step.id)
            self._means.ledger.decide(
                self.job.id, (), [self._rounds.new(step.id, 0.0, ram_mb, missing)]
            )
        return False

    def _succeed(self) -> bool:
        means = self._means
        results = self._plan.results(self._rounds.values or {}, self._rounds.outputs)
        clear_up(means.ledger, means.workspace, self.job.id)
        done = len(self._plan.steps)
        message = f"done: {done} {'step' if done == 1 else 'steps'}"
        if means.ledger.finish(self.job.id, records.SUCCESSFUL, message, results):
            return True
        self.dismissing = True
        return self._wind_down(Observation())

    def _wind_down(self, observation: Observation) -> bool:
        """Stop what still runs; end the job when nothing of it is left."""
        means = self._means
        settled = (self._settling is None or self._settling.done()) and self._reuse.idle
        if not self._rounds.cancel() or not settled:
            for round_ in self._history.open_rounds():
                if obstacle := observation.removals.get(round_.name):
                    self.show(obstacle)
            return False
        clear_up(means.ledger, means.workspace, self.job.id)
        if self.dismissing:
            return means.ledger.finish(self.job.id, records.DISMISSED, "dismissed on request")
        where = self._error.get("step", self.job.process_id)
        message = f"failed: {where}: {self._error['title']}"
        return means.ledger.finish(self.job.id, records.FAILED, message)


def _document(round_: RoundRecord, attempt: Attempt) -> dict[str, Any]:
    """Return ``attempt.json``, or in its place what is known of an attempt without one."""
    if attempt.document is not None:
        document = dict(attempt.document)
        document["image_digest"] = document.get("image_digest") or attempt.image
        return document
    return {
        "version": VERSION, "job": round_.job, "step": round_.step, "index": attempt.index,
        "round": round_.round, "attempt": attempt.name, "exit_code": None, "signal": None,
        "reason": attempt.cause or "gone", "started": None, "ended": None, "cpu_s": None,
        "ram_peak_mb": None, "image_digest": attempt.image, "outputs": {},
        "error": {"title": "the step was killed", "detail": attempt.reason},
    }  # fmt: skip
