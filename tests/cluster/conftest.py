"""A real cluster: KUBECONFIG says which, and CDI_STAGE_IMAGE which image its steps run.

Each test session makes a namespace of its own with pod security "restricted", and in it a volume
claim on a folder that this machine and the node see alike (CDI_TEST_WORKSPACE, default a temporary
folder: fits a cluster whose node is this machine). Each test has a folder of that volume.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from k8s_manager.backends.kubernetes import KubernetesBackend
from k8s_manager.backends.kubernetes_api import JOBS, PODS, Api
from k8s_manager.kubernetes_settings import KubernetesSettings
from tests.k8s_manager.installation import Installation

NAMESPACES = "/api/v1/namespaces"
VOLUMES = "/api/v1/persistentvolumes"
CLAIMS = "/api/v1/namespaces/{namespace}/persistentvolumeclaims"
_SHARED: dict[str, Any] = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name in ("KUBECONFIG", "CDI_STAGE_IMAGE") if not os.environ.get(name)]
    if not missing:
        return
    if os.environ.get("CDI_CLUSTER_REQUIRED"):
        raise pytest.UsageError(f"cluster tests are required, but {missing} is not set")
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.skip(f"needs a cluster: {', '.join(missing)} is not set"))


@dataclass(frozen=True)
class Cluster:
    """The namespace of this test session, and the folder that its claim holds."""

    api: Api
    folder: Path

    def settings(self, name: str, **changes: Any) -> KubernetesSettings:
        """Return settings for an installation whose workspace is the folder `name`."""
        settings = KubernetesSettings(
            namespace=self.api.namespace,
            installation=name,
            claim="workspace",
            claim_path=f"{name}/workspace",
            images={
                "cdi/test:1": os.environ["CDI_STAGE_IMAGE"],
                "cdi/stage:0.1.0": os.environ["CDI_STAGE_IMAGE"],
            },
        )
        return replace(settings, **changes)

    def installation(self, **changes: Any) -> Installation:
        """Make an installation in this cluster; `changes` are settings of the backend."""
        name = f"t-{secrets.token_hex(4)}"
        return Installation.at(
            self.folder / name,
            backend="kubernetes",
            lease_s=5.0,
            kubernetes=self.settings(name, **changes),
        ).on(KubernetesBackend)

    def left(self, installation: Installation) -> list[str]:
        """Return the names of Jobs and pods of an installation."""
        name = installation.settings.kubernetes.installation
        selector = f"cdi.nrw/installation={name}"
        return [
            item["metadata"]["name"]
            for path in (JOBS, PODS)
            for item in self.api.everything(path, labelSelector=selector)[0]
        ]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    namespace = f"cdi-test-{secrets.token_hex(4)}"
    api = Api(namespace)
    level = "pod-security.kubernetes.io"
    labels = {f"{level}/enforce": "restricted", f"{level}/warn": "restricted"}
    api.create(NAMESPACES, {"metadata": {"name": namespace, "labels": labels}})
    root = os.environ.get("CDI_TEST_WORKSPACE")
    folder = Path(tempfile.mkdtemp(prefix="cdi-cluster-", dir=root))
    folder.chmod(0o755)
    api.create(VOLUMES, volume(namespace, folder))
    api.create(CLAIMS, claim("workspace", namespace))
    wait_until(
        lambda: api.get(f"{CLAIMS}/workspace")["status"].get("phase") == "Bound", "claim bound"
    )
    yield Cluster(api, folder)
    api.delete(f"{NAMESPACES}/{namespace}")
    api.delete(f"{VOLUMES}/{namespace}")
    shutil.rmtree(folder)


@pytest.fixture
def installation(cluster: Cluster) -> Iterator[Installation]:
    made = cluster.installation()
    yield made
    made.store.close()
    # Whatever a test did: no Job and no pod may stay.
    wait_until(lambda: not cluster.left(made), f"nothing left, but there is {cluster.left(made)}")


def volume(name: str, folder: Path) -> dict[str, Any]:
    """Return a volume on a folder of the node."""
    spec = {"capacity": {"storage": "10Gi"}, "hostPath": {"path": str(folder)}, **_SHARED}
    return {"metadata": {"name": name}, "spec": spec}


def claim(name: str, volume_name: str) -> dict[str, Any]:
    """Return the claim on a volume."""
    spec = {"volumeName": volume_name, "resources": {"requests": {"storage": "10Gi"}}, **_SHARED}
    return {"metadata": {"name": name}, "spec": spec}


def wait_until(condition: Any, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
