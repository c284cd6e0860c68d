"""The test bench `landscape`: its files agree with each other and with the truth."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.windows import from_bounds
from shapely.geometry import box, shape

SCRIPT = Path(__file__).parents[2] / "samples" / "landscape.py"
# 250 m round the corner of four tiles, so that trees stand on tile borders.
SMALL = ("--size", "0.25", "--origin", "340.875,5720.875", "--jobs", "1", "--seed", "3")
AREA = (340875.0, 5720875.0, 341125.0, 5721125.0)


def landscape(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(folder), *SMALL, *options],
        check=False, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "landscape"
    done = landscape(folder)
    assert done.returncode == 0, done.stderr
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def surface_at(bench: Path, x: float, y: float, reach: float) -> np.ndarray:
    """Heights of the nDOM within `reach` metres of a place, over all tiles."""
    found = []
    for path in sorted((bench / "ndom").glob("*.tif")):
        with rasterio.open(path) as source:
            near = box(x - reach, y - reach, x + reach, y + reach).intersection(box(*source.bounds))
            if near.area > 0.5:
                window = from_bounds(*near.bounds, source.transform)
                found.append(source.read(1, window=window).ravel())
    return np.concatenate(found)


def test_tiles_carry_the_names_of_the_state_and_lie_where_the_names_say(bench: Path) -> None:
    names = sorted(path.name for path in (bench / "ndom").glob("*.tif"))
    assert names == [
        f"ndom50_32_{east}_{north}_1_nw_2022.tif" for east in (340, 341) for north in (5720, 5721)
    ]
    with rasterio.open(bench / "ndom" / "ndom50_32_341_5720_1_nw_2022.tif") as south_east:
        assert south_east.crs.to_epsg() == 25832
        assert south_east.bounds == (341000, 5720875, 341125, 5721000)
        assert (south_east.width, south_east.height) == (250, 250)
        assert (south_east.dtypes, south_east.compression) == (("float32",), None)
    with rasterio.open(bench / "dop" / "dop10rgbi_32_341_5720_1_nw_2023.jp2") as image:
        assert image.bounds == (341000, 5720875, 341125, 5721000)
        assert (image.driver, image.crs.to_epsg()) == ("JP2OpenJPEG", 25832)
        assert (image.count, image.dtypes[0], image.res) == (4, "uint8", (0.5, 0.5))


def test_another_seed_lays_out_another_landscape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from landscape_parts.frame import Frame
    from landscape_parts.world import build_world

    first, again, other = (
        build_world(Frame(seed, 500.0, (340000.0, 5720000.0)), 0.065).trees for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert len(first) != len(other)


def test_equal_seeds_give_equal_bytes(bench: Path, tmp_path: Path) -> None:
    assert landscape(tmp_path / "again").returncode == 0
    assert digests(tmp_path / "again") == digests(bench)


def test_a_finished_bench_is_not_made_again(bench: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in bench.rglob("*")}
    done = landscape(bench)
    assert "up to date" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in bench.rglob("*")} == before


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    done = landscape(tmp_path)
    assert done.returncode == 2
    assert "holds other files" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "ten years of work"


def test_the_surface_is_high_where_the_truth_has_trees_and_low_between(bench: Path) -> None:
    trees = pyogrio.read_dataframe(bench / "truth" / "trees.gpkg")
    assert (trees.within(box(*AREA))).all()
    crowns = trees[(trees.kind == "fruit") & (trees.crown_m > 5) & (trees.at_surface == 1)]
    assert len(crowns) > 10
    for tree in crowns.itertuples():
        top = surface_at(bench, tree.geometry.x, tree.geometry.y, 1.5).max()
        assert 0.6 * tree.height_m < top < 1.2 * tree.height_m + 1 or _taller_beside(trees, tree)
    orchard = trees[trees.object_no == 0].union_all().convex_hull
    between = orchard.difference(trees.buffer(trees.crown_m / 2 + 2.5).union_all())
    place = between.representative_point()
    assert orchard.contains(place)
    assert surface_at(bench, place.x, place.y, 1).max() < 1.5


def _taller_beside(trees, tree) -> bool:  # type: ignore[no-untyped-def]
    near = trees[trees.distance(tree.geometry) < 0.6 * trees.crown_m + 2]
    return bool(near.height_m.max() > tree.height_m)


def test_crowns_go_on_across_the_border_of_two_tiles(bench: Path) -> None:
    with rasterio.open(bench / "ndom" / "ndom50_32_340_5721_1_nw_2022.tif") as west:
        left = west.read(1)[:, -1]
    with rasterio.open(bench / "ndom" / "ndom50_32_341_5721_1_nw_2022.tif") as east:
        right = east.read(1)[:, 0]
    assert left.max() > 3
    assert np.corrcoef(left, right)[0, 1] > 0.9


def test_leaves_are_brighter_in_the_infrared_than_in_red_and_roofs_are_not(bench: Path) -> None:
    trees = pyogrio.read_dataframe(bench / "truth" / "trees.gpkg")
    large = trees[(trees.crown_m > 6) & (trees.at_image == 1)].geometry
    greenness = []
    for path in sorted((bench / "dop").glob("*.jp2")):
        with rasterio.open(path) as image:
            inside = [(p.x, p.y) for p in large if box(*image.bounds).contains(p)]
            for red, _, _, infrared in image.sample(inside):
                greenness.append((float(infrared) - red) / (float(infrared) + red))
    assert len(greenness) > 20
    assert 0.1 < np.median(greenness) < 0.5


def test_the_inventory_holds_its_objects_only_and_lies_near_the_truth(bench: Path) -> None:
    truth = pyogrio.read_dataframe(bench / "truth" / "objects.gpkg")
    inventory = json.loads((bench / "inventory.geojson").read_text())
    assert inventory["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::25832"
    assert "TEST BENCH" in inventory["name"]
    rows = {row["properties"]["object_id"]: row for row in inventory["features"]}
    assert set(rows) == set(truth[truth.in_inventory == 1].object_id)
    assert "candidate-orchard" in set(truth[truth.in_inventory == 0].kind)
    for planned in truth[truth.in_inventory == 1].itertuples():
        drawn = shape(rows[planned.object_id]["geometry"])
        assert drawn.is_valid
        shared = drawn.intersection(planned.geometry).area
        assert 0.75 < shared / drawn.union(planned.geometry).area < 1


def test_cleared_orchards_have_no_trees_left_and_standing_ones_have(bench: Path) -> None:
    truth = pyogrio.read_dataframe(bench / "truth" / "objects.gpkg")
    cleared = truth[truth.kind == "cleared-to-meadow"]
    standing = truth[truth.kind == "orchard-old"]
    assert len(cleared)
    assert len(standing)
    assert (cleared.trees_at_surface == 0).all()
    assert set(cleared.expected) == {"rejected"}
    assert (standing.trees_at_image > 8).all()
    assert set(standing.expected) == {"confirmed"}


def items(bench: Path) -> list[dict]:  # type: ignore[type-arg]
    return list(json.loads((bench / "sentinel2" / "items.json").read_text())["features"])


def read(bench: Path, item: dict, key: str) -> np.ndarray:  # type: ignore[type-arg]
    with rasterio.open(bench / "sentinel2" / item["assets"][key]["href"]) as source:
        assert source.crs.to_epsg() == 32632
        assert source.res == ((20, 20) if key in ("scl", "swir16") else (10, 10))
        values: np.ndarray = source.read(1)
        return values


def reflectance(bench: Path, item: dict, key: str) -> np.ndarray:  # type: ignore[type-arg]
    offset = 0 if item["properties"]["earthsearch:boa_offset_applied"] else 1000
    return (read(bench, item, key).astype(float) - offset) / 10000


def test_the_sentinel_year_has_24_dates_and_one_of_them_twice(bench: Path) -> None:
    found = items(bench)
    assert len(found) == 25
    assert len({item["properties"]["s2:datatake_id"][:20] for item in found}) == 24
    assert {item["properties"]["datetime"][:4] for item in found} == {"2024"}
    applied = [item["properties"]["earthsearch:boa_offset_applied"] for item in found]
    assert applied.count(False) > 5
    assert applied.count(True) > 5


def test_offsets_that_were_not_applied_are_really_in_the_numbers(bench: Path) -> None:
    clear = [item for item in items(bench) if item["properties"]["eo:cloud_cover"] == 0]
    darkest = {
        flag: min(
            int(values[values > 0].min())
            for item in clear
            if item["properties"]["earthsearch:boa_offset_applied"] is flag
            for values in [read(bench, item, "red")]
        )
        for flag in (True, False)
    }
    assert darkest[True] < 900
    assert darkest[False] > 1000


def test_clouds_and_shadows_of_the_image_stand_in_the_classification(bench: Path) -> None:
    seen = 0
    for item in items(bench):
        scl = np.kron(read(bench, item, "scl"), np.ones((2, 2), int))
        blue, infrared = reflectance(bench, item, "blue"), reflectance(bench, item, "nir")
        assert ((scl == 0) == (read(bench, item, "blue") == 0)).all()
        cloud, ground, shadow = scl == 9, np.isin(scl, (4, 5)), scl == 3
        cover = np.isin(read(bench, item, "scl"), (8, 9, 10)).mean() * 100
        assert item["properties"]["eo:cloud_cover"] == pytest.approx(cover, abs=0.01)
        if cloud.sum() > 50 and ground.sum() > 50 and shadow.sum() > 50:
            seen += 1
            assert np.median(blue[cloud]) > 3 * np.median(blue[ground])
            assert np.median(infrared[shadow]) < 0.8 * np.median(infrared[ground])
    assert seen > 2


def test_some_land_is_far_greener_in_summer_than_in_winter_and_some_is_not(bench: Path) -> None:
    def greenness(months: tuple[int, ...]) -> np.ndarray:
        item = next(
            item
            for item in items(bench)
            if item["properties"]["eo:cloud_cover"] == 0
            and int(item["properties"]["datetime"][5:7]) in months
        )
        red, infrared = reflectance(bench, item, "red"), reflectance(bench, item, "nir")
        values: np.ndarray = (infrared - red) / (infrared + red)
        return values

    gain = greenness((5, 6, 7, 8)) - greenness((2, 3, 11, 12))
    assert np.quantile(gain, 0.95) > 0.2
    assert np.quantile(gain, 0.05) < 0.1


def test_the_request_names_area_year_inventory_and_sources_and_says_what_it_is(
    bench: Path,
) -> None:
    job = json.loads((bench / "job.json").read_text())
    assert "TEST BENCH" in job["x-title"]
    inputs = job["inputs"]
    assert inputs["bbox"] == {
        "bbox": list(AREA), "crs": "http://www.opengis.net/def/crs/EPSG/0/25832"
    }  # fmt: skip
    assert inputs["period"] == "2024-01-01/2024-12-31"
    assert inputs["sources"] == ["landscape-ndom", "landscape-dop", "landscape-sentinel2"]
    assert inputs["dataset"] == "demo-landscape"
    assert inputs["inventory"]["value"] == json.loads((bench / "inventory.geojson").read_text())
    (district,) = json.loads((bench / "districts.geojson").read_text())["features"]
    assert district["properties"]["AGS"] == "05999"
    assert shape(district["geometry"]).equals(box(*AREA))


def test_flight_dates_are_told_file_by_file(bench: Path) -> None:
    dates = json.loads((bench / "dates.json").read_text())
    assert dates["files"]["ndom50_32_340_5720_1_nw_2022"] == "2022-07-20"
    table = (bench / "dop" / "dop_meta.csv").read_text().splitlines()
    assert table[0] == "Kachelname;Aktualitaet"
    assert "dop10rgbi_32_340_5720_1_nw_2023;2023-06-14" in table


def test_the_bench_shares_nothing_with_the_stages() -> None:
    for script in [SCRIPT, *SCRIPT.with_name("landscape_parts").glob("*.py")]:
        text = script.read_text()
        assert "import processes" not in text
        assert "from processes" not in text
