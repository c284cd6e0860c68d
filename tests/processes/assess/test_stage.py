"""The stage as a whole, on a landscape of which every figure is known."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyogrio
import pytest

from processes.assess.__main__ import parser, run
from processes.stage import run_stage
from tests.processes.assess import scene

OUTPUTS = ("assessed-objects.gpkg", "assessed-trees.gpkg", "assessed-candidates.gpkg")
Assess = Callable[..., Path]


@pytest.fixture(scope="module")
def assess(tmp_path_factory: pytest.TempPathFactory) -> Assess:
    """Run the stage on the landscape, once for each name; the inputs lie in ``<name>-in``."""
    folder = tmp_path_factory.mktemp("assess")

    def call(name: str, options: tuple[str, ...] = (), **scene_options: Any) -> Path:
        out = folder / name
        if not out.exists():
            argv = scene.build(folder / f"{name}-in", **scene_options)
            out.mkdir()
            with contextlib.chdir(out):
                assert run_stage(parser(), run, [*argv, *options]) == 0
        return out

    return call


def objects_of(out: Path) -> Any:
    return pyogrio.read_dataframe(out / OUTPUTS[0], layer="objects").set_index("object_id")


def reasons_of(objects: Any, object_id: str) -> list[str]:
    found: list[str] = json.loads(objects.loc[object_id, "reasons"])
    return found


def test_orchard_with_trees_and_grassland_is_confirmed(assess: Assess) -> None:
    objects = objects_of(assess("whole"))
    across = objects.loc["across"]
    assert across["verdict"] == "confirmed"
    assert reasons_of(objects, "across") == ["trees-enough", "grassland-from-sentinel2"]
    assert across["trees"] == 36
    assert across["trees_per_ha"] == 100.0
    assert across["cover"] == pytest.approx(36 * 19.6 / 3600, abs=0.002)
    assert across["spacing_m"] == 10.0
    assert across["ndvi_p50"] == pytest.approx(0.7)
    assert across["height_p50"] == 8.0
    dates = across[["date_surface", "date_image", "date_sentinel2"]].tolist()
    assert dates == ["2021-06-01", "2023-07-01", "2023-05-05"]
    sources = json.loads(across["sources"])
    assert [entry["supports"] for entry in sources] == ["orchard"] * 3
    assert [entry["campaign"] for entry in sources] == ["flight-1", "flight-2", "sentinel-2"]
    assert json.loads(across["thresholds"])["min_trees"] == 10
    assert json.loads(across["values"])["surface_grid_share"] == 1.0


def test_ploughed_object_without_trees_is_rejected_as_lost(assess: Assess) -> None:
    objects = objects_of(assess("whole"))
    cleared = objects.loc["cleared"]
    assert (cleared["verdict"], cleared["rejected_as"]) == ("rejected", "lost")
    assert cleared["reason_main"] == "arable-signal"
    assert {"trees-none", "no-green-in-image"} <= set(reasons_of(objects, "cleared"))
    assert cleared["trees"] == 0


def test_missing_data_never_mean_no_trees(assess: Assess) -> None:
    objects = objects_of(assess("whole"))
    for object_id, reason in (("outside", "surface-missing"), ("edge", "geometry-outside-data")):
        assert objects.loc[object_id, "verdict"] == "uncertain"
        assert objects.loc[object_id, "reason_main"] == reason
    assert pd.isna(objects.loc["outside", "trees"])
    assert json.loads(objects.loc["edge", "values"])["surface_share"] == 0.5


def test_without_surface_rasters_nothing_is_rejected_or_confirmed_by_trees(
    assess: Assess,
) -> None:
    objects = objects_of(assess("bare", surface=True))
    assert objects["trees"].isna().all()
    assert "surface-missing" in reasons_of(objects, "cleared")
    assert objects.loc["across", "verdict"] == "uncertain"


def test_few_trees_stay_uncertain(assess: Assess) -> None:
    few = objects_of(assess("whole")).loc["few"]
    assert (few["verdict"], few["reason_main"], few["trees"]) == ("uncertain", "trees-few", 5)
    assert json.loads(few["values"])["surface_structure_share"] == pytest.approx(0.04)


def test_without_sentinel2_the_image_shows_the_grassland(assess: Assess) -> None:
    objects = objects_of(assess("no-s2", sentinel2=True))
    assert objects.loc["across", "verdict"] == "confirmed"
    found = reasons_of(objects, "across")
    assert found[:2] == ["trees-enough", "grassland-from-image"]
    assert "sentinel2-missing" in found


def test_trees_carry_their_object_and_ndvi(assess: Assess) -> None:
    trees = pyogrio.read_dataframe(assess("whole") / OUTPUTS[1], layer="trees")
    assert len(trees) == sum(len(places) for places in scene.TREES.values())
    assert trees["tree_id"].is_unique
    assert trees["object_id"].value_counts().to_dict() == {"across": 36, "few": 5}
    inside = trees[trees["object_id"] == "across"]
    assert inside["ndvi"].tolist() == pytest.approx([(140 - 40) / 180] * 36, abs=0.01)
    assert trees["is_tree"].eq(1).all()


def test_crowns_are_looked_up_in_the_image_where_the_shift_puts_them(assess: Assess) -> None:
    out = assess("shifted", shift=2.0)
    trees = pyogrio.read_dataframe(out / OUTPUTS[1], layer="trees")
    inside = trees[trees["object_id"] == "across"]
    assert inside["ndvi"].tolist() == pytest.approx([(140 - 40) / 180] * 36, abs=0.01)
    assert "registration-shift" in reasons_of(objects_of(out), "across")


def test_grey_crowns_in_summer_are_no_trees(assess: Assess) -> None:
    out = assess("strict", ("--min-crown-ndvi", "0.9"))
    assert objects_of(out).loc["across", "trees"] == 0
    trees = pyogrio.read_dataframe(out / OUTPUTS[1], layer="trees")
    assert trees.loc[trees["object_id"] == "across", "is_tree"].eq(0).all()
    assert trees.loc[trees["ndvi"].isna(), "is_tree"].eq(1).all()


def test_orchard_that_the_inventory_lacks_is_a_candidate_and_the_wood_is_not(
    assess: Assess,
) -> None:
    candidates = pyogrio.read_dataframe(assess("whole") / OUTPUTS[2], layer="candidates")
    assert len(candidates) == 1
    found = candidates.iloc[0]
    assert found["candidate_id"] == f"c{scene.EAST + 64:.0f}_{scene.NORTH + 324:.0f}"
    assert found["trees"] == 25
    assert found["ndvi_p50"] == pytest.approx(0.7)
    assert json.loads(found["reasons"]) == ["trees-enough", "grassland-from-sentinel2"]
    objects = [scene.at(polygon) for polygon, _, _ in scene.OBJECTS.values()]
    assert not any(found.geometry.intersects(polygon) for polygon in objects)


@pytest.mark.parametrize("cuts", [(0.0, 200.0, 400.0), (0.0, 120.0, 280.0, 400.0)])
def test_result_does_not_depend_on_the_cut_into_batches(
    assess: Assess, cuts: tuple[float, ...]
) -> None:
    whole, cut = assess("whole"), assess(f"cut-in-{len(cuts) - 1}", cuts=cuts)
    for name in OUTPUTS:
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), name


def test_human_decision_is_shown_and_changes_nothing(assess: Assess, tmp_path: Path) -> None:
    decisions = tmp_path / "decisions.csv"
    decisions.write_text(
        "object_id;verdict_human;decided\n"
        "cleared;confirmed;2022-01-01\ncleared;uncertain;2024-01-01\nelsewhere;rejected;2024-01-01\n"
    )
    cleared = objects_of(assess("decided", ("--decisions", str(decisions)))).loc["cleared"]
    assert cleared["verdict"] == "rejected"
    assert (cleared["verdict_human"], cleared["decided"]) == ("uncertain", "2024-01-01")


def test_folder_without_crowns_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = scene.build(tmp_path)
    for path in tmp_path.glob("crowns-*"):
        path.unlink()
    monkeypatch.chdir(tmp_path)
    assert run_stage(parser(), run, argv) == 65
    assert "crowns-<batch>.gpkg" in json.loads(capsys.readouterr().err)["detail"]
    assert not any((tmp_path / name).exists() for name in OUTPUTS)


def test_same_process_under_cwltool_gives_equal_files(assess: Assess, tmp_path: Path) -> None:
    ours = assess("cut-in-2", cuts=(0.0, 200.0, 400.0))
    folder = ours.with_name("cut-in-2-in")
    kinds = {"crowns": "crowns", "surface": "ndom", "sentinel2": "sentinel2", "image": "image",
             "prepared": "prepared"}  # fmt: skip
    job: dict[str, Any] = {
        name: [_file(path) for path in sorted(folder.glob(f"{stem}-*"))]
        for name, stem in kinds.items()
    }
    job |= {"inventory": _file(folder / "objects.gpkg"), "area": _file(folder / "area.geojson")}
    job |= {"items": _file(folder / "items.json"), "period": scene.PERIOD}
    (tmp_path / "job.json").write_text(json.dumps(job))
    process = Path(__file__).parents[3] / "processes" / "assess" / "process.cwl"
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        [bin_folder / "cwltool", "--no-container", "--outdir", tmp_path / "theirs", process,
         tmp_path / "job.json"],
        capture_output=True, text=True, env={"PATH": f"{bin_folder}:/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    for name in OUTPUTS:
        assert (tmp_path / "theirs" / name).read_bytes() == (ours / name).read_bytes(), name


def _file(path: Path) -> dict[str, str]:
    return {"class": "File", "location": path.as_uri()}
