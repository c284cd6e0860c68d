"""What every overlay renders to keeps the rules of docs/operations.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s_manager.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "containers" / "deploy"
OVERLAYS = ("dev", "production", "gpu")
POD_KINDS = ("Deployment", "StatefulSet", "Job")
CLUSTER_WIDE = {"Namespace", "PersistentVolume", "ClusterRole", "ClusterRoleBinding"}


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(DEPLOY / "overlays" / request.param)


def rendered(folder: Path) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        assert not os.environ.get("CI"), "kubectl is needed to render the overlays"
        pytest.skip("no kubectl on this machine")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return list(yaml.safe_load_all(done.stdout))


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the pod templates by kind and name."""
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["spec"]["template"]
        for item in objects
        if item["kind"] in POD_KINDS
    }


def containers(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        container
        for pod in pods(objects).values()
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    ]


def of_kind(objects: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [item for item in objects if item["kind"] in kinds]


def test_an_installation_has_all_its_parts(objects: list[dict[str, Any]]) -> None:
    assert {
        "Deployment/cdi-server", "Deployment/cdi-controller", "StatefulSet/cdi-postgresql",
        "Job/cdi-migrate",
    } == pods(objects).keys()  # fmt: skip


def test_every_container_is_restricted(objects: list[dict[str, Any]]) -> None:
    for name, pod in pods(objects).items():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["spec"]["enableServiceLinks"] is False, name
        assert not any("hostPath" in volume for volume in pod["spec"]["volumes"]), name
    for container in containers(objects):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, container["name"]
        assert container["resources"]["limits"]["memory"], container["name"]
        assert container["resources"]["requests"]["cpu"], container["name"]


def test_only_the_controller_may_hold_a_token(objects: list[dict[str, Any]]) -> None:
    with_token = [
        name
        for name, pod in pods(objects).items()
        if pod["spec"].get("automountServiceAccountToken") is not False
    ]
    assert with_token == ["Deployment/cdi-controller"]


def test_every_image_has_a_version(objects: list[dict[str, Any]]) -> None:
    images = {container["image"] for container in containers(objects)}
    images.add(settings_of(objects)["CDI_KUBERNETES_IMAGES"].split("=", 1)[1])
    for image in images:
        assert re.search(r"(@sha256:[0-9a-f]{64}|:[\w.-]+)$", image), image
        assert not image.endswith(":latest")


def test_every_name_that_a_pod_refers_to_exists(objects: list[dict[str, Any]]) -> None:
    def names(kind: str) -> set[str]:
        found = of_kind(objects, kind)
        return {n["metadata"]["name"] for n in found if n["metadata"]["namespace"] == "cdi"}

    for name, pod in pods(objects).items():
        for volume in pod["spec"]["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in names("PersistentVolumeClaim"), name
            map_ = volume.get("configMap", {"optional": True})
            assert map_.get("optional") or map_["name"] in names("ConfigMap"), name
        account = pod["spec"].get("serviceAccountName")
        assert account is None or account in names("ServiceAccount"), name
    for container in containers(objects):
        for source in container.get("envFrom", ()):
            assert source["configMapRef"]["name"] in names("ConfigMap"), container["name"]


def test_both_claims_hold_one_folder(objects: list[dict[str, Any]]) -> None:
    claims = {
        claim["metadata"]["namespace"]: claim["spec"]["volumeName"]
        for claim in of_kind(objects, "PersistentVolumeClaim")
        if claim["metadata"]["name"] == "cdi-workspace"
    }
    volumes = {item["metadata"]["name"]: item for item in of_kind(objects, "PersistentVolume")}
    one, other = (volumes[claims[name]]["spec"] for name in ("cdi", "cdi-stages"))
    assert claims["cdi"] != claims["cdi-stages"]
    assert one == other
    assert "ReadWriteMany" in one["accessModes"]


def test_passwords_are_only_referred_to(objects: list[dict[str, Any]]) -> None:
    assert not of_kind(objects, "Secret")
    for container in containers(objects):
        for variable in container.get("env", ()):
            if re.search("PASSWORD|DATABASE_URL", variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"], variable


def test_the_settings_are_understood(objects: list[dict[str, Any]]) -> None:
    environment = settings_of(objects) | {"CDI_DATABASE_URL": "postgresql://cdi@db/cdi"}
    settings = Settings.load(environment, ROOT / "pygeoapi-config.yml")
    assert settings.backend == "kubernetes"
    assert settings.kubernetes.namespace == "cdi-stages"
    known = {f"CDI_{name.upper()}" for name in Settings.__dataclass_fields__}
    sections = ("CDI_KUBERNETES_", "CDI_IDENTITY_")
    assert {name for name in environment if not name.startswith(sections)} <= known


def test_who_reaches_a_server_is_asked_unless_it_is_for_a_try(
    request: pytest.FixtureRequest, objects: list[dict[str, Any]]
) -> None:
    environment = settings_of(objects) | {"CDI_DATABASE_URL": "postgresql://cdi@db/cdi"}
    settings = Settings.load(environment, ROOT / "pygeoapi-config.yml")
    for_a_try = "dev" in request.node.callspec.id
    assert settings.identity.asked is not for_a_try
    assert settings.allow_anonymous is for_a_try


def test_steps_wait_for_their_turn_and_not_for_the_quota(objects: list[dict[str, Any]]) -> None:
    [quota] = of_kind(objects, "ResourceQuota")
    pods_at_once = int(settings_of(objects)["CDI_KUBERNETES_MAX_PODS"])
    assert pods_at_once < int(quota["spec"]["hard"]["pods"])


def test_probes_ask_ports_that_exist(objects: list[dict[str, Any]]) -> None:
    settings = settings_of(objects)
    for name, port in (("server", "CDI_PORT"), ("controller", "CDI_METRICS_PORT")):
        [container] = [item for item in containers(objects) if item["name"] == name]
        [declared] = container["ports"]
        assert str(declared["containerPort"]) == settings[port]
        for kind in ("startupProbe", "livenessProbe"):
            assert container[kind]["httpGet"] == {"path": "/healthz", "port": declared["name"]}


def test_nothing_is_open_that_no_policy_opens(objects: list[dict[str, Any]]) -> None:
    closed = {
        item["metadata"]["namespace"]: item["spec"]
        for item in of_kind(objects, "NetworkPolicy")
        if item["metadata"]["name"] == "closed"
    }
    everything = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert closed == {"cdi": everything, "cdi-stages": everything}


def test_stages_reach_no_address_inside(objects: list[dict[str, Any]]) -> None:
    [web] = [
        item["spec"]
        for item in of_kind(objects, "NetworkPolicy")
        if item["metadata"]["namespace"] == "cdi-stages" and item["metadata"]["name"] != "closed"
    ]
    assert web["podSelector"] == {"matchLabels": {"cdi.nrw/network": "true"}}
    assert web["policyTypes"] == ["Egress"]
    _names, pages = web["egress"]
    assert {port["port"] for port in pages["ports"]} == {80, 443}
    [first, second] = (entry["ipBlock"] for entry in pages["to"])
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= {*first["except"]}
    assert "fc00::/7" in second["except"]


def test_everything_lies_in_one_of_two_namespaces(objects: list[dict[str, Any]]) -> None:
    levels = {
        item["metadata"]["name"]: item["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for item in of_kind(objects, "Namespace")
    }
    assert levels == {"cdi": "restricted", "cdi-stages": "restricted"}
    for item in objects:
        if item["kind"] not in CLUSTER_WIDE:
            assert item["metadata"].get("namespace") in levels, item["metadata"]["name"]


def test_the_docs_name_every_right_and_no_other(objects: list[dict[str, Any]]) -> None:
    granted = {
        (verb, resource)
        for role in of_kind(objects, "Role", "ClusterRole")
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.split("## Rights\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([a-z, ]+) \| `(\w+)`", section, re.MULTILINE)
    documented = {(verb, resource) for verbs, resource in rows for verb in verbs.split(", ")}
    only_with_gvisor = {("get", "runtimeclasses")}
    assert granted | only_with_gvisor == documented


def settings_of(objects: list[dict[str, Any]]) -> dict[str, str]:
    [found] = [
        item["data"]
        for item in of_kind(objects, "ConfigMap")
        if item["metadata"]["name"].startswith("cdi-settings")
    ]
    return dict(found)
