"""`cdi check` on a real cluster: a good deployment is said to be well, a bad one what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from k8s_manager.backends.kubernetes_api import JOBS, PODS
from k8s_manager.backends.rights import RIGHTS, Right
from k8s_manager.checks.deployment import check
from k8s_manager.checks.finding import NOTE, OK
from k8s_manager.settings import Settings
from k8s_manager.store import Store
from tests.cluster.conftest import CLAIMS, NAMESPACES, Cluster, claim, wait_until
from tests.cluster.limited_user import LimitedUser
from tests.cluster.test_reasons import LIMITS, PYTHON, set_quota
from tests.cluster.watched import process_file
from tests.ogcapi.test_check import split_notes, verdict

STAGE = os.environ.get("CDI_STAGE_IMAGE", "")
READING = (
    Right("get", "namespaces", "", "checked"),
    Right("get", "persistentvolumeclaims", "", "checked"),
    Right("list", "resourcequotas", "", "checked"),
    Right("list", "limitranges", "", "checked"),
)
"""What `cdi check` reads beyond what the controller needs."""


class Deployment:
    """A deployment with one process, as its administrator sees it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.home = cluster.folder / folder.name
        (self.home / "workspace").mkdir(parents=True)
        resource = {
            "type": "process",
            "processor": {
                "name": "k8s_manager.processor.CwlProcessor",
                "cwl": process_file(folder) + ".cwl",
            },
        }
        config = {"server": {"manager": {}}, "resources": {"python": resource}}
        (folder / "config.yml").write_text(yaml.safe_dump(config))
        (folder / "sources.yml").write_text("sources: []\n")
        self.variables = {
            "CDI_CONFIG": str(folder / "config.yml"),
            "CDI_SOURCES": str(folder / "sources.yml"),
            "CDI_HOME": str(self.home),
            "CDI_BACKEND": "kubernetes",
            "CDI_KUBERNETES_NAMESPACE": cluster.api.namespace,
            "CDI_KUBERNETES_CLAIM": "workspace",
            "CDI_KUBERNETES_CLAIM_PATH": f"{self.home.name}/workspace",
            "CDI_KUBERNETES_IMAGES": f"cdi/test:1={STAGE}",
        }
        store = Store(f"sqlite:///{self.home / 'cdi.db'}")
        store.migrate()
        store.close()

    def check(self, *options: str, **changes: str) -> tuple[int, str]:
        """Run `cdi check`; return its exit code and its table, a finding a line."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CDI_")}
        done = subprocess.run(
            [sys.executable, "-m", "ogcapi.cli", "check", *options],
            env=inherited | self.variables | {"COLUMNS": "3000"} | changes,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr
        return done.returncode, done.stdout

    def fails(self, what: str, *words: str, options: tuple[str, ...] = (), **changes: str) -> None:
        """Run it and expect one failed finding, about `what` and with all of `words`."""
        code, table = self.check(*options, **changes)
        assert code == 1, table
        (line,) = (line for line in table.splitlines() if line.startswith("failed"))
        missing = [word for word in (what, *words) if word not in line]
        assert not missing, f"{missing} not in {line}"


@pytest.fixture
def deployment(space: Cluster, tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(space, tmp_path)
    yield made
    kinds = (JOBS, PODS)
    wait_until(lambda: not any(space.api.everything(path)[0] for path in kinds), "nothing left")
    assert not list((made.home / "workspace").glob("jobs/*"))


@pytest.fixture
def user(deployment: Deployment, tmp_path: Path) -> LimitedUser:
    """The deployment's controller, with the rights that it needs and those to check all."""
    made = LimitedUser(deployment.cluster.api, tmp_path, (*RIGHTS, *READING))
    deployment.variables["KUBECONFIG"] = str(made.kubeconfig)
    return made


@pytest.mark.usefixtures("user")
def test_a_good_deployment_is_said_to_be_well(deployment: Deployment) -> None:
    code, table = deployment.check()
    assert code == 0, table
    assert table.splitlines()[-1] == verdict(table)
    lines = [line.split()[0] for line in table.splitlines()[1:-1]]
    assert set(lines) <= {"ok", "note"}, table
    for words in (
        "database",
        "Kubernetes API version v1.",
        "pod security restricted",
        f"all {len(RIGHTS)} that the controller needs",
        "volume claim workspace",
        f"image {STAGE} (python)",
        "has the step runner and sees the workspace",
    ):
        assert " ".join(words.split()) in " ".join(table.split())


@pytest.mark.parametrize("missing", RIGHTS, ids=Right.sentence)
def test_every_missing_right_is_named(
    deployment: Deployment, user: LimitedUser, missing: Right
) -> None:
    user.grant([item for item in (*RIGHTS, *READING) if item != missing])
    deployment.fails("rights in namespace", missing.sentence(), f"grant them to {user.name}")


