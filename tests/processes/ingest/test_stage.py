"""The stage on folders, as its command line runs it: what it gives, what it says about faults."""

import json
import shutil

import geopandas as gpd
import pytest

from processes.stage import EXIT_DONE, EXIT_INPUT_DATA
from tests.processes.ingest.scenery import DATA, NDOM, ingest, inventory, ndom, read, sources, tile

DOP = NDOM.replace("ndom50", "dop10rgbi")
# Two tiles side by side and what lies on them: an object in each, one that reaches over the edge.
OBJECTS = {"west": (342_100, 5_700_100, 50), "east": (343_100, 5_700_100, 50)}
OUTPUTS = ("items.json", "objects.gpkg", "area.geojson", "missing.json", "items-b342_5700.json")


@pytest.fixture
def state(tmp_path):
    """Two nDOM tiles, one image tile, an inventory and the source file."""
    for east in (342, 343):
        ndom(tmp_path / "ndom", east, 5700)
    name = "dop10rgbi_32_342_5700_1_nw_2023.tif"
    tile(tmp_path / "dop" / name, 342_000, 5_700_000, dtype="uint8", nodata=0)
    table = "Metadaten der DOP\nLand;NRW\nKachelname;Erfassungsmethode;Aktualitaet\n"
    (tmp_path / "dop" / "meta.csv").write_text(f"{table}{name[:-4]};0;2023-06-14\n")
    about = {"product": "dop", "pattern": DOP}
    sources(
        tmp_path / "sources.yml",
        {"name": "surface", "root": "ndom", "acquisition": {"campaign": "flight-{year}"}},
        {"name": "image", "root": "dop", **about, "acquisition": {"table": "meta.csv"}},
        {"name": "in-place", "root": "ndom", "copy": False},
        {"name": "scenes", "type": "folder", "product": "sentinel-2-l2a", "root": str(DATA)},
    )
    inventory(tmp_path / "inventory.geojson", OBJECTS)
    return tmp_path


@pytest.fixture
def run(state, monkeypatch):
    def start(
        *more, out="out", bbox="342000,5700000,344000,5701000", names=("surface",), **changed
    ):
        options = {
            "bbox": bbox,
            "bbox-crs": "EPSG:25832",
            "period": "2023-01-01/2024-12-31",
            "inventory": state / "inventory.geojson",
            "source-config": state / "sources.yml",
            **changed,
        }
        given = [f"--{key}={value}" for key, value in options.items() if value is not None]
        return ingest(monkeypatch, state / out, *given, "--sources", *names, *more)

    return start


def told(capfd):
    return json.loads(capfd.readouterr().err.splitlines()[-1])


def batches(folder):
    return read(folder / "cwl.output.json")["batches"]


def names(values):
    return [value.get("basename") or value["path"].split("/")[-1] for value in values]


def test_a_run_gives_items_objects_area_and_a_batch_per_tile(state, run):
    assert run(names=("surface", "image")) == EXIT_DONE
    out = state / "out"
    items = read(out / "items.json")["features"]
    assert [item["id"] for item in items] == [
        "dop10rgbi_32_342_5700_1_nw_2023",
        "ndom50_32342_5700_1_nw_2024",
        "ndom50_32343_5700_1_nw_2024",
    ]
    assert [batch["id"] for batch in batches(out)] == ["b342_5700", "b343_5700"]
    assert batches(out)[0]["core"] == [342_000, 5_700_000, 343_000, 5_701_000]
    # each batch has its neighbour too, which the buffer of 30 m touches
    assert [len(batch["ndom"]) for batch in batches(out)] == [2, 2]
    assert gpd.read_file(out / "objects.gpkg")["object_id"].tolist() == ["west", "east"]
    assert read(out / "missing.json")["missing"] == [
        {"name": "343_5700", "product": "dop", "reason": "not-in-source", "source": "image"}
    ]


def test_an_item_tells_where_its_file_comes_from_and_what_it_is(state, run):
    run(names=("surface", "image"))
    image, surface, _ = read(state / "out" / "items.json")["features"]
    assert surface["properties"]["cdi:acquisition"] == {
        "group": "surface",
        "campaign": "flight-2024",
        "date": None,
    }
    assert surface["properties"]["start_datetime"] == "2024-01-01T00:00:00Z"
    assert surface["properties"]["proj:epsg"] == 25832
    assert surface["properties"]["proj:bbox"] == [342_000, 5_700_000, 343_000, 5_701_000]
    assert image["properties"]["datetime"] == "2023-06-14T00:00:00Z"  # out of the table of flights
    assert image["properties"]["cdi:acquisition"]["date"] == "2023-06-14"
    asset = surface["assets"]["data"]
    local = state / "out" / "data" / asset["href"]
    assert asset["file:size"] == local.stat().st_size
    assert asset["file:checksum"].startswith("1220")


