"""From a round to the Kubernetes Job that runs it: a pure function of round, task and settings.

Every round is one Indexed Job, also that of a step without scatter, so that there is one way. Its
pods see the step's own folder, and read-only the job's folder, the cache, and the release or the
sources that the task names; nothing of other jobs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from k8s_manager.backends.base import Round
from k8s_manager.backends.environment import program_environment
from k8s_manager.errors import CdiError
from k8s_manager.kubernetes_settings import KubernetesSettings

MANAGED_BY = "cdi-nrw"
PREFIX = "cdi.nrw/"
ROUND_LABEL = PREFIX + "round"
WORKSPACE = "/cdi/workspace"
RUNNER = "/cdi/step_runner.py"
START_RUNNER = "import sys; sys.path.append('/cdi'); import step_runner; step_runner.run()"
"""Imported, not run as a script, which would be compiled anew in every pod: 20 ms of CPU."""
CONTAINER = "step"
GRACE_S = 10
"""Seconds for the runner to stop its program and write down how it ended."""
SPARE_S = 60
"""Seconds beyond a step's time limit until Kubernetes ends the pod: the runner comes first."""
TEMPORARY = 75

_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


class ImageNotAllowed(CdiError):  # noqa: N818  named like the reason code
    """The installation's policy does not let the image run."""


def selector(settings: KubernetesSettings) -> str:
    """Return the label selector of all Jobs and pods of this installation."""
    return f"app.kubernetes.io/managed-by={MANAGED_BY},{PREFIX}installation={settings.installation}"


def image_of(round_: Round, settings: KubernetesSettings) -> str:
    """Return the image to run for a round.

    Raises:
        ImageNotAllowed: The process names none, or the policy does not let it run.
    """
    return allowed_image(round_.image, round_.process, settings)


def allowed_image(named: str | None, process: str, settings: KubernetesSettings) -> str:
    """Return the image to run where a process names `named`.

    Raises:
        ImageNotAllowed: The process names none, or the policy does not let it run.
    """
    if named is None:
        raise ImageNotAllowed(
            f"process {process} names no image; add DockerRequirement under hints"
        )
    image = settings.images.get(named, named)
    allowed = settings.allowed_registries
    if allowed and not image.startswith(allowed):
        raise ImageNotAllowed(
            f"image {image} is not from {' or '.join(allowed)} (CDI_KUBERNETES_ALLOWED_REGISTRIES)"
        )
    if settings.require_digest and not _DIGEST.search(image):
        raise ImageNotAllowed(
            f"image {image} is named by tag, and this installation runs only images named by "
            "digest; map it with CDI_KUBERNETES_IMAGES"
        )
    return image


def digest_of(image: str | None, settings: KubernetesSettings) -> str | None:
    """Return the digest (64 hex digits) of the image that runs for one that a process names.

    None when it is named by tag: nobody knows then which one will run.
    """
    found = _DIGEST.search(settings.images.get(image, image)) if image is not None else None
    return None if found is None else found.group(1).removeprefix("sha256:")


def manifest(
    round_: Round, task: Mapping[str, Any], parallelism: int, settings: KubernetesSettings
) -> dict[str, Any]:
    """Return the Job of a round.

    Args:
        round_: The round.
        task: Its task file, which says what its indexes read.
        parallelism: Pods at once.
        settings: Namespace, image policy, placement.

    Raises:
        ImageNotAllowed: The policy does not let its image run.
    """
    labels = {
        **settings.labels,
        "app.kubernetes.io/managed-by": MANAGED_BY,
        "app.kubernetes.io/component": "step",
        PREFIX + "installation": settings.installation,
        PREFIX + "job": round_.job,
        PREFIX + "step": round_.step,
        PREFIX + "round-number": str(round_.number),
        ROUND_LABEL: round_.name,
        PREFIX + "epoch": str(round_.epoch),
    }
    if round_.network:
        labels[PREFIX + "network"] = "true"
    count = len(round_.indexes)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": round_.name, "labels": labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": min(parallelism, count),
            "backoffLimitPerIndex": settings.temporary_repeats,
            "maxFailedIndexes": count,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": _backstop_s(round_, parallelism, settings),
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                    {
                        "action": "FailIndex",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "NotIn",
                            "values": [TEMPORARY],
                        },
                    },
                ]
            },
            "template": {"metadata": {"labels": labels}, "spec": _pod(round_, task, settings)},
        },
    }


def _pod(round_: Round, task: Mapping[str, Any], settings: KubernetesSettings) -> dict[str, Any]:
    user = settings.run_as_user
    volumes, mounts = _volumes(round_, task, settings)
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_S,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(round_, mounts, settings)],
        "volumes": volumes,
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{taint}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": int(settings.node_lost_s),
            }
            for taint in ("not-ready", "unreachable")
        ],
    }
    if round_.time_limit_s:
        spec["activeDeadlineSeconds"] = round_.time_limit_s + SPARE_S
    if settings.node_selector:
        spec["nodeSelector"] = dict(settings.node_selector)
    if settings.priority_class:
        spec["priorityClassName"] = settings.priority_class
    if settings.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.pull_secrets]
    if runtime := settings.runtime_classes.get(round_.process, settings.runtime_class):
        spec["runtimeClassName"] = runtime
    return spec


