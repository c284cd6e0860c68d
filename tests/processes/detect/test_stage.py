"""The stage as its callers run it: files in, files out, clear errors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

from processes.detect.__main__ import parser, run
from processes.stage import run_stage
from tests.processes.detect.scenes import NORTH, WEST, plant, surface

ROOT = Path(__file__).parents[3]
PROCESS = ROOT / "processes" / "detect" / "process.cwl"


def write_tile(path: Path, ndom, crs: str | None = "EPSG:25832", cell: float = 0.5) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=ndom.shape[1], height=ndom.shape[0], count=1,
        dtype="float32", crs=crs, transform=from_origin(WEST, NORTH, cell, cell), nodata=-9999.0,
    ) as tile:  # fmt: skip
        tile.write(ndom, 1)
    return path


def write_items(path: Path) -> Path:
    properties = {
        "datetime": None,
        "cdi:product": "ndom",
        "cdi:acquisition": {"group": "surface", "campaign": "bench", "date": "2021-06-01"},
    }
    item = {"id": "tile", "properties": properties, "assets": {"data": {"href": "tile.tif"}}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    return path


def arguments(tile: Path, *more: str, buffer: float = 30) -> list[str]:
    core = "--core=372000,5727940,372060,5728000"
    crs = "--crs=EPSG:25832"
    return ["--batch-id=b1", core, f"--buffer={buffer}", crs, "--ndom", str(tile), *more]


@pytest.fixture
def stage(tmp_path, monkeypatch, capsys):
    """Run the stage in a folder of its own; returns exit code, error and the folder."""

    def run_in(name: str, *args: str, **options: float):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("CDI_PROGRESS", str(tmp_path / f"{name}.jsonl"))
        code = run_stage(parser(), run, arguments(*args, **options))
        lines = capsys.readouterr().err.splitlines()
        return code, json.loads(lines[-1]) if lines else None, folder

    return run_in


@pytest.fixture
def tile(tmp_path):
    return write_tile(tmp_path / "tile.tif", plant(surface(120), 60, 40, 7.0, 8))


def test_it_writes_crowns_and_the_surface_of_the_core(tmp_path, tile, stage):
    items = write_items(tmp_path / "items.json")
    code, error, folder = stage("run", tile, "--items", str(items))
    assert (code, error) == (0, None)
    crowns = gpd.read_file(folder / "crowns-b1.gpkg", layer="crowns")
    assert crowns[["tree_id", "height_m", "surface_date"]].to_numpy().tolist() == [
        ["t3720202_57279697", 7.0, "2021-06-01"]
    ]
    assert crowns.crs == "EPSG:25832"
    assert len(gpd.read_file(folder / "crowns-b1.gpkg", layer="structures")) == 0
    with rasterio.open(folder / "ndom-b1.tif") as copy, rasterio.open(tile) as source:
        assert copy.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert np.array_equal(copy.read(1), source.read(1))
    last = json.loads((tmp_path / "run.jsonl").read_text().splitlines()[-1])
    assert last["done"] == last["total"]


@pytest.mark.parametrize(
    ("crs", "cell", "buffer", "title"),
    [
        (None, 0.5, 30, "raster without CRS"),
        ("EPSG:25833", 0.5, 30, "CRS differs"),
        ("EPSG:25832", 2.0, 30, "cell size not supported"),
        ("EPSG:25832", 0.5, 10, "buffer too small"),
    ],
)
def test_data_at_fault_end_with_65_and_one_sentence(tmp_path, stage, crs, cell, buffer, title):
    tile = write_tile(tmp_path / "tile.tif", surface(40), crs, cell)
    code, error, folder = stage("run", tile, buffer=buffer)
    assert (code, error["title"]) == (65, title)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("empty", [-32768, 9999, 3.4e38])
def test_undeclared_nodata_is_no_ground_in_the_published_surface(tmp_path, stage, empty):
    ndom = plant(surface(120), 60, 40, 7.0, 8)
    ndom[:10] = empty
    code, _, folder = stage("empty", write_tile(tmp_path / "tile.tif", ndom))
    assert code == 0
    with rasterio.open(folder / "ndom-b1.tif") as published:
        known = published.read(1, masked=True)
    assert known.mask[:10].all()
    assert not known.mask[10:].any()


def test_heights_in_whole_centimetres_count_as_the_metres_they_mean(tmp_path, stage):
    ndom = plant(surface(120), 60, 40, 7.0, 8)
    with rasterio.open(
        tmp_path / "tile.tif", "w", driver="GTiff", width=120, height=120, count=1, dtype="int16",
        crs="EPSG:25832", transform=from_origin(WEST, NORTH, 0.5, 0.5), nodata=-9999,
    ) as tile:  # fmt: skip
        tile.write(np.rint(ndom * 100).astype(np.int16), 1)
        tile.scales = (0.01,)
    code, _, folder = stage("whole", tmp_path / "tile.tif")
    assert code == 0
    crowns = gpd.read_file(folder / "crowns-b1.gpkg", layer="crowns")
    assert len(crowns) == 1
    assert crowns.height_m.iloc[0] == pytest.approx(7.0, abs=0.6)


def test_an_image_is_no_surface_model(tmp_path, stage):
    with rasterio.open(
        tmp_path / "tile.tif", "w", driver="GTiff", width=120, height=120, count=3, dtype="uint8",
        crs="EPSG:25832", transform=from_origin(WEST, NORTH, 0.5, 0.5),
    ) as tile:  # fmt: skip
        tile.write(np.full((3, 120, 120), 90, dtype=np.uint8))
    code, error, folder = stage("image", tmp_path / "tile.tif")
    assert (code, error["title"]) == (65, "no surface model")
    assert not list(folder.iterdir())


def test_a_truncated_tile_is_named(tile, stage):
    tile.write_bytes(tile.read_bytes()[:20_000])
    code, error, _ = stage("run", tile)
    assert code == 65
    assert "tile.tif" in error["detail"]


def test_cwltool_gives_the_same_bytes_in_a_process_of_its_own(tmp_path, tile, stage):
    items = write_items(tmp_path / "items.json")
    batch = {
        "id": "b1", "core": [372000.0, 5727940.0, 372060.0, 5728000.0], "buffer": 30.0,
        "crs": "EPSG:25832", "ndom": [{"class": "File", "path": str(tile)}], "dop": [], "s2": [],
        "items": {"class": "File", "path": str(items)},
    }  # fmt: skip
    job = tmp_path / "job.yml"
    job.write_text(yaml.safe_dump({"batch": batch}))
    cwltool = Path(sys.executable).with_name("cwltool")
    assert cwltool.exists() or shutil.which("cwltool"), "cwltool is in the extra `dev`"
    command = [
        str(cwltool if cwltool.exists() else "cwltool"), "--no-container", "--quiet",
        "--preserve-environment", "PYTHONPATH", "--outdir", str(tmp_path / "cwl"),
        str(PROCESS), str(job),
    ]  # fmt: skip
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    _, _, folder = stage("run", tile, "--items", str(items))
    for name in ("crowns-b1.gpkg", "ndom-b1.tif"):
        assert (tmp_path / "cwl" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("factor", "offset", "words"),
    [(100, 0, "are above 300 m"), (1, 500, "are above 300 m"), (1, 38, "is below 5 m")],
    ids=["centimetres", "above the sea, in the hills", "above the sea, in the plain"],
)
def test_what_is_no_height_above_ground_is_refused(tmp_path, stage, factor, offset, words):
    ndom = plant(surface(1200), 60, 40, 7.0, 60) * factor + offset
    tile = write_tile(tmp_path / "tile.tif", ndom)
    code, error, folder = stage("run", tile, "--core=372000,5727400,372600,5728000")
    assert (code, error["title"]) == (65, "surface model is not in metres above ground")
    assert "batch b1" in error["detail"]
    assert words in error["detail"]
    assert not list(folder.iterdir())


def test_a_small_piece_of_closed_forest_is_a_surface_model(tmp_path, stage):
    tile = write_tile(tmp_path / "tile.tif", surface(120) + 20)
    code, error, _ = stage("run", tile)
    assert (code, error) == (0, None)
