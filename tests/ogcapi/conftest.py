"""One real server for the tests of the service: our own configuration and two small processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.serving import Server, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    config = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    for name, resource in config["resources"].items():
        folder_name = name.replace("-", "_")
        resource["processor"]["cwl"] = str(ROOT / "processes" / folder_name / "process.cwl")
    for name, file in (("greet", "greet.cwl"), ("chain", "chain/process.cwl")):
        cwl = str(ROOT / "tests" / "data" / "processes" / file)
        processor = {"name": "k8s_manager.processor.CwlProcessor", "cwl": cwl}
        config["resources"][name] = {"type": "process", "processor": processor}
    hosts = ["127.0.0.1"]
    config["server"]["manager"]["outside"] = {
        **{"input_hosts": hosts, "callback_hosts": hosts},  # the tests' own servers...
        **{"http_hosts": hosts, "private_hosts": hosts, "callback_progress_s": 0.2},
    }
    path = folder / "pygeoapi-config.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with serving(path, folder / "var") as running:
        yield running
