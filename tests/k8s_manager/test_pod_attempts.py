"""What pods and their Job show becomes attempts; none is left open once the Job is gone."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from k8s_manager.backends import base, pod_attempts
from k8s_manager.backends.base import Attempt, Round
from k8s_manager.backends.kubernetes_view import JobView, PodView
from k8s_manager.backends.pod_attempts import PodAttempts
from k8s_manager.kubernetes_settings import KubernetesSettings

SETTINGS = KubernetesSettings(namespace="stages")


def round_in(folder: Path) -> Round:
    return Round("0190" + "0" * 28, "detect", 1, 1, (0,), False, folder)


def job_of(round_: Round) -> JobView:
    return JobView(
        round=round_.name, uid="j", created="2026-11-25T10:00:00Z", parallelism=1, pods=1,
        failed=frozenset(), over="", message="", ending=True,
    )  # fmt: skip


def pod_of(round_: Round, *, started: bool) -> PodView:
    return PodView(
        name="x", uid=str(uuid.uuid4()), round=round_.name, position=0, phase="Pending", node="n",
        running=started, ended=False, reason="", message="", exit_code=None, image_id="",
        unschedulable="", disrupted="", deleted="", created="2026-11-25T10:00:00Z",
    )  # fmt: skip


def write_ended(round_: Round, pod: PodView, *, reason: str | None, exit_code: int | None) -> None:
    """Write what the runner leaves when its program has ended, or was asked to stop."""
    folder = round_.index_folder(0) / pod.uid
    folder.mkdir()
    document = {
        "version": 1, "job": round_.job, "step": round_.step, "index": 0, "round": 1,
        "attempt": pod.uid, "exit_code": exit_code, "signal": None, "reason": reason,
        "started": None, "ended": None, "cpu_s": 0.0, "ram_peak_mb": 1, "image_digest": None,
        "outputs": {}, "error": None,
    }  # fmt: skip
    (folder / "attempt.json").write_text(json.dumps(document), encoding="utf-8")


def last(found: dict[int, list[Attempt]]) -> Attempt:
    return found[0][-1]


def test_a_job_that_goes_with_a_pod_that_never_began_leaves_its_index_to_the_controller(
    tmp_path: Path,
) -> None:
    round_ = round_in(tmp_path)
    attempts = PodAttempts(round_)
    stopped, next_one = pod_of(round_, started=True), pod_of(round_, started=False)
    write_ended(round_, stopped, reason="cancelled", exit_code=None)
    found = attempts.look(job_of(round_), [stopped, next_one], False, SETTINGS)
    assert last(found).repeats
    found = attempts.look(None, [], True, SETTINGS)
    assert [attempt.name for attempt in found[0]] == [stopped.uid, "r1-lost"]
    assert last(found).state == base.GONE
    assert not last(found).repeats
    assert attempts.open == 0


def test_a_job_that_goes_with_a_running_pod_loses_the_attempt_of_that_pod(tmp_path: Path) -> None:
    round_ = round_in(tmp_path)
    attempts = PodAttempts(round_)
    pod = pod_of(round_, started=True)
    assert last(attempts.look(job_of(round_), [pod], False, SETTINGS)).state == base.RUNNING
    found = attempts.look(None, [], True, SETTINGS)
    assert [attempt.name for attempt in found[0]] == [pod.uid]
    assert last(found).state == base.GONE


def test_what_ends_while_the_cluster_is_silent_about_its_start_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_attempts, "SEARCH_S", 0.0)
    round_ = round_in(tmp_path)
    attempts = PodAttempts(round_)
    pod = pod_of(round_, started=False)
    write_ended(round_, pod, reason=None, exit_code=0)
    assert attempts.look(job_of(round_), [pod], False, SETTINGS) == {}  # news is still to come
    monkeypatch.setattr(pod_attempts, "UNTOLD_S", 0.0)
    assert last(attempts.look(job_of(round_), [pod], False, SETTINGS)).state == base.ENDED
    assert attempts.open == 0
