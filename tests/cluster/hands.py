"""What people and Kubernetes itself do to Jobs and pods of ours without asking."""

from __future__ import annotations

import os
from typing import Any

from k8s_manager.backends.job_manifest import PREFIX, ROUND_LABEL
from k8s_manager.backends.kubernetes_api import JOBS, PODS
from k8s_manager.records import Job
from tests.cluster.conftest import Cluster

_CONTROLLER_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")


def jobs_of(cluster: Cluster, job: Job, step: str) -> list[str]:
    """Return the names of the Jobs of a step."""
    return [item["metadata"]["name"] for item in _found(cluster, JOBS, job, step)]


def pods_of(cluster: Cluster, job: Job, step: str) -> list[str]:
    """Return the names of the pods of a step, oldest first."""
    found = _found(cluster, PODS, job, step)
    found.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return [pod["metadata"]["name"] for pod in found]


def delete_job(cluster: Cluster, name: str, cascade: str) -> None:
    """Delete a Job; `cascade` is ``Background``, ``Foreground`` or ``Orphan``."""
    from kubernetes.client import BatchV1Api
    from kubernetes.config import new_client_from_config

    with new_client_from_config(os.environ["KUBECONFIG"]) as client:
        BatchV1Api(client).delete_namespaced_job(
            name, cluster.api.namespace, propagation_policy=cascade
        )


def delete_pod(cluster: Cluster, name: str, grace_s: int | None = None) -> None:
    """Delete a pod; with a grace of 0 seconds its record goes at once."""
    cluster.api.delete(f"{PODS}/{name}", grace_s)


def evict(cluster: Cluster, name: str) -> None:
    """Ask Kubernetes to take a pod away, as the drain of its node does."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    cluster.api.create(f"{PODS}/{name}/eviction", eviction)


def detach(cluster: Cluster, name: str) -> None:
    """Take a pod away from its Job, which will start another beside it."""
    labels = dict.fromkeys(_CONTROLLER_LABELS)
    cluster.api.patch(f"{PODS}/{name}", {"metadata": {"ownerReferences": None, "labels": labels}})


def _found(cluster: Cluster, path: str, job: Job, step: str) -> list[dict[str, Any]]:
    wanted = f"{ROUND_LABEL},{PREFIX}job={job.id},{PREFIX}step={step}"
    return cluster.api.everything(path, labelSelector=wanted)[0]
