"""The Job of a round, compared with files that show what is sent to Kubernetes.

After a wanted change: ``python -m tests.k8s_manager.test_job_manifest`` writes the files anew; the
difference is then there to be read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from k8s_manager.backends.base import Round
from k8s_manager.backends.environment import program_environment
from k8s_manager.backends.job_manifest import ImageNotAllowed, manifest
from k8s_manager.errors import CdiError
from k8s_manager.kubernetes_settings import KubernetesSettings

FOLDER = Path(__file__).parents[1] / "data" / "manifests"
JOB = "019a2b3c4d5e7f8091a2b3c4d5e6f708"
IMAGE = "registry.example/cdi/stage@sha256:" + "ab" * 32
SETTINGS = KubernetesSettings(namespace="cdi-stages", images={"cdi/stage:0.1.0": IMAGE})
PLAIN = Round(
    JOB, "assess", 1, 7, (0,), False, Path(f"/data/workspace/jobs/{JOB}/assess"),
    cores=1.5, ram_mb=2048, time_limit_s=3600, image="cdi/stage:0.1.0", process="assess",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A round as some installation runs it."""

    round: Round
    settings: KubernetesSettings = SETTINGS
    inputs: tuple[tuple[str, ...], ...] = ((),)
    task: Mapping[str, Any] = field(default_factory=dict)
    parallelism: int = 8

    @property
    def manifest(self) -> dict[str, Any]:
        entries = [{"inputs": [{"path": path} for path in paths]} for paths in self.inputs]
        task = {"indexes": entries, **self.task}
        return manifest(self.round, task, self.parallelism, self.settings)