def test_outputs_are_equal_with_a_cache_without_one_and_when_run_again(state, run, monkeypatch):
    run(names=("surface", "image", "scenes"), out="first")
    run(names=("surface", "image", "scenes"), out="second")
    monkeypatch.setenv("CDI_CACHE", str(state / "cache"))
    run(names=("surface", "image", "scenes"), out="cached")
    for name in OUTPUTS:
        first = (state / "first" / name).read_bytes()
        assert (state / "second" / name).read_bytes() == first, name
        assert (state / "cached" / name).read_bytes() == first, name


def test_with_a_cache_files_stay_there_and_are_named_by_their_hash(state, run, monkeypatch):
    monkeypatch.setenv("CDI_CACHE", str(state / "cache"))
    run()
    value = batches(state / "out")[0]["ndom"][0]
    kind, sha256 = value["location"].split("/")
    assert kind == "cache:sha256"
    assert value["checksum"] == f"sha256${sha256}"
    assert (state / "cache" / "sha256" / sha256[:2] / sha256).stat().st_size == value["size"]
    assert not (state / "out" / "data").exists()


def test_a_source_read_in_place_is_named_by_its_path_and_not_copied(state, run, monkeypatch):
    monkeypatch.setenv("CDI_CACHE", str(state / "cache"))
    run(names=("in-place",))
    value = batches(state / "out")[0]["ndom"][0]
    assert value["location"] == (state / "ndom" / value["basename"]).as_uri()
    assert not list((state / "cache" / "sha256").glob("*/*"))
    in_place = read(state / "out" / "items.json")["features"][0]["assets"]
    run(names=("surface",), out="copied")
    assert read(state / "copied" / "items.json")["features"][0]["assets"] == in_place


def test_the_batch_size_changes_the_batches_and_nothing_else(state, run):
    run("--batch-size=1", out="small")
    run("--batch-size=8", out="large")
    assert [batch["id"] for batch in batches(state / "large")] == ["b342_5700"]
    assert batches(state / "large")[0]["core"] == [342_000, 5_700_000, 344_000, 5_701_000]
    for name in ("items.json", "objects.gpkg", "missing.json"):
        assert (state / "small" / name).read_bytes() == (state / "large" / name).read_bytes()


def test_an_object_that_reaches_out_of_the_area_brings_its_tile_along(state, run):
    inventory(state / "inventory.geojson", {"edge": (342_940, 5_700_100, 100)})
    run(bbox="342000,5700000,343000,5701000")
    assert [batch["id"] for batch in batches(state / "out")] == ["b342_5700", "b343_5700"]


def test_a_tile_that_does_not_exist_is_named_and_the_rest_goes_on(state, run):
    assert run(bbox="342000,5700000,345000,5701000") == EXIT_DONE
    assert read(state / "out" / "missing.json")["missing"] == [
        {"name": "344_5700", "product": "ndom", "reason": "not-in-source", "source": "surface"}
    ]


def test_a_truncated_tile_is_named_and_never_reaches_cache_or_batches(state, run, monkeypatch):
    monkeypatch.setenv("CDI_CACHE", str(state / "cache"))
    path = next((state / "ndom").glob("*343*"))
    path.write_bytes(path.read_bytes()[:5000])
    assert run() == EXIT_DONE
    (entry,) = read(state / "out" / "missing.json")["missing"]
    assert (entry["name"], entry["reason"]) == (path.name, "corrupt")
    assert "truncated" in entry["detail"]
    assert [batch["id"] for batch in batches(state / "out")] == ["b342_5700"]
    assert len(list((state / "cache" / "sha256").glob("*/*"))) == 1


def test_a_tile_that_lies_elsewhere_than_its_name_says_is_named(state, run):
    shutil.move(next((state / "ndom").glob("*343*")), state / "keep.tif")
    tile(state / "ndom" / "ndom50_32343_5700_1_nw_2024.tif", 350_000, 5_700_000)
    run()
    (entry,) = read(state / "out" / "missing.json")["missing"]
    assert entry["reason"] == "misplaced"


