"""What was ended from outside says which limit it went beyond, or who took it away."""

from __future__ import annotations

from typing import Any

import pytest

from k8s_manager.backends import job_manifest
from k8s_manager.backends.kubernetes_api import PODS, Api
from tests.cluster.conftest import Cluster, wait_until
from tests.cluster.test_reasons import set_quota
from tests.cluster.watched import WRITE, Start, Watched

SLEEP = "import time; time.sleep(600)"


def pods_of(api: Api, job: Watched) -> list[dict[str, Any]]:
    return api.everything(PODS, labelSelector=f"cdi.nrw/job={job.job.id}")[0]


def evict(api: Api, name: str) -> None:
    meta = {"name": name, "namespace": api.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    api.create(f"{PODS}/{name}/eviction", body)


def test_out_of_memory_names_the_limit_and_the_step(start: Start) -> None:
    code = "import time; x = bytearray(90_000_000); time.sleep(600)"
    start(code, ram_mb=64).fails("memory limit exceeded", "64 MiB", "step python", "ramMax")


def test_memory_taken_faster_than_anybody_looks_names_the_limit_too(start: Start) -> None:
    code = "x = bytearray(900_000_000)"
    start(code, ram_mb=64).fails("memory limit exceeded", "64 MiB", "step python", "ramMax")


def test_the_time_limit_is_named(start: Start) -> None:
    start(SLEEP, time_limit_s=2).fails("time limit exceeded", "2 s", "step python")


def test_so_is_the_one_that_kubernetes_keeps_when_the_runner_does_not(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_manifest, "SPARE_S", -585)  # it counts from before the image is there
    job = start(SLEEP, time_limit_s=600)
    job.fails("time limit exceeded", "Kubernetes ended it", "step python")
    assert len(job.installation.store.attempts(job.job.id)) == 1


def test_more_than_fits_into_tmp_fails_and_names_the_setting(start: Start) -> None:
    code = "import time; open('/tmp/big', 'wb').write(bytes(9_000_000)); time.sleep(600)"
    job = start(code, settings={"tmp_limit_mb": 4}, time_limit_s=600)
    job.fails("disk limit exceeded", '"tmp"', "4Mi", "CDI_KUBERNETES_TMP_LIMIT_MB", "step python")
    assert len(job.installation.store.attempts(job.job.id)) == 1


def test_an_evicted_step_says_so_and_runs_again(space: Cluster, start: Start) -> None:
    """The test keeps the second pod waiting: something else takes its place in the quota."""
    api = space.api
    set_quota(api, pods="2")
    other = {"metadata": {"name": "other"}, "spec": {
        "restartPolicy": "Never", "nodeSelector": {"cdi.nrw/none": "x"},
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "none", "image": "none", "securityContext": {
            "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}],
    }}  # fmt: skip
    api.create(PODS, other)
    code = f"import os, time; time.sleep(0 if len(os.listdir('../..')) > 2 else 600); {WRITE}"
    job = start(code, of=space, time_limit_s=600)
    job.says("python: 0 of 1 runs")
    set_quota(api, pods="1")
    (pod,) = pods_of(api, job)
    evict(api, pod["metadata"]["name"])
    job.says("waiting: quota", "before, its pod was evicted: Eviction API")
    api.delete(f"{PODS}/other", grace_s=0)
    job.succeeds()
    first, second = job.installation.store.attempts(job.job.id)
    assert (first.verdict, second.verdict) == ("repeated", "commit")
    assert "evicted: Eviction API" in (first.document or {})["error"]["detail"]


def test_what_is_evicted_again_and_again_fails(space: Cluster, start: Start) -> None:
    job = start(SLEEP, of=space, settings={"temporary_repeats": 0}, time_limit_s=600)
    seen: set[str] = set()

    def next_pod() -> bool:
        job.controller.step()
        running = [
            item["metadata"]["name"]
            for item in pods_of(space.api, job)
            if item["status"]["phase"] == "Running" and "deletionTimestamp" not in item["metadata"]
        ]
        fresh = [name for name in running if name not in seen]
        for name in fresh:
            seen.add(name)
            evict(space.api, name)
        return bool(fresh)

    for _ in range(1 + job.installation.settings.max_lost):
        wait_until(next_pod, "another pod")
    ended = job.ends()
    assert ended.outcome == "failed"
    assert "evicted: Eviction API: evicting (4 times)" in (ended.error or {})["detail"]
