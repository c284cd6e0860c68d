"""The same CWL files give equal outputs here and under the reference implementation.

Equal means: same class, basename, checksum, size and order, for every output of every step.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s_manager import acceptance
from k8s_manager.backends.choice import chosen_backend
from k8s_manager.controller import Controller
from k8s_manager.job_files import resolved_sources
from k8s_manager.registry import Registry
from k8s_manager.settings import Settings, read_config
from k8s_manager.store import Store

ROOT = Path(__file__).parents[1]
CHAIN = ROOT / "processes" / "orchard_monitoring" / "process.cwl"
STEPS = ("ingest", "preprocess", "detect", "assess", "publish")
BODY = json.loads((ROOT / "samples" / "rural" / "job.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("equality")
    loaded = Settings.load(env={"CDI_HOME": str(home)}, config=ROOT / "pygeoapi-config.yml")
    return replace(loaded, local_slots=2)


@pytest.fixture(scope="module")
def ours(settings: Settings) -> dict[str, Any]:
    """Every output of every step of the chain, as our controller and runner made it."""
    store = Store(settings.database_url)
    store.migrate()
    registry = Registry.from_config(read_config(settings.config), settings)
    process = registry.get("orchard-monitoring")
    job = store.create_job(acceptance.accept(settings, process, BODY, owner="local", trusted=True))
    with closing(chosen_backend(settings)) as backend:
        job = Controller(settings, store, backend).run_until(job.id)
    assert job.status == "successful", job.error
    outputs: dict[str, Any] = {}
    attempts = sorted(store.attempts(job.id), key=lambda attempt: attempt.index)
    for attempt in attempts:
        assert attempt.document is not None
        for name, value in attempt.document["outputs"].items():
            outputs.setdefault(f"{attempt.step}_{name}", []).append(_comparable(value))
    store.close()
    return outputs


@pytest.fixture(scope="module")
def theirs(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same under cwltool: the chain's file with the outputs of all steps declared."""
    folder = tmp_path_factory.mktemp("cwltool")
    (folder / "sources.yml").write_text(yaml.safe_dump(resolved_sources(settings)))
    inputs = dict(BODY["inputs"])
    (folder / "inventory.geojson").write_text(json.dumps(inputs["inventory"]["value"]))
    inputs["inventory"] = {"class": "File", "path": "inventory.geojson"}
    inputs["source_config"] = {"class": "File", "path": "sources.yml"}
    (folder / "job.json").write_text(json.dumps(inputs))
    (folder / "all.cwl").write_text(yaml.safe_dump(_with_all_outputs()))
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("CDI_CACHE", None)
    done = subprocess.run(
        [str(binaries / "cwltool"), "--no-container", "--outdir", "out", "all.cwl", "job.json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    outputs = json.loads(done.stdout)
    return {name: _comparable(value) for name, value in outputs.items()}


@pytest.mark.parametrize("step", STEPS)
def test_every_output_of_a_stage_is_equal(
    step: str, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    names = [name for name in theirs if name.startswith(f"{step}_")]
    assert names
    for name in names:
        expected = theirs[name] if _is_scattered(step) else [theirs[name]]
        assert ours[name] == expected, name


def test_the_outputs_of_the_chain_are_those_of_its_steps(theirs: dict[str, Any]) -> None:
    assert theirs["release"] == theirs["publish_release"]
    assert theirs["objects"] == theirs["assess_objects"]


def _is_scattered(step: str) -> bool:
    return "scatter" in yaml.safe_load(CHAIN.read_text(encoding="utf-8"))["steps"][step]


def _with_all_outputs() -> dict[str, Any]:
    """Return the chain with every output of every step as an output of its own."""
    chain: dict[str, Any] = yaml.safe_load(CHAIN.read_text(encoding="utf-8"))
    for step, entry in chain["steps"].items():
        path = (CHAIN.parent / entry["run"]).resolve()
        tool = yaml.safe_load(path.read_text(encoding="utf-8"))
        entry["run"] = path.as_uri()
        for name in entry["out"]:
            kind = tool["outputs"][name]["type"]
            if isinstance(kind, str) and kind.endswith("?"):
                kind = ["null", kind[:-1]]
            if "scatter" in entry:
                kind = {"type": "array", "items": kind}
            chain["outputs"][f"{step}_{name}"] = {
                "type": kind,
                "outputSource": f"{step}/{name}",
            }
    return chain


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return [_comparable(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.get("class") == "File":
        return ("File", value["basename"], _sha256(value), value["size"])
    if value.get("class") == "Directory":
        entries = [_comparable(entry) for entry in value["listing"]]
        return ("Directory", value["basename"], sorted(entries, key=lambda entry: entry[1]))
    return {name: _comparable(entry) for name, entry in value.items()}


def _sha256(value: dict[str, Any]) -> str:
    if str(value.get("checksum", "")).startswith("sha256$"):
        return str(value["checksum"]).removeprefix("sha256$")
    return hashlib.sha256(Path(value["path"]).read_bytes()).hexdigest()
