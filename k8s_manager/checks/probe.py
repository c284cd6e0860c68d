"""A step that does nothing for each image: it is pulled, runs, and sees the workspace's files.

It is a round as any other, on the same backend and with the same step runner: what keeps it from
running keeps every step from running, and says so in the same words. The step reads a file that is
written here and writes one that is read here, so that both are known to be the same files.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from k8s_manager import step_runner
from k8s_manager.backends import base
from k8s_manager.backends.base import Attempt, Round, RoundState
from k8s_manager.backends.job_manifest import allowed_image
from k8s_manager.backends.kubernetes import KubernetesBackend
from k8s_manager.checks.finding import Finding, failed, note, ok
from k8s_manager.cwl_model import Process
from k8s_manager.settings import Settings
from k8s_manager.workspace import Workspace, write_whole

STEP = "probe"
RAM_MB = 64
REMOVAL_S = 60.0
_ECHO = "import sys; open('echo', 'w').write(open('../../../inputs/word').read()[::-1])"


@dataclass
class _Probe:
    """One image under one RuntimeClass."""

    image: str
    runtime: str
    processes: list[str]
    round: Round
    word: str
    begun: float = 0.0

    @property
    def what(self) -> str:
        under = f" under {self.runtime}" if self.runtime else ""
        return f"image {self.image}{under} ({', '.join(self.processes)})"


def check(settings: Settings, tools: Mapping[str, Process], wait_s: float) -> Iterator[Finding]:
    """Run a step that does nothing for each image of the processes, all at once.

    Args:
        settings: The deployment's.
        tools: Processes that run programs, by id; the policy lets their images run.
        wait_s: Seconds until a probe that has not ended is given up.
    """
    # Under another name: a controller that works at the same time removes what it does not know.
    kubernetes = replace(
        settings.kubernetes, installation=f"{settings.kubernetes.installation}-check"
    )
    workspace = Workspace(settings.workspace)
    probes = [_written(workspace, probe) for probe in _probes(settings, tools, workspace)]
    backend = KubernetesBackend(replace(settings, kubernetes=kubernetes))
    try:
        for probe in probes:
            probe.begun = time.monotonic()
            backend.submit(probe.round)
        yield from _watched(backend, probes, wait_s)
    finally:
        left = _left(backend, probes)
        backend.close()
        for probe in probes:
            with contextlib.suppress(OSError):
                workspace.remove_job(probe.round.job)
    if left:
        advice = f"delete them once their node answers: {', '.join(sorted(left))}"
        yield note("images", "Jobs of this check do not go", advice)


def _probes(
    settings: Settings, tools: Mapping[str, Process], workspace: Workspace
) -> Iterator[_Probe]:
    """Return a probe for every image and RuntimeClass that some process runs with."""
    kubernetes = settings.kubernetes
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    named = {}
    for name, process in sorted(tools.items()):
        assert process.tool is not None  # noqa: S101  a tool
        image = allowed_image(process.tool.image, name, kubernetes)
        runtime = kubernetes.runtime_classes.get(name, kubernetes.runtime_class)
        users[image, runtime].append(name)
        named[image] = process.tool.image
    for (image, runtime), processes in users.items():
        job = uuid.uuid4().hex
        round_ = Round(
            job, STEP, 1, 0, (0,), False, workspace.step(job, STEP),
            cores=0.1, ram_mb=RAM_MB, time_limit_s=60, image=named[image], process=processes[0],
        )  # fmt: skip
        yield _Probe(image, runtime, processes, round_, word=uuid.uuid4().hex)


def _written(workspace: Workspace, probe: _Probe) -> _Probe:
    """Write down what a probe reads and what its runner is to do."""
    round_ = probe.round
    entry = {"index": 0, "argv": ["python3", "-c", _ECHO], "env": {}, "inputs": [], "outputs": {}}
    task = {
        "version": step_runner.VERSION, "job": round_.job, "step": round_.step, "round": 1,
        "epoch": 0, "scattered": False, "time_limit_s": round_.time_limit_s,
        "ram_mb": round_.ram_mb, "log_limit_bytes": 10_000, "indexes": [entry],
    }  # fmt: skip
    write_whole(workspace.job(round_.job) / "inputs" / "word", probe.word.encode())
    write_whole(round_.task, json.dumps(task).encode())
    return probe


def _watched(backend: KubernetesBackend, probes: list[_Probe], wait_s: float) -> Iterator[Finding]:
    """Yield what became of each probe, as soon as that is known."""
    left = list(probes)
    until = time.monotonic() + wait_s
    while left:
        rounds = backend.observe().rounds
        late = time.monotonic() > until
        for probe in list(left):
            found = _outcome(probe, rounds[probe.round.name], late)
            if found is not None:
                left.remove(probe)
                yield found
        backend.wait(0.5)


def _outcome(probe: _Probe, state: RoundState, late: bool) -> Finding | None:
    """Return what a probe shows; None while it is under way."""
    if state.failure is not None:
        sentence = f"{state.failure.code}: {state.failure.sentence}"
        return failed(probe.what, sentence, "docs/kubernetes.md explains the reasons")
    for attempt in state.attempts:
        if attempt.state != base.RUNNING and not attempt.repeats:
            return _ended(probe, attempt)
    if not late:
        return None
    waiting = state.waiting
    why = f"waiting: {waiting.code}: {waiting.sentence}" if waiting else "its pod does not end"
    return failed(probe.what, why, "docs/kubernetes.md explains the reasons; --wait waits longer")


def _ended(probe: _Probe, attempt: Attempt) -> Finding:
    if attempt.document is None:
        return failed(probe.what, attempt.reason, "docs/kubernetes.md explains the reasons")
    error = attempt.document.get("error")
    if error:
        return failed(probe.what, f"{error['title']}: {error['detail']}", "see docs/kubernetes.md")
    if _echo(attempt.folder) != probe.word[::-1]:
        advice = "both must be one volume: CDI_KUBERNETES_CLAIM, CDI_KUBERNETES_CLAIM_PATH"
        return failed(probe.what, "what its pod writes is not seen in CDI_WORKSPACE", advice)
    took = time.monotonic() - probe.begun
    return ok(probe.what, f"has the step runner and sees the workspace ({took:.1f} s)")


def _echo(folder: Path) -> str:
    try:
        return (folder / "outputs" / "echo").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _left(backend: KubernetesBackend, probes: list[_Probe]) -> set[str]:
    """Delete the probes' Jobs; return the names of those that do not go."""
    names = {probe.round.name for probe in probes}
    until = time.monotonic() + REMOVAL_S
    while names and time.monotonic() < until:
        names = {name for name in names if not backend.cancel(name)}
        backend.wait(0.2)
    return names
