"""What Kubernetes says becomes a reason with a name, and what follows is decided by one table.

The messages are those of a real cluster (1.36), word for word.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from k8s_manager.backends import base, pod_reasons
from k8s_manager.backends.base import Attempt, Round, Waiting
from k8s_manager.backends.kubernetes_api import ApiError
from k8s_manager.backends.kubernetes_view import PodView
from k8s_manager.errors import BackendError
from k8s_manager.kubernetes_settings import KubernetesSettings

SETTINGS = KubernetesSettings(namespace="stages", pull_wait_s=300, starting_wait_s=600)
ROUND = Round(
    "0190" + "0" * 28, "detect", 1, 1, (0,), False, Path("jobs/x/detect"), cores=4, ram_mb=2048
)
POD = PodView(
    name="cdi-x-detect-r1-0-abcde", uid="u", round=ROUND.name, position=0, phase="Pending",
    node="", running=False, ended=False, reason="", message="", exit_code=None, image_id="",
    unschedulable="", disrupted="", deleted="", created="2026-11-25T10:00:00Z",
)  # fmt: skip
FORBIDDEN = 'Error creating: pods "cdi-x-detect-r1-0-p98rz" is forbidden: '


@pytest.mark.parametrize(
    ("message", "code", "hopeless", "words"),
    [
        (
            "exceeded quota: steps, requested: pods=1, used: pods=1, limited: pods=1",
            "quota", False, "the namespace's quota is in use: exceeded quota: steps",
        ),
        (
            "exceeded quota: steps, requested: requests.cpu=100m, used: requests.cpu=0, "
            "limited: requests.cpu=50m",
            "quota", True, "requests.cpu=100m, more than the quota of 50m ever gives",
        ),
        (
            "exceeded quota: steps, requested: requests.memory=2Gi,requests.cpu=1, "
            "used: requests.memory=0,requests.cpu=0, "
            "limited: requests.memory=2000Mi,requests.cpu=2",
            "quota", True, "requests.memory=2Gi, more than the quota of 2000Mi ever gives",
        ),
        (
            'failed quota: steps: must specify limits.cpu for: step',
            "admission", True, "limit range with defaults",
        ),
        (
            'violates PodSecurity "restricted:latest": runAsUser=0 (pod must not set runAsUser=0)',
            "admission", True, "runAsUser=0",
        ),
        (
            "maximum memory usage per Container is 64Mi, but limit is 112Mi",
            "admission", True, "ask for less in the process file",
        ),
        (
            'pod rejected: RuntimeClass "none-such" not found',
            "admission", True, "CDI_KUBERNETES_RUNTIME_CLASS",
        ),
        (
            "no PriorityClass with name none-such was found",
            "admission", True, "CDI_KUBERNETES_PRIORITY_CLASS",
        ),
        (
            "error looking up service account stages/default: "
            'serviceaccount "default" not found',
            "admission", False, "the namespace is being set up",
        ),
    ],
)  # fmt: skip
def test_a_refused_pod(message: str, code: str, hopeless: bool, words: str) -> None:
    found = pod_reasons.not_created(FORBIDDEN + message)
    assert (found.waiting.code, found.hopeless) == (code, hopeless)
    assert words in found.waiting.sentence
    assert "Error creating" not in found.waiting.sentence


def test_a_webhook_that_does_not_answer_is_waited_for_and_one_that_denies_is_not() -> None:
    absent = (
        'Error creating: Internal error occurred: failed calling webhook "policy.example": failed '
        'to call webhook: Post "https://policy.example.svc:443/": dial tcp: connection refused'
    )
    denied = 'Error creating: admission webhook "policy.example" denied the request: no owner label'
    assert not pod_reasons.not_created(absent).hopeless
    assert pod_reasons.not_created(denied).hopeless


UNSCHEDULABLE = (
    "0/1 nodes are available: {}. no new claims to deallocate, preemption: 0/1 nodes are "
    "available: 1 Preemption is not helpful for scheduling."
)


@pytest.mark.parametrize(
    ("pod", "code", "words"),
    [
        (
            replace(POD, unschedulable=UNSCHEDULABLE.format("1 Insufficient cpu")),
            "unschedulable",
            "no node fits a pod with 4 cores, 2096 MiB of memory: "
            "0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (
            replace(
                POD,
                unschedulable="0/1 nodes are available: "
                'persistentvolumeclaim "cdi-workspace" not found. not found',
            ),
            "starting",
            "volume claim cdi-workspace is not there in namespace stages; make it, or name "
            "another in CDI_KUBERNETES_CLAIM",
        ),
        (
            replace(
                POD,
                unschedulable="0/1 nodes are available: pod has unbound immediate "
                "PersistentVolumeClaims. not found",
            ),
            "starting",
            "a volume claim is not bound to a volume yet, one of cdi-workspace",
        ),
        (
            replace(
                POD,
                reason="ImagePullBackOff",
                message='Back-off pulling image "registry.example/stage:1"',
            ),
            "image-pull",
            "image registry.example/stage:1 cannot be pulled: Back-off pulling",
        ),
        (
            replace(POD, reason="CreateContainerConfigError", message='secret "x" not found'),
            "starting",
            'secret "x" not found',
        ),
        (replace(POD, node="node1"), "starting", "its pod is starting on node node1"),
    ],
)
def test_a_pod_that_does_not_start(pod: PodView, code: str, words: str) -> None:
    found = pod_reasons.not_started(pod, ROUND, "registry.example/stage:1", (), 1.0, SETTINGS)
    assert (found.waiting.code, found.hopeless) == (code, False)
    assert words in found.waiting.sentence


@pytest.mark.parametrize(
    ("changes", "limit_s"),
    [
        ({"reason": "ErrImagePull"}, 300),
        ({"reason": "CreateContainerError"}, 600),
        ({"unschedulable": 'persistentvolumeclaim "late" not found'}, 600),
        ({"unschedulable": "0/1 nodes are available"}, 0),
    ],
)
def test_waiting_ends_at_the_limit_of_its_reason(changes: dict[str, str], limit_s: float) -> None:
    pod = replace(POD, **changes)  # type: ignore[arg-type]

    def hopeless(age_s: float) -> bool:
        return pod_reasons.not_started(pod, ROUND, "image", (), age_s, SETTINGS).hopeless

    assert not hopeless(limit_s - 1)
    assert hopeless(max(limit_s, 10**6) + 1) == bool(limit_s)


def test_a_gpu_and_node_labels_are_part_of_what_is_asked() -> None:
    settings = replace(SETTINGS, gpu_resource="nvidia.com/gpu", node_selector={"zone": "a"})
    pod = replace(POD, unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    found = pod_reasons.not_started(pod, replace(ROUND, gpus=1), "image", (), 1.0, settings)
    assert "1 nvidia.com/gpu, node label zone=a" in found.waiting.sentence


JOBS_FORBIDDEN = (
    'jobs.batch is forbidden: User "system:serviceaccount:stages:limited" cannot create resource '
    '"jobs" in API group "batch" in the namespace "stages"'
)
TERMINATING = (
    'jobs.batch "cdi-x-detect-r1" is forbidden: unable to create new content in namespace stages '
    "because it is being terminated"
)
INVALID = (
    'Job.batch "cdi-x-detect-r1" is invalid: spec.template.spec.containers[0].image: Invalid value:'
    ' " x": must not have leading or trailing whitespace'
)


@pytest.mark.parametrize(
    ("error", "code", "hopeless", "words"),
    [
        (ApiError(0, "Unreachable", "does not answer"), "starting", False, "does not answer"),
        (ApiError(503, "", "etcd has no leader"), "starting", False, "etcd"),
        (BackendError("the right to start steps ran out"), "starting", False, "ran out"),
        (
            ApiError(403, "Forbidden", JOBS_FORBIDDEN), "admission", False,
            "the right to create jobs (batch) in namespace stages is missing; "
            "grant it to system:serviceaccount:stages:limited",
        ),
        (
            ApiError(403, "Forbidden", TERMINATING), "admission", False,
            "namespace stages cannot be used",
        ),
        (
            ApiError(404, "NotFound", 'namespaces "stages" not found'), "admission", False,
            "CDI_KUBERNETES_NAMESPACE",
        ),
        (ApiError(401, "Unauthorized", "renew the kubeconfig"), "admission", False, "renew"),
        (ApiError(422, "Invalid", INVALID), "admission", True, "leading or trailing whitespace"),
    ],
)  # fmt: skip
def test_an_answer_to_a_call_of_ours(
    error: BackendError, code: str, hopeless: bool, words: str
) -> None:
    found = pod_reasons.unusable(error, "stages")
    assert (found.waiting.code, found.hopeless) == (code, hopeless)
    assert words in found.waiting.sentence


ENDED = replace(POD, ended=True, phase="Failed")
NO_RUNNER = """Traceback (most recent call last):
  File "<string>", line 1, in <module>
