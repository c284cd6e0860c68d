"""A place in the cluster for a benchmark: a namespace, in it a claim on a folder of this machine.

The node has to see that folder under the same path: a one-node cluster whose node is this machine.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8s_manager.backends.kubernetes_api import JOBS, PODS, Api
from k8s_manager.cwl import Process, load_process
from k8s_manager.kubernetes_settings import KubernetesSettings

NAMESPACES = "/api/v1/namespaces"
VOLUMES = "/api/v1/persistentvolumes"
CLAIMS = "/api/v1/namespaces/{namespace}/persistentvolumeclaims"
CLAIM = "workspace"
IMAGE_NAME = "cdi/stage:0.1.0"
PATIENCE_S = 1200.0
MAX_PODS = 50
"""Pods at once: the default of our backend, and what raw Jobs get too."""


@dataclass(frozen=True)
class Place:
    """The namespace, and the folder that its claim holds."""

    api: Api
    folder: Path
    image: str

    def settings(self, name: str, max_pods: int = MAX_PODS) -> KubernetesSettings:
        """Return the settings of an installation in the folder `name`."""
        return KubernetesSettings(
            namespace=self.api.namespace,
            installation=name,
            claim=CLAIM,
            claim_path=f"{name}/workspace",
            images={IMAGE_NAME: self.image},
            max_pods=max_pods,
        )

    def empty(self, kinds: tuple[str, ...] = (JOBS, PODS)) -> bool:
        """Tell whether there is no Job and no pod."""
        return not any(self.api.get(kind, limit=1)["items"] for kind in kinds)


@contextmanager
def place(image: str, root: Path | None) -> Iterator[Place]:
    """Make the namespace, and delete it afterwards with all that is in it."""
    name = f"cdi-bench-{secrets.token_hex(4)}"
    api = Api(name)
    folder = Path(tempfile.mkdtemp(prefix="cdi-bench-", dir=root))
    folder.chmod(0o755)
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.create(NAMESPACES, {"metadata": {"name": name, "labels": enforced}})
    try:
        size = {"storage": "10Gi"}
        mode = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        volume = {"capacity": size, "hostPath": {"path": str(folder)}, **mode}
        api.create(VOLUMES, {"metadata": {"name": name}, "spec": volume})
        claim = {"volumeName": name, "resources": {"requests": size}, **mode}
        api.create(CLAIMS, {"metadata": {"name": CLAIM}, "spec": claim})
        claimed = f"{CLAIMS}/{CLAIM}"
        wait_until(lambda: api.get(claimed)["status"].get("phase") == "Bound", "claim bound")
        yield Place(api, folder, image)
    finally:
        api.delete(f"{NAMESPACES}/{name}")
        api.delete(f"{VOLUMES}/{name}")


def process(name: str) -> Process:
    """Return one of the benchmark's processes."""
    return load_process(Path(__file__).parent / "cwl" / f"{name}.cwl")


def times(file: Path) -> tuple[float, float]:
    """Return when a trivial step began and ended, by its own words (Unix seconds)."""
    written: dict[str, Any] = json.loads(file.read_bytes())
    return written["begun"], written["ended"]


def wait_until(condition: Callable[[], Any], what: str, pause_s: float = 0.05) -> None:
    """Return when the condition holds.

    Raises:
        TimeoutError: It does not hold after `PATIENCE_S`.
    """
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not after {PATIENCE_S:.0f} s")
        time.sleep(pause_s)
