"""The same process file under cwltool, the reference runner of CWL, gives the same outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import processes.ingest
from processes.stage import EXIT_DONE
from tests.processes.ingest.scenery import ingest, inventory, ndom, read, sources

PROCESS = Path(processes.ingest.__file__).with_name("process.cwl")
ROOT = PROCESS.parents[2]


@pytest.fixture
def request_file(tmp_path):
    ndom(tmp_path / "ndom", 342, 5700)
    sources(tmp_path / "sources.yml", {"name": "surface", "root": str(tmp_path / "ndom")})
    inventory(tmp_path / "inventory.geojson", {"a": (342_100, 5_700_100, 50)})
    values = {
        "bbox": {"bbox": [342000, 5700000, 343000, 5701000], "crs": "EPSG:25832"},
        "period": "2024-01-01/2024-12-31",
        "inventory": {"class": "File", "path": "inventory.geojson"},
        "source_config": {"class": "File", "path": "sources.yml"},
        "sources": ["surface"],
    }
    path = tmp_path / "request.json"
    path.write_text(json.dumps(values))
    return path


def test_cwltool_and_the_command_line_give_the_same_files(tmp_path, request_file, monkeypatch):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("CDI_CACHE", None)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "cwltool", "--no-container", "--quiet"),
            *("--preserve-environment", "PYTHONPATH", "--outdir", tmp_path / "cwl"),
            *(PROCESS, request_file),
        ],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    outputs = json.loads(ended.stdout)
    (batch,) = outputs["batches"]
    assert batch["id"] == "b342_5700"
    assert [value["basename"] for value in batch["ndom"]] == ["ndom50_32342_5700_1_nw_2024.tif"]

    monkeypatch.delenv("CDI_CACHE", raising=False)
    code = ingest(
        *(monkeypatch, tmp_path / "own", "--bbox=342000,5700000,343000,5701000"),
        *("--bbox-crs=EPSG:25832", "--period=2024-01-01/2024-12-31"),
        *("--inventory", tmp_path / "inventory.geojson"),
        *("--source-config", tmp_path / "sources.yml", "--sources", "surface"),
    )
    assert code == EXIT_DONE
    for output in ("items", "objects", "run_area", "missing"):
        name = outputs[output]["basename"]
        own = (tmp_path / "own" / name).read_bytes()
        assert Path(outputs[output]["path"]).read_bytes() == own, name
    assert read(batch["items"]["path"]) == read(tmp_path / "own" / "items-b342_5700.json")


def test_the_help_is_quick_because_heavy_modules_are_imported_late():
    code = (
        "import sys, processes.ingest.__main__ as m; m.parser().format_help(); "
        "print(sorted({'rasterio', 'geopandas', 'pyproj', 'httpx', 'yaml'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