def test_real_scenes_in_a_folder_become_items_with_bands(state, run):
    scenes = state / "scenes"
    shutil.copytree(DATA / "scenes", scenes)
    for path in scenes.glob("*/*.json"):
        shutil.copy(path, scenes)
        for band in path.parent.glob("*.tif"):
            shutil.copy(band, scenes / f"{path.parent.name}_{band.name}")
    for path in scenes.glob("*.json"):
        text = path.read_text()
        for band in ("B02", "B03", "B04", "B08", "SCL"):
            text = text.replace(f'"href":"{band}.tif"', f'"href":"{path.stem}_{band}.tif"')
        path.write_text(text)
    sources(
        state / "sources.yml",
        {"name": "surface", "root": "ndom", "crs": "EPSG:32633"},
        {"name": "scenes", "type": "folder", "product": "sentinel-2-l2a", "root": "scenes"},
    )
    for path in (state / "ndom").iterdir():
        path.unlink()
    ndom(state / "ndom", 562, 5160, crs="EPSG:32633")
    inventory(state / "inventory.geojson", {"a": (562_100, 5_160_100, 50)}, crs="EPSG:32633")
    code = run(
        names=("surface", "scenes"),
        bbox="562000,5160000,563000,5161000",
        crs="EPSG:32633",
        period="2023-08-01/2023-08-31",
        **{"bbox-crs": "EPSG:32633", "max-cloud": 50},
    )
    assert code == EXIT_DONE
    items = [
        i
        for i in read(state / "out" / "items.json")["features"]
        if "eo:cloud_cover" in i["properties"]
    ]
    # the third date has 71 % clouds; swir16 of the others lies on the web, which a folder is not
    assert [item["id"] for item in items] == [
        "S2A_33TWM_20230818_0_L2A",
        "S2B_33TWM_20230813_0_L2A",
    ]
    assert sorted(items[0]["assets"]) == ["B02", "B03", "B04", "B08", "SCL"]
    assert items[0]["assets"]["B04"]["cdi:offset"] == 0
    assert items[0]["assets"]["B04"]["href"] == "S2A_33TWM_20230818_0_L2A_B04.tif"
    assert items[0]["properties"]["proj:epsg"] == 32633
    assert len(batches(state / "out")[0]["s2"]) == 10
    reasons = {(e["name"], e["reason"]) for e in read(state / "out" / "missing.json")["missing"]}
    assert ("S2A_33TWM_20230818_0_L2A B11", "corrupt") in reasons


def test_a_source_without_scenes_says_so(state, run):
    run(names=("surface", "scenes"))
    (entry,) = read(state / "out" / "missing.json")["missing"]
    assert (entry["product"], entry["reason"]) == ("sentinel-2-l2a", "no-scene")


def test_made_up_data_are_marked_in_every_item(state, run):
    sources(state / "sources.yml", {"name": "bench", "root": "ndom", "test_bench": True})
    run(names=("bench",))
    items = read(state / "out" / "items.json")["features"]
    assert all(item["properties"]["cdi:test_bench"] is True for item in items)


def test_progress_counts_files(state, run, monkeypatch):
    monkeypatch.setenv("CDI_PROGRESS", str(state / "progress.jsonl"))
    run(names=("surface", "image"))
    lines = [json.loads(line) for line in (state / "progress.jsonl").read_text().splitlines()]
    assert [line["done"] for line in lines] == [1, 2, 3]
    assert {line["unit"] for line in lines} == {"files"}


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"bbox": "100000,5700000,101000,5701000"}, "area outside the data"),
        ({"bbox": None}, "area not clear"),
        ({"district": "05170"}, "area not clear"),
        ({"bbox": "a,b,c,d"}, "bbox not understood"),
        ({"period": "2023"}, "period not understood"),
        ({"crs": "EPSG:4326"}, "coordinate reference system not usable"),
        ({"crs": "EPSG:32633", "bbox-crs": "EPSG:32633"}, "source in another coordinate"),
        ({"names": ("nobody",)}, "unknown source nobody"),
        ({"names": ("image",)}, "no nDOM source chosen"),
        ({"buffer": -1}, "buffer not valid"),
        ({"inventory": "absent.gpkg"}, "file not found"),
        ({"source-config": "absent.yml"}, "source file cannot be read"),
    ],
)
def test_bad_input_is_said_in_one_line_and_never_tried_again(run, capfd, change, title):
    assert run(**change) == EXIT_INPUT_DATA
    error = told(capfd)
    assert error["title"].startswith(title)
    assert error["detail"]


def test_when_no_tile_can_be_used_the_reasons_are_told(state, run, capfd):
    for path in (state / "ndom").iterdir():
        path.write_bytes(b"no raster")
    assert run() == EXIT_INPUT_DATA
    error = told(capfd)
    assert error["title"] == "no nDOM tile could be used"
    assert "corrupt" in error["detail"]


def test_a_folder_that_is_not_there_is_named(state, run, capfd):
    sources(state / "sources.yml", {"name": "gone", "root": "nowhere"})
    assert run(names=("gone",)) == EXIT_INPUT_DATA
    assert "nowhere" in told(capfd)["detail"]