CASES = {
    "plain": Case(PLAIN),
    "scattered-with-network": Case(
        replace(
            PLAIN, step="ingest", process="ingest", indexes=(2, 5, 9), scattered=True, number=2,
            network=True, time_limit_s=None,
        ),
        inputs=((), (), ()),
        parallelism=2,
    ),
    "gpu": Case(
        replace(PLAIN, step="classify", process="classify", gpus=1, cores=4),
        replace(SETTINGS, gpu_resource="nvidia.com/gpu"),
    ),
    "configured": Case(
        PLAIN,
        replace(
            SETTINGS,
            installation="demo",
            claim="files",
            claim_path="demo/workspace",
            runtime_class="gvisor",
            priority_class="steps",
            pull_secrets=("registry",),
            node_selector={"example.org/pool": "batch"},
            labels={"example.org/cost-centre": "4711"},
            run_as_user=20001,
            tmp_limit_mb=512,
            allowed_registries=("registry.example/cdi/",),
            require_digest=True,
        ),
    ),
    "release-and-sources": Case(
        replace(PLAIN, step="publish", process="publish"),
        replace(SETTINGS, source_claims={"/data/nrw": "nrw-tiles", "/data/other": "other"}),
        inputs=(
            (
                f"jobs/{JOB}/assess/x/outputs/objects.gpkg",
                "releases/orchards/000041/objects.gpkg",
                "releases/orchards/000041/manifest.json",
                "/data/nrw/ndom/32280_5652.tif",
            ),
        ),
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of the machine that runs the tests belong into no file."""
    for name in program_environment(replace(PLAIN, network=True)):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", CASES)
def test_the_job_of_a_round_is_the_one_in_the_file(name: str) -> None:
    expected = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    assert json.loads(json.dumps(CASES[name].manifest)) == expected


def test_every_file_belongs_to_a_case() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == CASES.keys()


rounds = st.builds(
    Round,
    job=st.text("0123456789abcdef", min_size=32, max_size=32),
    step=st.from_regex(r"[a-z][a-z0-9-]{0,18}[a-z0-9]", fullmatch=True),
    number=st.integers(1, 999),
    epoch=st.integers(1, 10**6),
    indexes=st.lists(st.integers(0, 10**5), min_size=1, max_size=50, unique=True).map(tuple),
    scattered=st.booleans(),
    folder=st.just(Path("/data/step")),
    cores=st.floats(0.01, 64),
    ram_mb=st.integers(1, 10**6),
    time_limit_s=st.none() | st.integers(1, 10**7),
    network=st.booleans(),
    gpus=st.integers(0, 4),
    image=st.just("cdi/stage:0.1.0"),
    process=st.sampled_from(["detect", "other"]),
)
settings = st.builds(
    KubernetesSettings,
    images=st.just({"cdi/stage:0.1.0": IMAGE}),
    runtime_classes=st.sampled_from([{}, {"detect": "gvisor"}, {"detect": ""}]),
    gpu_resource=st.sampled_from(["", "nvidia.com/gpu"]),
    run_as_user=st.integers(1, 60_000),
    labels=st.just({"cdi.nrw/round": "forged", "app.kubernetes.io/managed-by": "forged"}),
)


@given(round_=rounds, settings=settings, parallelism=st.integers(1, 100))
def test_whatever_the_round_its_job_is_valid_bounded_and_restricted(
    round_: Round, settings: KubernetesSettings, parallelism: int
) -> None:
    job = Case(round_, settings, ((),) * len(round_.indexes), {}, parallelism).manifest
    spec = job["spec"]
    pod = spec["template"]["spec"]
    assert len(job["metadata"]["name"]) <= 63
    assert all(len(value) <= 63 for value in job["metadata"]["labels"].values())
    assert job["metadata"]["labels"]["cdi.nrw/round"] == round_.name
    assert job["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "cdi-nrw"
    assert spec["completions"] == len(round_.indexes)
    assert 1 <= spec["parallelism"] <= spec["completions"]
    assert 0 < spec["activeDeadlineSeconds"] < 2**31
    assert len(json.dumps(job)) < 20_000
    _is_restricted(pod)


def _is_restricted(pod: dict[str, Any]) -> None:
    """What pod security "restricted" demands, and what we demand beyond it."""
    assert all({*volume} & {"persistentVolumeClaim", "emptyDir"} for volume in pod["volumes"])
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & {*pod}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    limits, requests = container["resources"]["limits"], container["resources"]["requests"]
    assert limits["memory"] == requests["memory"]
    writable = [mount for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert {mount["mountPath"].split("/")[-2] for mount in writable} <= {
        "",
        "workspace",
        *_jobs(pod),
    }


def _jobs(pod: dict[str, Any]) -> set[str]:
    mounts = pod["containers"][0]["volumeMounts"]
    return {
        mount["subPath"].split("/")[1] for mount in mounts if "jobs/" in mount.get("subPath", "")
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"allowed_registries": ("other.example/",)}, "is not from other.example/"),
        ({"images": {}, "require_digest": True}, "cdi/stage:0.1.0 is named by tag"),
    ],
)
def test_an_image_that_the_policy_refuses_has_no_job(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ImageNotAllowed, match=words):
        _ = Case(PLAIN, replace(SETTINGS, **changes)).manifest


def test_a_process_without_an_image_has_no_job() -> None:
    with pytest.raises(ImageNotAllowed, match="process assess names no image"):
        _ = Case(replace(PLAIN, image=None)).manifest


def test_a_source_that_no_claim_holds_has_no_job() -> None:
    with pytest.raises(CdiError, match="CDI_KUBERNETES_SOURCE_CLAIMS"):
        _ = Case(PLAIN, inputs=(("/data/nrw/tile.tif",),)).manifest


def test_every_process_may_have_its_own_runtime_class() -> None:
    settings = replace(SETTINGS, runtime_class="gvisor", runtime_classes={"assess": ""})
    assert "runtimeClassName" not in Case(PLAIN, settings).manifest["spec"]["template"]["spec"]
    other = Case(replace(PLAIN, process="detect"), settings).manifest
    assert other["spec"]["template"]["spec"]["runtimeClassName"] == "gvisor"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for variable in program_environment(replace(PLAIN, network=True)):
        os.environ.pop(variable, None)
    for name, case in CASES.items():
        text = yaml.safe_dump(json.loads(json.dumps(case.manifest)), sort_keys=False)
        (FOLDER / f"{name}.yml").write_text(text)
