"""The whole system inside a cluster, brought up as an administrator does: `kubectl apply -k`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster.conftest import wait_until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "containers" / "deploy"
NAMESPACES = ("cdi", "cdi-stages")
USER, DATABASE_USER = 10001, 999
URL = "postgresql://cdi:{password}@cdi-postgresql.cdi.svc/cdi"


@dataclass
class Deployment:
    """An overlay on `dev` whose volumes are folders below `folder`."""

    folder: Path

    def prepare(self, images: dict[str, str], password: str) -> None:
        """Make folders, namespaces and the secret: what the docs ask for before `apply -k`."""
        for name, owner in (("workspace", USER), ("database", DATABASE_USER)):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, owner, owner)
        pinned = [f"{name}={reference}" for name, reference in images.items()]
        target = self.folder / "overlay" / "images" / "kustomization.yaml"
        subprocess.run(
            [sys.executable, ROOT / "containers" / "pin.py", target, "0.1.0", *pinned], check=True
        )
        kubectl("apply", "-f", DEPLOY / "base" / "namespaces.yaml")
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "cdi-database", "namespace": "cdi"},
            "stringData": {"password": password, "url": URL.format(password=password)},
        }
        kubectl("apply", "-f", "-", given=json.dumps(secret))

    def apply(self, *components: str) -> None:
        """Apply the overlay with further components, and wait until everything runs."""
        overlay = self.folder / "overlay"
        volumes = {
            "cdi-workspace": self.folder / "workspace",
            "cdi-workspace-stages": self.folder / "workspace",
            "cdi-database": self.folder / "database",
            "cdi-samples": ROOT / "samples",
        }
        document = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(DEPLOY / "overlays" / "dev", overlay)],
            "components": [
                "images",
                *(os.path.relpath(DEPLOY / "components" / name, overlay) for name in components),
            ],
            "patches": [
                {
                    "target": {"kind": "PersistentVolume", "name": f"^{name}$"},
                    "patch": json.dumps(
                        [{"op": "replace", "path": "/spec/hostPath/path", "value": str(path)}]
                    ),
                }
                for name, path in volumes.items()
            ],
        }
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(document))
        # A Job cannot be changed: as the docs say for an upgrade, it goes first.
        kubectl("-n", "cdi", "delete", "job", "cdi-migrate", "--ignore-not-found")
        kubectl("apply", "-k", overlay)
        self.await_rollout()

    def await_rollout(self) -> None:
        """Wait until every replica runs the newest version and is ready."""
        for name in (
            "statefulset/cdi-postgresql",
            "deployment/cdi-server",
            "deployment/cdi-controller",
        ):
            kubectl("-n", "cdi", "rollout", "status", name, "--timeout=300s")
        # What is replaced serves on for a while, then no more.
        wait_until(lambda: not _going("cdi"), "replaced pods are gone")

    def remove(self) -> None:
        """Remove everything, cluster-wide objects too."""
        kubectl("delete", "namespace", *NAMESPACES, "--ignore-not-found", "--timeout=300s")
        kubectl("delete", "-k", self.folder / "overlay", "--ignore-not-found", "--timeout=180s")

    @contextmanager
    def reached(self) -> Iterator[httpx.Client]:
        """Reach the service as the docs say: through `kubectl port-forward`."""
        forwarding, address = _forwarded()
        with forwarding:
            try:
                with httpx.Client(base_url=address, timeout=60) as client:
                    yield client
            finally:
                forwarding.terminate()

    def submit(self) -> str:
        """Post the example execution of the chain; return the job's id."""
        body = (ROOT / "openapi" / "examples" / "orchard-monitoring.json").read_bytes()
        with self.reached() as client:
            answer = client.post(
                "/processes/orchard-monitoring/execution",
                content=body,
                headers={"Content-Type": "application/json", "Prefer": "respond-async"},
            )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["jobID"])

    def finish(self, job: str, seconds: float = 600) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Follow a job to its end; return its status and the specs of the pods that it had."""
        until = time.monotonic() + seconds
        pods: dict[str, dict[str, Any]] = {}
        while time.monotonic() < until:
            for pod in items("pods", "cdi-stages", f"cdi.nrw/job={job}"):
                pods[pod["metadata"]["uid"]] = pod["spec"]
            try:
                with self.reached() as client:
                    status: dict[str, Any] = client.get(f"/jobs/{job}").json()
            except httpx.HTTPError:
                continue  # that server has just been replaced by another
            if status["status"] in ("successful", "failed", "dismissed"):
                return status, list(pods.values())
            time.sleep(0.5)
        raise AssertionError(f"job {job} has not ended after {seconds} s: {status}")


def _forwarded() -> tuple[subprocess.Popen[str], str]:
    """Forward a port to the service; return who does so, and where it is reached."""
    command = ["kubectl", "-n", "cdi", "port-forward", "service/cdi-server", ":80"]
    until = time.monotonic() + 120
    while True:
        forwarding = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert forwarding.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", forwarding.stdout.readline())
        if found is not None:
            return forwarding, f"http://127.0.0.1:{found[1]}"
        with forwarding:  # it may have chosen a pod that is being replaced
            forwarding.terminate()
        assert time.monotonic() < until, "kubectl port-forward does not say where it listens"
        time.sleep(0.5)


def _going(namespace: str) -> bool:
    return any("deletionTimestamp" in pod["metadata"] for pod in items("pods", namespace))


def kubectl(*arguments: str | Path, given: str | None = None, check: bool = True) -> str:
    """Run kubectl and return what it says."""
    done = subprocess.run(
        ["kubectl", *map(str, arguments)], input=given, text=True, capture_output=True, check=False
    )
    assert not check or done.returncode == 0, f"kubectl {arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def items(kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
    """Return all objects of a kind."""
    options = ["-l", selector] if selector else []
    found = kubectl("-n", namespace, "get", kind, "-o", "json", *options)
    return list(json.loads(found)["items"])
