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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from k8s_manager.backends.kubernetes import KubernetesBackend
from k8s_manager.backends.kubernetes_api import JOBS, PODS, Api
from k8s_manager.kubernetes_settings import KubernetesSettings
from tests.cluster.watched import WRITE, Start, Watched, process_file
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

    def set_up(self) -> None:
        """Make the namespace, its volume and its claim."""
        name = self.api.namespace
        level = "pod-security.kubernetes.io"
        labels = {f"{level}/enforce": "restricted", f"{level}/warn": "restricted"}
        self.api.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
        accounts = "/api/v1/namespaces/{namespace}/serviceaccounts"  # without one, no pod
        wait_until(lambda: self.api.everything(accounts)[0], "the default service account")
        self.bind("workspace", name)

    def bind(self, claim_name: str, volume_name: str) -> None:
        """Make a claim on this machine's folder of the cluster, with a volume of its own."""
        self.api.create(VOLUMES, volume(volume_name, self.folder))
        self.api.create(CLAIMS, claim(claim_name, volume_name))
        path = f"{CLAIMS}/{claim_name}"
        wait_until(lambda: self.api.get(path)["status"].get("phase") == "Bound", "claim bound")

    def tear_down(self) -> None:
        """Delete the namespace and every volume that was bound in it."""
        name = self.api.namespace
        self.api.delete(f"{NAMESPACES}/{name}")
        for item in self.api.everything(VOLUMES)[0]:
            if (item["spec"].get("claimRef") or {}).get("namespace") == name:
                self.api.delete(f"{VOLUMES}/{item['metadata']['name']}")

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
    with cluster_namespace() as made:
        yield made


@pytest.fixture
def space() -> Iterator[Cluster]:
    """A namespace of the test's own, to set limits in or to take away."""
    with cluster_namespace() as made:
        yield made


@pytest.fixture
def installation(cluster: Cluster) -> Iterator[Installation]:
    made = cluster.installation()
    yield made
    made.store.close()
    # Whatever a test did: no Job and no pod may stay.
    wait_until(lambda: not cluster.left(made), f"nothing left, but there is {cluster.left(made)}")


@pytest.fixture
def start(cluster: Cluster, tmp_path: Path) -> Iterator[Start]:
    """Start jobs of Python code; nothing of them may stay.

    The process is `process_file(**asks)`, the namespace the session's unless `of` names another;
    each has an installation of its own, or that of the job `beside`.
    """
    started: list[tuple[Cluster, Watched]] = []

    def begin(
        code: str = WRITE,
        *,
        of: Cluster = cluster,
        settings: Mapping[str, Any] | None = None,
        beside: Watched | None = None,
        **asks: Any,
    ) -> Watched:
        process = process_file(tmp_path, **asks)
        installation = beside.installation if beside else of.installation(**(settings or {}))
        watched = Watched(installation, process, {"code": code})
        started.append((of, watched))
        return watched

    yield begin
    for _of, watched in started:
        watched.close()
    for of, watched in started:
        made = watched.installation
        wait_until(lambda of=of, made=made: not of.left(made), "nothing left")


@contextmanager
def cluster_namespace() -> Iterator[Cluster]:
    """Make a namespace with a claim on a folder of the node, and delete both at the end."""
    namespace = f"cdi-test-{secrets.token_hex(4)}"
    api = Api(namespace)
    root = os.environ.get("CDI_TEST_WORKSPACE")
    folder = Path(tempfile.mkdtemp(prefix="cdi-cluster-", dir=root))
    folder.chmod(0o755)
    made = Cluster(api, folder)
    made.set_up()
    try:
        yield made
    finally:
        made.tear_down()
        shutil.rmtree(folder)


def volume(name: str, folder: Path) -> dict[str, Any]:
    """Return a volume on a folder of the node."""
    spec = {"capacity": {"storage": "10Gi"}, "hostPath": {"path": str(folder)}, **_SHARED}
    return {"metadata": {"name": name}, "spec": spec}


def claim(name: str, volume_name: str) -> dict[str, Any]:
    """Return the claim on a volume."""
    spec = {"volumeName": volume_name, "resources": {"requests": {"storage": "10Gi"}}, **_SHARED}
    return {"metadata": {"name": name}, "spec": spec}


def wait_until(condition: Any, what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
