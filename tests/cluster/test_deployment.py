"""`kubectl apply -k` brings the whole system up, and the chain runs inside it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.deployment import DEPLOY, NAMESPACES, Deployment, items, kubectl

pytestmark = pytest.mark.timeout(900)
OURS = "app.kubernetes.io/name in (cdi-server, cdi-controller)"
IMAGES = {
    "stage": "CDI_STAGE_IMAGE",
    "server": "CDI_SERVER_IMAGE",
    "postgresql": "CDI_POSTGRESQL_IMAGE",
}


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployment]:
    missing = [variable for variable in IMAGES.values() if not os.environ.get(variable)]
    if os.geteuid() != 0:
        missing.append("root, to give folders to the users of the pods")
    if missing:
        assert not os.environ.get("CDI_CLUSTER_REQUIRED"), f"needed: {missing}"
        pytest.skip(f"needed: {', '.join(missing)}")
    taken = {item["metadata"]["name"] for item in items("namespaces", "default")}
    assert not taken & set(NAMESPACES), (
        "there is an installation in this cluster; it stays as it is"
    )
    folder = Path(
        tempfile.mkdtemp(prefix="cdi-deployment-", dir=os.environ.get("CDI_TEST_WORKSPACE"))
    )
    folder.chmod(0o755)
    made = Deployment(folder)
    try:
        images = {target: os.environ[variable] for target, variable in IMAGES.items()}
        made.prepare(images, password=secrets.token_urlsafe(24))
        made.apply()
        yield made
    finally:
        made.remove()
        shutil.rmtree(folder)


def test_server_controller_and_database_are_up_at_the_first_try(deployed: Deployment) -> None:
    pods = items("pods", "cdi")
    states = {
        pod["metadata"]["name"]: (status["ready"], status["restartCount"])
        for pod in pods
        for status in pod["status"].get("containerStatuses", [])
        if not pod["metadata"]["name"].startswith("cdi-migrate")
    }
    assert len(states) == 5, states
    assert set(states.values()) == {(True, 0)}, states


def test_only_the_controller_has_a_token(deployed: Deployment) -> None:
    with_token = {
        pod["metadata"]["labels"]["app.kubernetes.io/name"]
        for pod in items("pods", "cdi")
        for volume in pod["spec"]["volumes"]
        if "projected" in volume
    }
    assert with_token == {"cdi-controller"}


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "allowed"),
    [
        ("create", "jobs", "cdi-stages", "yes"),
        ("delete", "pods", "cdi-stages", "yes"),
        ("create", "pods", "cdi-stages", "no"),
        ("get", "secrets", "cdi-stages", "no"),
        ("get", "secrets", "cdi", "no"),
        ("delete", "pods", "cdi", "no"),
        ("create", "jobs", "default", "no"),
    ],
)
def test_the_controller_has_rights_only_where_steps_run(
    deployed: Deployment, verb: str, resource: str, namespace: str, allowed: str
) -> None:
    account = "system:serviceaccount:cdi:cdi-controller"
    said = kubectl("-n", namespace, "auth", "can-i", verb, resource, f"--as={account}", check=False)
    assert said.strip() == allowed


def test_the_chain_runs_inside(deployed: Deployment) -> None:
    job = deployed.submit()
    status, pods = deployed.finish(job)
    assert status["status"] == "successful", status
    _has_results(deployed, job)
    assert pods
    assert all(pod["automountServiceAccountToken"] is False for pod in pods)
    _nothing_is_left()


def test_a_job_outlives_a_restart_of_server_and_controller(deployed: Deployment) -> None:
    job = deployed.submit()
    kubectl("-n", "cdi", "rollout", "restart", "deployment/cdi-server", "deployment/cdi-controller")
    status, _pods = deployed.finish(job)
    deployed.await_rollout()
    assert status["status"] == "successful", status
    _nothing_is_left()


def test_the_chain_runs_under_gvisor(deployed: Deployment) -> None:
    runtimes = kubectl("get", "runtimeclasses", "-o", "name").split()
    if "runtimeclass.node.k8s.io/gvisor" not in runtimes:
        pytest.skip("the cluster has no RuntimeClass gvisor")
    deployed.apply("gvisor")
    job = deployed.submit()
    status, pods = deployed.finish(job)
    assert status["status"] == "successful", status
    assert {pod.get("runtimeClassName") for pod in pods} == {"gvisor"}


def test_the_metrics_can_be_read_where_the_component_says(deployed: Deployment) -> None:
    # The operator's own kind needs its definition, which a cluster without it lacks.
    component = deployed.folder / "overlay" / "metrics"
    shutil.copytree(DEPLOY / "components" / "prometheus", component)
    document = yaml.safe_load((component / "kustomization.yaml").read_text())
    document["resources"].remove("pod-monitor.yaml")
    (component / "kustomization.yaml").write_text(yaml.safe_dump(document))
    deployed.apply(os.path.relpath(component, DEPLOY / "components"))
    with deployed.reached() as client:
        assert "cdi_jobs" in client.get("/metrics").text


def test_a_backup_brings_back_a_database_that_was_lost(deployed: Deployment) -> None:
    with deployed.reached() as client:
        before = client.get("/jobs").json()["jobs"]
    assert before
    scale = ("-n", "cdi", "scale", "deployment/cdi-server", "deployment/cdi-controller")
    dump = _in_database("pg_dump -U cdi --format=custom cdi")
    kubectl(*scale, "--replicas=0")
    kubectl("-n", "cdi", "wait", "--for=delete", "pod", "-l", OURS, "--timeout=300s")
    _in_database('psql -U cdi -d postgres -c "DROP DATABASE cdi WITH (FORCE)"')
    _in_database('psql -U cdi -d postgres -c "CREATE DATABASE cdi"')
    _in_database("pg_restore -U cdi -d cdi --exit-on-error", dump)
    kubectl(*scale, "--replicas=2")
    deployed.await_rollout()
    with deployed.reached() as client:
        assert client.get("/jobs").json()["jobs"] == before


@pytest.mark.parametrize("overlay", ["production", "gpu"])
def test_the_api_server_accepts_an_overlay(
    deployed: Deployment, overlay: str, tmp_path: Path
) -> None:
    rendered = kubectl("kustomize", DEPLOY / "overlays" / overlay)
    documents = [
        _renamed(document)
        for document in yaml.safe_load_all(rendered)
        if document["kind"] != "PodMonitor"
    ]
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    said = kubectl("create", "--dry-run=server", "-f", file)
    assert said.count("created (server dry run)") == len(documents)


def _renamed(document: dict[str, Any]) -> dict[str, Any]:
    """Give an object a name that the installation of this test does not have."""
    document["metadata"]["name"] += "-2"
    return document


def _has_results(deployed: Deployment, job: str) -> None:
    with deployed.reached() as client:
        results = client.get(f"/jobs/{job}/results").json()
        assert set(results) == {"release", "objects", "trees", "candidates", "report", "summary"}
        found = client.get("/collections/example-objects/items").json()
        assert found["numberMatched"] > 0
        log = client.get(f"/jobs/{job}/logs")
        assert log.status_code == 200


def _nothing_is_left() -> None:
    until = time.monotonic() + 120
    while left := items("jobs", "cdi-stages") + items("pods", "cdi-stages"):
        assert time.monotonic() < until, [item["metadata"]["name"] for item in left]
        time.sleep(0.5)


def _in_database(command: str, given: bytes = b"") -> bytes:
    """Run a command in the database's pod, as docs/operations.md does for backup and restore."""
    words = ["kubectl", "-n", "cdi", "exec", "-i", "cdi-postgresql-0", "--", "sh", "-c"]
    environment = 'PGHOST=127.0.0.1 PGPASSWORD="$POSTGRES_PASSWORD" exec '
    done = subprocess.run([*words, environment + command], input=given, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
