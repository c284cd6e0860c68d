"""A release holds what was assessed, says what it holds, and is the same each time."""

import hashlib
import json
import sqlite3
import subprocess
import sys

import geopandas as gpd
import pytest
import shapely

from processes.stage import InputDataError
from tests.processes.publish.conftest import EAST, WEST


def test_a_release_holds_layers_rasters_manifest_and_reports(make_run, release_of):
    release = release_of(make_run())
    assert sorted(path.name for path in release.iterdir()) == [
        "SHA256SUMS", "candidates.gpkg", "manifest.json", "ndom-b350.tif", "objects.gpkg",
        "report.html", "summary.json", "trees.gpkg",
    ]  # fmt: skip
    assert (release / "report.html").read_bytes() == (release.parent / "report.html").read_bytes()
    assert (release / "summary.json").read_bytes() == (release.parent / "summary.json").read_bytes()


def test_the_manifest_says_what_the_release_holds(make_run, release_of):
    manifest = json.loads((release_of(make_run()) / "manifest.json").read_text())
    objects = manifest["collections"]["objects"]
    assert (objects["file"], objects["layer"], objects["id_field"], objects["count"]) == (
        "objects.gpkg", "objects", "object_id", 3,
    )  # fmt: skip
    assert objects["bbox"] == [350010, 5700010, 350180, 5700060]
    left, bottom, right, top = objects["bbox_crs84"]
    assert 6.8 < left < right < 6.9
    assert 51.4 < bottom < top < 51.5
    assert objects["fields"]["area_m2"] == {"type": "number", "unit": "m2"}
    assert objects["fields"]["reasons"] == {"type": "array"}
    assert objects["fields"]["verdict"]["enum"] == ["confirmed", "rejected", "uncertain"]
    ndom = manifest["collections"]["ndom"]
    assert [(entry["release"], entry["file"]) for entry in ndom["rasters"]] == [
        (None, "ndom-b350.tif")
    ]
    assert ndom["bands"] == [{"name": "ndom", "unit": "m", "dtype": "float32"}]
    assert ndom["nodata"] == -9999
    assert all(check["ok"] for check in manifest["checks"])
    assert {check["check"] for check in manifest["checks"]} == {
        "schema", "crs", "geometry", "unique-ids", "references", "verdicts", "verdict-shares",
        "rasters", "counts",
    }  # fmt: skip


def test_equal_inputs_give_equal_bytes(make_run, release_of):
    first = release_of(make_run("first", stray=[(350900.0, 5700900.0)]))
    second = release_of(make_run("second", stray=[(350900.0, 5700900.0)]))
    for path in sorted(first.iterdir()):
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_checksums_cover_every_other_file(make_run, release_of):
    release = release_of(make_run())
    lines = (release / "SHA256SUMS").read_text().splitlines()
    named = {line[66:]: line[:64] for line in lines}
    assert set(named) == {path.name for path in release.iterdir()} - {"SHA256SUMS"}
    for name, digest in named.items():
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == digest


def test_column_types_survive_empty_values_and_ids_are_unique_by_index(make_run, release_of):
    made = make_run()
    made.objects["inventory_trees"] = [None, None, None]
    made.objects["inventory_date"] = [None, "2019-05-01", None]
    release = release_of(made)
    with sqlite3.connect(release / "objects.gpkg") as connection:
        kinds = {row[1]: row[2] for row in connection.execute("PRAGMA table_info(objects)")}
        unique = [row[1] for row in connection.execute("PRAGMA index_list(objects)") if row[2]]
    connection.close()
    assert kinds["inventory_trees"] == "INTEGER"
    assert kinds["object_id"] == kinds["inventory_date"] == "TEXT"
    assert unique == ["objects_object_id"]


def test_a_run_without_any_object_still_gives_a_release(make_run, release_of):
    made = make_run()
    made.objects = made.objects.iloc[:0]
    made.trees = made.trees.iloc[:0]
    made.candidates = made.candidates.iloc[:0]
    made.objects.attrs["geometry_type"] = "MultiPolygon"
    made.trees.attrs["geometry_type"] = "Polygon"
    made.candidates.attrs["geometry_type"] = "MultiPolygon"
    release = release_of(made)
    manifest = json.loads((release / "manifest.json").read_text())
    assert manifest["collections"]["objects"]["count"] == 0
    assert manifest["collections"]["objects"]["bbox"] is None
    summary = json.loads((release / "summary.json").read_text())
    assert summary["objects"]["shares"]["confirmed"] == {"share": None, "low": 0.0, "high": 1.0}


