"""What pods and their Job show becomes attempts; none is left open once the Job is gone."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path

from k8s_manager.backends import base
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


def write_ended(
    round_: Round,
    pod: PodView,
    *,
    reason: str | None,
    exit_code: int | None,
    digest: str | None = None,
) -> None:
    """Write what the runner leaves when its program has ended, or was asked to stop."""
    folder = round_.index_folder(0) / pod.uid
    folder.mkdir()
    document = {
        "version": 1, "job": round_.job, "step": round_.step, "index": 0, "round": 1,
        "attempt": pod.uid, "exit_code": exit_code, "signal": None, "reason": reason,
        "started": None, "ended": None, "cpu_s": 0.0, "ram_peak_mb": 1, "image_digest": digest,
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


def test_what_ends_before_the_cluster_reports_its_start_counts(tmp_path: Path) -> None:
    round_ = round_in(tmp_path)
    attempts = PodAttempts(round_)
    pod = pod_of(round_, started=False)
    assert attempts.look(job_of(round_), [pod], False, SETTINGS) == {}
    [awaited] = attempts.awaited
    write_ended(round_, pod, reason=None, exit_code=0, digest="sha256:1")
    assert awaited.exists()
    assert last(attempts.look(job_of(round_), [pod], False, SETTINGS)).state == base.ENDED
    assert attempts.open == 0
    assert not attempts.awaited


def test_of_an_image_by_tag_the_report_of_the_start_is_awaited(tmp_path: Path) -> None:
    round_ = round_in(tmp_path)
    attempts = PodAttempts(round_)
    pod = pod_of(round_, started=False)
    write_ended(round_, pod, reason=None, exit_code=0)
    assert attempts.look(job_of(round_), [pod], False, SETTINGS) == {}
    told = replace(pod, running=True, image_id="registry.example/stage@sha256:1")
    found = last(attempts.look(job_of(round_), [told], False, SETTINGS))
    assert (found.state, found.image) == (base.ENDED, "sha256:1")
