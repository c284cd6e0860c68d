"""The orchard chain inside a cluster says the same as on this machine, under every runtime."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8s_manager.backends.kubernetes_api import Api
from k8s_manager.store import Store
from tests.cluster.conftest import CLAIMS, VOLUMES, Cluster, claim, volume

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
JOB = SAMPLES / "rural" / "job.json"
RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"


@pytest.fixture(scope="module")
def samples(cluster: Cluster) -> Iterator[str]:
    """A volume that holds the sample's tiles, as an administrator would give one to sources."""
    name = f"{cluster.api.namespace}-samples"
    cluster.api.create(VOLUMES, volume(name, SAMPLES))
    cluster.api.create(CLAIMS, claim("samples", name))
    yield "samples"
    cluster.api.delete(f"{VOLUMES}/{name}")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same chain with local subprocesses."""
    home = tmp_path_factory.mktemp("local")
    return _run(home, {"CDI_BACKEND": "local"})


@pytest.mark.parametrize("runtime", ["", "gvisor"])
def test_the_chain_says_the_same_in_the_cluster(
    cluster: Cluster, samples: str, expected: dict[str, Any], runtime: str
) -> None:
    if runtime and not _has_runtime(cluster.api, runtime):
        pytest.skip(f"the cluster has no RuntimeClass {runtime}")
    name = f"chain-{runtime or 'default'}"
    settings = cluster.settings(name)
    found = _run(
        cluster.folder / name,
        {
            "CDI_BACKEND": "kubernetes",
            "CDI_KUBERNETES_NAMESPACE": settings.namespace,
            "CDI_KUBERNETES_INSTALLATION": name,
            "CDI_KUBERNETES_CLAIM": settings.claim,
            "CDI_KUBERNETES_CLAIM_PATH": f"{name}/workspace",
            "CDI_KUBERNETES_IMAGES": f"cdi/stage:0.1.0={os.environ['CDI_STAGE_IMAGE']}",
            "CDI_KUBERNETES_SOURCE_CLAIMS": f"{SAMPLES}={samples}",
            "CDI_KUBERNETES_RUNTIME_CLASS": runtime,
        },
    )
    assert found == expected


def _has_runtime(api: Api, name: str) -> bool:
    items, _version = api.everything(RUNTIMES)
    return name in {item["metadata"]["name"] for item in items}


def _run(home: Path, changes: dict[str, str]) -> dict[str, Any]:
    """Run the chain and return what its release says."""
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "CDI_HOME": str(home),
        "CDI_CONFIG": str(ROOT / "pygeoapi-config.yml"),
        **changes,
    }
    command = [sys.executable, "-m", "ogcapi.cli", "run", "orchard-monitoring", "-i", str(JOB)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    store = Store(f"sqlite:///{home / 'cdi.db'}")
    release = store.current_releases()["demo-rural"]
    store.close()
    folder = home / "workspace" / release.path.removeprefix("workspace:")
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return {key: summary[key] for key in summary if key not in ("versions", "software")}
