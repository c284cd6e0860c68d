"""Each check refuses what it is there for, and names it."""

import pytest
import shapely

from processes.publish.checks import Checks, Faults, check_geometry
from processes.publish.layers import CANDIDATES
from processes.stage import InputDataError
from tests.processes.publish.conftest import WEST, candidates


def test_a_missing_column_is_refused(make_run, release_of):
    made = make_run()
    made.objects = made.objects.drop(columns="reason_main")
    with pytest.raises(InputDataError, match="schema: layer objects lacks column reason_main"):
        release_of(made)


def test_another_crs_is_refused(make_run, release_of):
    made = make_run()
    made.trees = made.trees.to_crs("EPSG:3035")
    with pytest.raises(InputDataError, match="crs: layer trees has EPSG:3035, expected EPSG:25832"):
        release_of(made)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), id="bow tie"),
        pytest.param(shapely.Polygon(), id="empty"),
        pytest.param(shapely.Point(0, 0), id="point"),
        pytest.param(None, id="missing"),
    ],
)
def test_a_geometry_that_is_no_valid_polygon_is_refused(shape):
    frame = candidates(WEST)
    frame["geometry"] = [shape]
    checks, faults = Checks(), Faults()
    faults.add(CANDIDATES, frame)
    check_geometry(checks, {CANDIDATES: faults})
    with pytest.raises(InputDataError, match="geometry: layer candidates: 1 not a valid polygon"):
        checks.require()


def test_an_invalid_object_stops_the_release(make_run, release_of):
    made = make_run()
    made.objects.loc[0, "geometry"] = shapely.Polygon(
        [(350000, 5700000), (350050, 5700050), (350050, 5700000), (350000, 5700050)]
    )
    with pytest.raises(InputDataError, match=r"geometry: layer objects: 1 .* \(o0\)"):
        release_of(made)


def test_ids_that_are_missing_are_refused(make_run, release_of):
    made = make_run()
    made.trees.loc[0, "tree_id"] = None
    with pytest.raises(InputDataError, match="unique-ids: layer trees: 1 features without id"):
        release_of(made)


def test_a_tree_of_an_object_that_is_not_there_is_refused(make_run, release_of):
    made = make_run()
    made.trees.loc[0, "object_id"] = "nowhere"
    with pytest.raises(InputDataError, match=r"references: 1 objects .* \(nowhere\)"):
        release_of(made)


def test_an_unknown_verdict_is_refused(make_run, release_of):
    with pytest.raises(InputDataError, match="verdicts: unknown: perhaps"):
        release_of(make_run(verdicts=("confirmed", "perhaps")))


def test_a_leap_of_the_verdicts_is_refused_and_the_old_release_stays(make_run, release_of):
    first = release_of(make_run("a", verdicts=["confirmed"] * 4), "000001")
    held = {path.name: path.read_bytes() for path in first.iterdir()}
    with pytest.raises(InputDataError, match=r"confirmed 100.0% before, 50.0% now.*max_verdict"):
        release_of(make_run("b", verdicts=["confirmed"] * 2 + ["uncertain"] * 2), previous=first)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == held


def test_the_same_leap_passes_with_a_wider_threshold(make_run, release_of):
    first = release_of(make_run("a", verdicts=["confirmed"] * 4), "000001")
    made = make_run("b", verdicts=["confirmed"] * 2 + ["uncertain"] * 2)
    made.options += ["--max-verdict-change", "0.5"]
    assert release_of(made, previous=first).is_dir()


def test_few_objects_are_not_compared(make_run, release_of):
    first = release_of(make_run("a", verdicts=["confirmed"] * 3), "000001")
    assert release_of(make_run("b", verdicts=["uncertain"] * 3), previous=first).is_dir()


def test_a_truncated_raster_is_refused(make_run, monkeypatch):
    made = make_run()
    made.write()
    path = made.folder / "ndom-b350.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputDataError, match=r"ndom-b350.tif"):
        made.publish(monkeypatch)
    assert not (made.folder / "release").exists()


def test_a_raster_in_another_crs_is_refused(make_run, release_of):
    made = make_run()
    made.raster_crs = "EPSG:25833"
    with pytest.raises(InputDataError, match=r"ndom-b350\.tif has EPSG:25833, expected EPSG:25832"):
        release_of(made)


def test_a_raster_off_the_grid_of_the_others_is_refused(make_run, monkeypatch):
    made = make_run()
    made.write()
    other = make_run("other", bounds=(350003, 5700000, 351003, 5701000))
    other.write()
    (other.folder / "ndom-b350.tif").rename(made.folder / "ndom-b999.tif")
    with pytest.raises(InputDataError, match=r"rasters: ndom-b999\.tif .*not on the grid"):
        made.publish(monkeypatch)