def _container(
    round_: Round, mounts: list[dict[str, Any]], settings: KubernetesSettings
) -> dict[str, Any]:
    image = image_of(round_, settings)
    ram = f"{round_.ram_mb + settings.runner_ram_mb}Mi"
    limits: dict[str, Any] = {"memory": ram}
    if round_.gpus and settings.gpu_resource:
        limits[settings.gpu_resource] = str(round_.gpus)
    environment = [
        *({"name": name, "value": value} for name, value in program_environment(round_).items()),
        {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
    ]
    if digest := _DIGEST.search(image):
        environment.append({"name": "CDI_IMAGE_DIGEST", "value": digest.group(1)})
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [
            *("python3", "-I", "-S", "-c", START_RUNNER, "--workspace", WORKSPACE),
            *("--task", f"{_in_pod(round_)}/{round_.task.name}"),
        ],
        "env": environment,
        "resources": {
            "requests": {"cpu": f"{math.ceil(round_.cores * 1000)}m", **limits},
            "limits": limits,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def _volumes(
    round_: Round, task: Mapping[str, Any], settings: KubernetesSettings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return volumes and mounts: each folder that the step needs, and of it nothing more."""
    volumes: list[dict[str, Any]] = [
        {"name": "workspace", "persistentVolumeClaim": {"claimName": settings.claim}},
        {"name": "tmp", "emptyDir": {"sizeLimit": f"{settings.tmp_limit_mb}Mi"}},
    ]
    mounts: list[dict[str, Any]] = [
        *(
            {
                "name": "workspace",
                "mountPath": f"{WORKSPACE}/{folder}",
                "subPath": f"{settings.claim_path}/{folder}".lstrip("/"),
                "readOnly": read_only,
            }
            for folder, read_only in _folders(round_, task)
        ),
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  a volume of the pod's own
    ]
    for number, root in enumerate(_sources(task, settings)):
        name = f"source-{number}"
        claim = {"claimName": settings.source_claims[root], "readOnly": True}
        volumes.append({"name": name, "persistentVolumeClaim": claim})
        mounts.append({"name": name, "mountPath": root, "readOnly": True})
    return volumes, mounts


def _folders(round_: Round, task: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Return the folders of the workspace that a step sees, and whether only for reading."""
    job = f"jobs/{round_.job}"
    return [
        (job, True),
        (f"{job}/{round_.step}", False),
        ("cache", not round_.network),
        *((folder, True) for folder in _releases(task)),
    ]


def _releases(task: Mapping[str, Any]) -> list[str]:
    """Return the folders of releases that the indexes of a round read."""
    paths = (given["path"] for entry in task["indexes"] for given in entry["inputs"])
    return sorted({"/".join(path.split("/")[:3]) for path in paths if path.startswith("releases/")})


def _sources(task: Mapping[str, Any], settings: KubernetesSettings) -> list[str]:
    """Return the folders of sources to mount: those that inputs lie in, and what a step may read.

    Raises:
        CdiError: No claim is known to hold an input that is read in place.
    """
    paths = (given["path"] for entry in task["indexes"] for given in entry["inputs"])
    found = set()
    for path in {path for path in paths if path.startswith("/")}:
        root = _claimed(path, settings)
        if root is None:
            raise CdiError(
                f"{path} is read in place, but no volume claim is known to hold it; name one in "
                "CDI_KUBERNETES_SOURCE_CLAIMS, or let the source be copied"
            )
        found.add(root)
    # Of all sources that a step might read, a job reads a few: the others need no claim here.
    for path in (*(task.get("in_place") or ()), *(task.get("sources") or ())):
        if root := _claimed(path, settings):
            found.add(root)
    return sorted(found)


def _claimed(path: str, settings: KubernetesSettings) -> str | None:
    """Return the mounted folder that holds a path."""
    return next(
        (root for root in settings.source_claims if f"{path}/".startswith(f"{root}/")), None
    )


def _in_pod(round_: Round) -> str:
    return f"{WORKSPACE}/jobs/{round_.job}/{round_.step}"


def _backstop_s(round_: Round, parallelism: int, settings: KubernetesSettings) -> int:
    """Return the Job's own deadline, which counts all pods and all waiting: only a far backstop."""
    runs = math.ceil(len(round_.indexes) / parallelism) * (1 + settings.temporary_repeats)
    wanted = ((round_.time_limit_s or 86_400) + SPARE_S) * runs + int(settings.longest_wait_s)
    return min(wanted, 2**31 - 1)