def test_what_may_not_be_read_is_noted_and_the_rest_checked(
    deployment: Deployment, user: LimitedUser
) -> None:
    user.grant(RIGHTS)
    code, table = deployment.check()
    assert code == 0, table
    assert "has the step runner" in table
    assert len(split_notes(table)[1]) == len(READING), table


def test_a_namespace_or_claim_that_is_not_there_is_named(deployment: Deployment) -> None:
    code, table = deployment.check(CDI_KUBERNETES_NAMESPACE="none-such")
    assert code == 1
    assert "CDI_KUBERNETES_NAMESPACE" in table
    deployment.fails("volume claim none-such", "is not in", CDI_KUBERNETES_CLAIM="none-such")
    deployment.cluster.api.create(CLAIMS, claim("unbound", "no-such-volume"))
    deployment.fails("volume claim unbound", "is Pending", CDI_KUBERNETES_CLAIM="unbound")
    deployment.fails(
        "volume claim tiles", "CDI_KUBERNETES_SOURCE_CLAIMS",
        CDI_KUBERNETES_SOURCE_CLAIMS="/data=tiles",
    )  # fmt: skip


def test_a_claim_that_holds_other_files_is_found_out(deployment: Deployment) -> None:
    elsewhere = f"{deployment.home.name}/elsewhere"
    deployment.fails(
        "image", "does not see the files of CDI_WORKSPACE", CDI_KUBERNETES_CLAIM_PATH=elsewhere
    )


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (PYTHON, "no step runner at /cdi/step_runner.py"),
        ("registry.invalid/cdi/stage:1", "image-pull"),
        ("Not/A:Name", "image-pull"),
    ],
    ids=["without runner", "that cannot be pulled", "that is no name"],
)
def test_an_image_is_tried(deployment: Deployment, image: str, words: str) -> None:
    deployment.fails(
        f"image {image} (python)", words,
        CDI_KUBERNETES_IMAGES=f"cdi/test:1={image}", CDI_KUBERNETES_PULL_WAIT_S="3",
    )  # fmt: skip


def test_scarce_room_is_noted_and_the_images_are_tried_all_the_same(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("k8s_manager.checks.deployment.SCARCE_BYTES", 10**18)
    settings = Settings.load(os.environ | deployment.variables)
    found = {item.what: item for item in check(settings, probe=True, probe_wait_s=200)}
    assert found[f"workspace {settings.workspace}"].state == NOTE
    assert found[f"image {STAGE} (python)"].state == OK


def test_an_image_that_the_policy_refuses_is_not_tried(deployment: Deployment) -> None:
    deployment.fails(
        "image of python", "is named by tag",
        CDI_KUBERNETES_IMAGES="cdi/test:1=registry.invalid/stage:1",
        CDI_KUBERNETES_REQUIRE_DIGEST="true",
    )  # fmt: skip
    deployment.fails(
        "image of python", "is not from other.example/",
        CDI_KUBERNETES_ALLOWED_REGISTRIES="other.example/",
    )  # fmt: skip


def test_classes_that_are_not_there_are_named(deployment: Deployment) -> None:
    deployment.fails(
        "RuntimeClass none-such", "is not there", CDI_KUBERNETES_RUNTIME_CLASS="none-such"
    )
    deployment.fails(
        "PriorityClass none-such", "is not there", CDI_KUBERNETES_PRIORITY_CLASS="none-such"
    )


def test_quota_and_limit_ranges_are_compared_with_the_largest_step(
    deployment: Deployment,
) -> None:
    api = deployment.cluster.api
    set_quota(api, requests_cpu="50m", pods="4")
    deployment.fails("quota steps", "python may ask for requests.cpu 0.1, it gives 50m")
    set_quota(api, requests_cpu="1", pods="4")
    limit = {"type": "Container", "max": {"memory": "64Mi"}}
    api.create(LIMITS, {"metadata": {"name": "steps"}, "spec": {"limits": [limit]}})
    deployment.fails("limit range steps", "python may ask for memory 112Mi, it allows 64Mi")
    api.delete(f"{LIMITS}/steps")
    assert deployment.check()[0] == 0


def test_without_the_probe_no_pod_is_started(deployment: Deployment, user: LimitedUser) -> None:
    code, table = deployment.check("--no-probe")
    assert code == 0
    assert "no pod was started" in table


def test_a_namespace_that_is_not_restricted_is_noted(deployment: Deployment) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    deployment.cluster.api.patch(NAMESPACES + "/{namespace}", label)
    code, table = deployment.check("--no-probe")
    assert code == 0
    assert "pod security baseline" in table


def test_a_cluster_that_does_not_answer_is_named(deployment: Deployment, tmp_path: Path) -> None:
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    for item in config["clusters"]:
        item["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "nowhere").write_text(yaml.safe_dump(config))
    deployment.fails("Kubernetes API", "KUBECONFIG", KUBECONFIG=str(tmp_path / "nowhere"))