def test_objects_outside_the_area_are_carried_over_unchanged(make_run, release_of):
    west = release_of(make_run("west", WEST, ("confirmed", "rejected"), prefix="w"), "000001")
    made = make_run("east", EAST, ("uncertain",), prefix="e")
    made.items[0]["id"] = "ndom_2"
    both = release_of(made, "000002", previous=west)
    before = gpd.read_file(west / "objects.gpkg")
    after = gpd.read_file(both / "objects.gpkg").set_index("object_id")
    assert sorted(after.index) == ["e0", "w0", "w1"]
    assert after.verdict["w1"] == "rejected"
    assert shapely.equals_exact(after.geometry["w1"], before.geometry[1])
    assert after.provenance["w0"] == before.provenance[0]
    assert after.provenance["e0"] != before.provenance[0]
    trees = gpd.read_file(both / "trees.gpkg")
    assert sorted(trees.object_id) == ["e0", "e0", "w0", "w0", "w1", "w1"]
    manifest = json.loads((both / "manifest.json").read_text())
    assert manifest["previous"] == "000001"
    assert manifest["carried"] == {"objects": 2, "trees": 4, "candidates": 1}
    assert shapely.from_geojson(json.dumps(manifest["area"])).area == 2_000_000
    assert [(r["release"], r["file"]) for r in manifest["collections"]["ndom"]["rasters"]] == [
        (None, "ndom-b351.tif"),
        ("000001", "ndom-b350.tif"),
    ]
    assert not (both / "ndom-b350.tif").exists()
    assert {entry["release"] for entry in manifest["inputs"]} == {None, "000001"}


def test_a_raster_named_by_the_release_before_keeps_the_release_that_holds_it(make_run, release_of):
    first = release_of(make_run("a", WEST, prefix="w"), "000001")
    second = release_of(make_run("b", EAST, prefix="e"), "000002", previous=first)
    third = release_of(make_run("c", EAST, prefix="e"), "000003", previous=second)
    manifest = json.loads((third / "manifest.json").read_text())
    assert [(r["release"], r["file"]) for r in manifest["collections"]["ndom"]["rasters"]] == [
        (None, "ndom-b351.tif"),
        ("000001", "ndom-b350.tif"),
    ]


def test_a_second_run_replaces_the_objects_at_home_in_its_area(make_run, release_of):
    first = release_of(make_run("a", verdicts=("confirmed", "confirmed")), "000001")
    second = release_of(make_run("b", verdicts=("uncertain",)), "000002", previous=first)
    after = gpd.read_file(second / "objects.gpkg")
    assert list(zip(after.object_id, after.verdict, strict=True)) == [("o0", "uncertain")]
    assert len(gpd.read_file(second / "trees.gpkg")) == 2


def test_an_id_that_means_another_object_elsewhere_is_refused(make_run, release_of):
    first = release_of(make_run("west", WEST), "000001")
    with pytest.raises(InputDataError, match="o0, o1, o2: in the release before"):
        release_of(make_run("east", EAST), previous=first)


def test_trees_of_an_object_across_the_border_are_neither_lost_nor_doubled(make_run, release_of):
    beyond = (351002.0, 5700500.0)
    west = make_run("west", WEST, ("confirmed",), prefix="w", stray=[beyond])
    west.trees.loc[west.trees.index[-1], "object_id"] = "w0"  # its object crosses the border
    first = release_of(west, "000001")
    east = make_run("east", EAST, ("confirmed",), prefix="e", stray=[beyond])
    second = release_of(east, "000002", previous=first)
    trees = gpd.read_file(second / "trees.gpkg")
    assert trees.tree_id.is_unique
    assert list(trees[trees.tree_id == "t3510020_57005000"].object_id) == ["w0"]


def test_trees_without_object_outside_the_area_are_left_to_the_run_over_there(make_run, release_of):
    release = release_of(make_run(stray=[(352500.0, 5700500.0), (350500.0, 5700500.0)]))
    trees = gpd.read_file(release / "trees.gpkg")
    assert trees.object_id.isna().sum() == 1


def test_a_previous_release_of_another_dataset_is_refused(make_run, release_of):
    first = release_of(make_run("a"), "000001")
    manifest = json.loads((first / "manifest.json").read_text())
    (first / "manifest.json").write_text(json.dumps(manifest | {"dataset": "vineyards"}))
    with pytest.raises(Exception, match=r"dataset is 'vineyards', expected 'orchards'"):
        release_of(make_run("b"), previous=first)


def test_the_program_ends_with_65_and_one_line_when_a_check_fails(make_run):
    made = make_run()
    made.objects["object_id"] = ["same"] * 3
    made.trees["object_id"] = "same"
    made.write()
    done = subprocess.run(
        [sys.executable, "-m", "processes.publish", *made.arguments()],
        cwd=made.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 65
    error = json.loads(done.stderr)
    assert error["title"] == "release refused, check failed: unique-ids"
    assert "same" in error["detail"]
    assert not (made.folder / "release").exists()
