"""The program as engines see it: command line, exit codes, progress, equal bytes, CWL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.processes.preprocess.scenery import (
    UTM32,
    photo_item,
    write_items,
    write_objects,
    write_raster,
    write_scene,
)

CWL = Path(__file__).parents[3] / "processes" / "preprocess" / "process.cwl"
LEFT, TOP = 300_000.0, 5_700_100.0
OBJECT = (LEFT + 30, TOP - 70, LEFT + 70, TOP - 30)
CORE = [LEFT, TOP - 100, LEFT + 100, TOP]


@pytest.fixture
def batch(tmp_path: Path) -> dict[str, Any]:
    """CWL inputs: 100 x 100 m, two dates, an orthophoto, a nDOM and one object."""
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(2)
    place = {"left": LEFT, "top": TOP, "cell": 10.0}
    scenes = [
        write_scene(
            folder,
            f"s{day}",
            day,
            {
                "B04": random.integers(500, 1500, (10, 10)).astype(np.uint16),
                "B08": random.integers(2000, 4000, (10, 10)).astype(np.uint16),
                "SCL": np.full((10, 10), 4, np.uint8),
            },
            **place,
        )
        for day in ("2023-04-10", "2023-07-10")
    ]
    pixels = random.integers(1, 255, (4, 200, 200)).astype(np.uint8)
    dop = write_raster(folder / "dop.tif", pixels, left=LEFT, top=TOP, cell=0.5)
    heights = np.zeros((200, 200), np.float32)
    heights[80:120, 80:120] = 5
    ndom = write_raster(folder / "ndom.tif", heights, left=LEFT, top=TOP, cell=0.5)
    items = [item for _, item in scenes] + [photo_item(dop)]

    def files(paths: list[Path]) -> list[dict[str, str]]:
        return [{"class": "File", "path": str(path)} for path in paths]

    return {
        "batch": {
            "id": "b1_2",
            "core": CORE,
            "buffer": 30.0,
            "crs": UTM32,
            "ndom": files([ndom]),
            "dop": files([dop]),
            "s2": files([path for paths, _ in scenes for path in paths]),
            "items": files([write_items(folder / "items.json", items)])[0],
        },
        "objects": files([write_objects(folder / "objects.gpkg", {"o": OBJECT})])[0],
        "period": "2023-01-01/2023-12-31",
    }


def command(inputs: dict[str, Any]) -> list[str]:
    batch = inputs["batch"]
    argv = [sys.executable, "-m", "processes.preprocess", f"--batch-id={batch['id']}"]
    argv += ["--core=" + ",".join(str(value) for value in batch["core"]), f"--crs={batch['crs']}"]
    for name in ("ndom", "dop", "s2"):
        for file in batch[name]:
            argv += [f"--{name}", file["path"]]
    argv += ["--items", batch["items"]["path"], "--objects", inputs["objects"]["path"]]
    return [*argv, "--period", inputs["period"]]


def run(inputs: dict[str, Any], folder: Path, **environment: str) -> Any:
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        command(inputs),
        cwd=folder,
        env={**os.environ, "PYTHONSAFEPATH": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_two_runs_and_cwltool_give_equal_bytes(batch: dict[str, Any], tmp_path: Path) -> None:
    first = run(batch, tmp_path / "first")
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    expected = contents(tmp_path / "first")
    assert sorted(expected) == ["image-b1_2.tif", "prepared-b1_2.json", "sentinel2-b1_2.tif"]
    assert str(tmp_path).encode() not in b"".join(expected.values())
    run(batch, tmp_path / "second", GDAL_CACHEMAX="16")
    assert contents(tmp_path / "second") == expected
    job = tmp_path / "job.json"
    job.write_text(json.dumps(batch))
    cwltool = Path(sys.executable).with_name("cwltool")
    done = subprocess.run(
        [cwltool, "--no-container", "--quiet", "--outdir", tmp_path / "cwl", CWL, job],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{cwltool.parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "cwl") == expected
    outputs = json.loads(done.stdout)
    assert {key: value["basename"] for key, value in outputs.items()} == {
        "image": "image-b1_2.tif",
        "prepared": "prepared-b1_2.json",
        "sentinel2": "sentinel2-b1_2.tif",
    }


def test_progress_counts_dates_and_objects_to_the_end(
    batch: dict[str, Any], tmp_path: Path
) -> None:
    lines = tmp_path / "progress.jsonl"
    run(batch, tmp_path / "out", CDI_PROGRESS=str(lines))
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    done = [line["done"] for line in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 3)
    assert {(line["total"], line["unit"]) for line in told} == {(3, "dates and objects")}


def test_a_truncated_scene_ends_with_65_names_the_file_and_leaves_nothing(
    batch: dict[str, Any], tmp_path: Path
) -> None:
    path = Path(batch["batch"]["s2"][0]["path"])
    path.write_bytes(path.read_bytes()[:-120])
    done = run(batch, tmp_path / "out")
    assert done.returncode == 65
    error = json.loads(done.stderr)
    assert path.name in error["detail"]
    assert contents(tmp_path / "out") == {}


def test_items_that_are_no_collection_end_with_65(batch: dict[str, Any], tmp_path: Path) -> None:
    Path(batch["batch"]["items"]["path"]).write_text('{"features": [{"id": 1}]}')
    done = run(batch, tmp_path / "out")
    assert done.returncode == 65
    assert "STAC FeatureCollection" in json.loads(done.stderr)["detail"]


def test_a_wrong_month_is_refused_by_the_command_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "processes.preprocess", "--spring-months", "3,13"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "months are 1 to 12" in done.stderr
