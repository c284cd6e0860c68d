"""A run publishes to a dataset only in the dataset's CRS and inside its declared area."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from k8s_manager.cwl import load_process
from k8s_manager.dataset_fit import MANIFEST, release_misfit, request_misfits
from k8s_manager.dataset_settings import Dataset
from k8s_manager.errors import InvalidInputs
from k8s_manager.records import NewJob
from k8s_manager.releases import check_dataset
from tests.k8s_manager.installation import Installation

NRW = (278000.0, 5575000.0, 540000.0, 5830000.0)
DATASET = Dataset("orchards", NRW, "EPSG:25832", ("orchard-monitoring", "mapped"))
COLOGNE = {"bbox": [6.9, 50.9, 7.0, 51.0], "crs": "OGC:CRS84"}

MAPPED = """
cwlVersion: v1.2
class: CommandLineTool
id: mapped
label: Writes a release with the manifest that it is given
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c]
arguments:
  - valueFrom: |-
      import pathlib, sys
      pathlib.Path("release").mkdir()
      pathlib.Path("release/manifest.json").write_text(sys.argv[1])
    position: 0
inputs:
  manifest: {type: string, inputBinding: {position: 1}}
  dataset: {type: string, default: orchards}
outputs:
  release: {type: Directory, outputBinding: {glob: release}}
"""


def pointers(values: Mapping[str, Any]) -> list[str]:
    return [violation.pointer for violation in request_misfits(DATASET, values)]


def square(left: float, bottom: float, side: float = 1000) -> dict[str, Any]:
    right, top = left + side, bottom + side
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    return {"type": "MultiPolygon", "coordinates": [[ring]]}


def manifest(crs: str = "EPSG:25832", area: Any = None) -> str:
    return json.dumps({"crs": crs, "run_area": area or square(350000, 5600000)})


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"crs": "EPSG:25832", "bbox": COLOGNE},
        {"bbox": {"bbox": [50.9, 6.9, 51.0, 7.0], "crs": "EPSG:4326"}},
        {"bbox": {"bbox": [50.9, 6.9, 0.0, 51.0, 7.0, 9.0], "crs": "EPSG:4979"}},
        {"bbox": {"bbox": list(NRW), "crs": "EPSG:25832"}},
        {"bbox": None, "crs": None},
    ],
)
def test_requests_that_fit(values: dict[str, Any]) -> None:
    assert pointers(values) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"crs": "EPSG:2154"}, ["/inputs/crs"]),
        ({"bbox": {"bbox": [13.3, 52.4, 13.5, 52.6], "crs": "OGC:CRS84"}}, ["/inputs/bbox"]),
        ({"bbox": {"bbox": [6.9, 50.9, 7.0, 51.0], "crs": "EPSG:4326"}}, ["/inputs/bbox"]),
        ({"bbox": {"bbox": [539000, 5600000, 541000, 5601000], "crs": "EPSG:25832"}},
         ["/inputs/bbox"]),
        ({"bbox": {"bbox": [0, 0, 1, 1], "crs": "EPSG:999999"}}, ["/inputs/bbox/crs"]),
        ({"crs": "EPSG:3035", "bbox": {"bbox": [0, 0, 1, 1], "crs": "OGC:CRS84"}},
         ["/inputs/crs", "/inputs/bbox"]),
    ],
)  # fmt: skip
def test_requests_that_do_not_fit_are_told_all_of_it(
    values: dict[str, Any], expected: list[str]
) -> None:
    assert pointers(values) == expected


def test_the_chain_is_refused_before_it_runs(installation: Installation) -> None:
    chain = load_process(Path("processes/orchard_monitoring/process.cwl"))
    settings = dataclasses.replace(installation.settings, datasets={"orchards": DATASET})
    check_dataset(settings, chain, {"bbox": COLOGNE})
    with pytest.raises(InvalidInputs, match="/inputs/crs: expected EPSG:25832, the CRS of the"):
        check_dataset(settings, chain, {"bbox": COLOGNE, "crs": "EPSG:3044"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (manifest(), None),
        (None, None),
        (manifest(crs="EPSG:2154"), "it is in EPSG:2154; expected EPSG:25832"),
        (manifest(area=square(800000, 5600000)), "its area has the extent [800000, 5600000, "),
        ("[]", "can be understood"),
        ('{"crs": "EPSG:25832", "run_area": {"coordinates": []}}', "can be understood"),
        ("no json", "can be understood"),
    ],
)
def test_releases(tmp_path: Path, text: str | None, words: str | None) -> None:
    if text is not None:
        (tmp_path / MANIFEST).write_text(text)
    misfit = release_misfit(DATASET, tmp_path)
    assert misfit is None if words is None else words in str(misfit)


@pytest.mark.every_store
def test_a_release_that_does_not_fit_fails_its_job(
    installation: Installation, tmp_path: Path
) -> None:
    path = tmp_path / "mapped.cwl"
    path.write_text(MAPPED)
    process = load_process(path)
    settings = dataclasses.replace(installation.settings, datasets={"orchards": DATASET})
    own = Installation(settings, installation.store)

    def run(text: str) -> Any:
        request = {"values": {"manifest": text}}
        new = NewJob(process.id, process.version, process.to_json(), request, "local")
        return own.finish(own.store.create_job(new))

    assert run(manifest()).outcome == "successful"
    job = run(manifest(area=square(800000, 5600000)))
    assert job.outcome == "failed"
    assert job.error is not None
    assert job.error["title"] == "the release does not fit the dataset orchards"
    assert "[278000, 5575000, 540000, 5830000] in EPSG:25832" in job.error["detail"]
    assert own.store.current_releases()["orchards"].version == "000001"
    assert not list((own.workspace.root / "releases" / "orchards").glob(".new-*"))