ModuleNotFoundError: No module named 'step_runner'
"""
NO_TASK = """Traceback (most recent call last):
  File "/cdi/step_runner.py", line 883, in <module>
    raise SystemExit(main())
FileNotFoundError: [Errno 2] No such file or directory: '/cdi/workspace/jobs/x/probe/task-r1.json'
"""
NO_PYTHON = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
    'create failed: unable to start container process: exec: "python3": executable file not found '
    "in $PATH"
)


@pytest.mark.parametrize(
    ("pod", "lacks"),
    [
        (
            replace(ENDED, reason="Error", exit_code=2, message=NO_RUNNER),
            "no step runner at /cdi/step_runner.py",
        ),
        (
            replace(ENDED, reason="StartError", exit_code=128, message=NO_PYTHON),
            "no python3 that starts",
        ),
    ],
)
def test_an_image_that_cannot_run_steps(pod: PodView, lacks: str) -> None:
    found = pod_reasons.without_runner(pod, "registry.example/python:3.13")
    assert found is not None
    assert found.code == "image-not-allowed"
    assert f"image registry.example/python:3.13 holds {lacks}" in found.sentence


@pytest.mark.parametrize(
    ("changes", "cause", "words"),
    [
        ({"reason": "OOMKilled", "exit_code": 137}, "memory", "lack of memory"),
        (
            {
                "reason": "DeadlineExceeded",
                "message": "Pod was active on the node longer than the specified deadline",
            },
            "time-limit",
            "its time limit",
        ),
        (
            {
                "reason": "Evicted",
                "message": 'Usage of EmptyDir volume "tmp" exceeds the limit "4Mi". ',
                "disrupted": "node pressure",
            },
            "disk",
            "CDI_KUBERNETES_TMP_LIMIT_MB",
        ),
        (
            {
                "reason": "Evicted",
                "message": "The node was low on resource: memory. Threshold quantity: 100Mi",
                "disrupted": "The node was low on resource: memory. ",
            },
            "evicted",
            "low on resource: memory",
        ),
        ({"disrupted": "Eviction API: evicting"}, "evicted", "Eviction API: evicting"),
        ({"reason": "Error", "exit_code": 1, "message": "a\nthe last line\n"}, "", "the last line"),
        ({"reason": "Error", "exit_code": 1, "message": NO_TASK}, "", "CDI_KUBERNETES_CLAIM"),
        ({}, "", "without a word"),
    ],
)
def test_an_end_without_a_word_of_the_runner(
    changes: dict[str, object], cause: str, words: str
) -> None:
    found, sentence = pod_reasons.ended(replace(ENDED, **changes))  # type: ignore[arg-type]
    assert found == cause
    assert words in sentence


def test_an_index_that_starts_again_says_how_it_ended_before() -> None:
    evicted = Attempt(
        ROUND.name, 0, "u", Path("u"), base.GONE, reason="evicted: drained", cause="evicted",
        repeats=True,
    )  # fmt: skip
    starting, quota = Waiting("starting", "its pod is starting"), Waiting("quota", "in use")
    assert pod_reasons.after(None, starting) == starting
    assert pod_reasons.after(evicted, starting) == Waiting(
        "evicted", "evicted: drained; another pod is being started"
    )
    assert pod_reasons.after(evicted, quota).code == "quota"
    assert "evicted: drained" in pod_reasons.after(evicted, quota).sentence
    again = replace(evicted, reason="", cause="")
    assert "exit code 75" in pod_reasons.after(again, starting).sentence


def test_a_runner_that_fails_is_no_runner_that_is_missing() -> None:
    pod = replace(ENDED, reason="Error", exit_code=1, message=NO_TASK)
    assert pod_reasons.without_runner(pod, "registry.example/stage:1") is None
