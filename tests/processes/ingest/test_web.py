"""The stage against real HTTP servers that serve the state's index and recorded STAC documents."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from processes.stage import EXIT_DONE, EXIT_INPUT_DATA, EXIT_TRY_AGAIN
from tests.processes.ingest.scenery import (
    DATA,
    FULL,
    ROOT,
    WITHOUT_RECORDINGS,
    ingest,
    inventory,
    ndom,
    read,
    sources,
)
from tests.processes.ingest.web import StacApi, site

FAST = {"backoff_s": 0.01, "timeout_s": 20, "attempts": 3, "max_parallel": 4}
INDEX = read(DATA / "ndom50" / "index.json")
NAMES = [entry["name"] for entry in INDEX["datasets"][0]["files"]]


@pytest.fixture
def server():
    with site() as running:
        yield running


@pytest.fixture
def state(server, tmp_path):
    """The state's folder of nDOM tiles on a web server, with its index of ten names."""
    for name in NAMES:
        east, north = int(name[9:12]), int(name[13:17])
        server.files[f"/ndom50/{name}"] = ndom(tmp_path / "made", east, north).read_bytes()
    server.files["/ndom50/index.json"] = json.dumps(INDEX).encode()
    sources(
        tmp_path / "sources.yml",
        {"name": "state", "type": "opengeodata", "url": server.url + "ndom50", **FAST},
    )
    inventory(tmp_path / "inventory.geojson", {"a": (342_100, 5_700_100, 50)})
    return tmp_path


@pytest.fixture
def run(state, monkeypatch):
    monkeypatch.setenv("CDI_CACHE", str(state / "cache"))

    def start(*names, out="out", bbox="342000,5700000,344000,5705000", **changed):
        options = {
            "bbox": bbox,
            "bbox-crs": "EPSG:25832",
            "period": "2024-01-01/2024-12-31",
            "inventory": state / "inventory.geojson",
            "source-config": state / "sources.yml",
            **changed,
        }
        given = [f"--{key}={value}" for key, value in options.items() if value is not None]
        return ingest(monkeypatch, state / out, *given, "--sources", *(names or ("state",)))

    return start


def index(server, **details):
    """Publish the index again with details of each file, computed by `details`."""
    entries = [
        {
            "name": name,
            **{key: make(server.files[f"/ndom50/{name}"]) for key, make in details.items()},
        }
        for name in NAMES
    ]
    server.files["/ndom50/index.json"] = json.dumps({"datasets": [{"files": entries}]}).encode()


def missing(state, out="out"):
    return {(e["name"], e["reason"]) for e in read(state / out / "missing.json")["missing"]}


def test_all_ten_tiles_are_fetched_checked_and_batched(state, server, run):
    index(server, size=len, sha256=lambda body: hashlib.sha256(body).hexdigest())
    assert run() == EXIT_DONE
    assert missing(state) == set()
    items = read(state / "out" / "items.json")["features"]
    assert [item["id"] + ".tif" for item in items] == sorted(NAMES)
    assert len(read(state / "out" / "cwl.output.json")["batches"]) == 10


def test_a_second_run_asks_for_the_index_only(state, server, run):
    run(out="first")
    before = len(server.requests)
    run(out="second")
    assert [path for path, _ in server.requests[before:]] == ["/ndom50/index.json"]
    assert (state / "first" / "items.json").read_bytes() == (
        state / "second" / "items.json"
    ).read_bytes()


def test_only_tiles_of_the_area_and_its_surroundings_are_fetched(state, server, run):
    run(bbox="342100,5700100,342200,5700200")
    asked = {path for path, _ in server.requests} - {"/ndom50/index.json"}
    assert len(asked) == 4  # the tile, and its neighbours to the north, east and north-east
    assert [b["id"] for b in read(state / "out" / "cwl.output.json")["batches"]] == ["b342_5700"]


def test_every_fault_of_a_server_is_overcome_or_named(state, server, run):
    index(server, size=len)
    faults = {
        NAMES[0]: [("cut", 4000)],
        NAMES[1]: [("status", 503, {"Retry-After": "0"})],
        NAMES[2]: [("garble",)],
        NAMES[3]: [("garble",), ("garble",)],
        NAMES[4]: [("wait", 0.3)],
    }
    server.faults = {f"/ndom50/{name}": list(some) for name, some in faults.items()}
    del server.files[f"/ndom50/{NAMES[5]}"]
    assert run() == EXIT_DONE
    assert missing(state) == {(NAMES[3], "corrupt"), (NAMES[5], "gone")}
    assert len(list((state / "cache" / "sha256").glob("*/*"))) == 8
    assert not list((state / "cache" / "by-url").glob("*.part*"))


def test_a_tile_that_the_index_lacks_is_named(state, server, run):
    assert run(bbox="342000,5700000,344000,5706000") == EXIT_DONE
    assert missing(state) == {("342_5705", "not-in-source"), ("343_5705", "not-in-source")}


def test_a_server_that_is_down_means_try_again_and_keeps_what_came(state, server, run, capfd):
    server.faults = {f"/ndom50/{NAMES[-1]}": [("status", 503, {})] * 9}
    assert run() == EXIT_TRY_AGAIN
    assert "does not answer" in json.loads(capfd.readouterr().err.splitlines()[-1])["title"]
    assert not (state / "out" / "cwl.output.json").exists()
    server.faults = {}
    assert run() == EXIT_DONE


def test_a_stage_that_is_killed_leaves_only_whole_files_and_is_run_again(state, server, run):
    stuck = f"/ndom50/{NAMES[-1]}"
    server.faults = {stuck: [("wait", 5)]}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "processes.ingest", "--bbox=342000,5700000,344000,5705000"),
            *("--bbox-crs=EPSG:25832", "--period=2024-01-01/2024-12-31", "--sources", "state"),
            *("--inventory", state / "inventory.geojson"),
            *("--source-config", state / "sources.yml"),
        ],
        cwd=state,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CDI_CACHE": str(state / "cache")},
    )
    deadline = time.monotonic() + 60
    while not server.asked(stuck) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    kept = list((state / "cache" / "sha256").glob("*/*"))
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in kept)
    assert not (state / "cwl.output.json").exists()
    assert run() == EXIT_DONE
    assert missing(state) == set()


def test_the_index_being_down_means_try_again(server, run):
    server.faults = {"/ndom50/index.json": [("status", 502, {})] * 9}
    assert run() == EXIT_TRY_AGAIN


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"datasets": [{"files": ["a"]}]}', None])
def test_an_index_of_another_form_is_refused(server, run, body):
    server.files.pop("/ndom50/index.json")
    if body is not None:
        server.files["/ndom50/index.json"] = body
    assert run() == EXIT_INPUT_DATA


def test_names_in_an_index_cannot_leave_its_folder(server, state, run):
    evil = {"name": "../secret/ndom50_32342_5700_1_nw_2099.tif"}
    entries = [*INDEX["datasets"][0]["files"], evil]
    server.files["/ndom50/index.json"] = json.dumps({"datasets": [{"files": entries}]}).encode()
    assert run() == EXIT_DONE
    assert all(path.startswith("/ndom50/") for path, _ in server.requests)


def test_a_district_is_taken_out_of_the_state_s_zip_of_shapefiles(server, state, run):
    frame = gpd.GeoDataFrame(
        {"KN": ["05170000"], "GN": ["Wesel"]},
        geometry=[shapely.box(342_000, 5_700_000, 343_000, 5_702_000)],
        crs="EPSG:25832",
    )
    frame.to_file(state / "dvg1krs_nw.shp", engine="pyogrio")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(state.glob("dvg1krs_nw.*")):
            archive.write(path, f"dvg1_EPSG25832_Shape/{path.name}")
    name = "dvg1_EPSG25832_Shape.zip"
    server.files[f"/dvg1/{name}"] = packed.getvalue()
    server.files["/dvg1/index.json"] = json.dumps(
        {"datasets": [{"files": [{"name": name}]}]}
    ).encode()
    about = {"product": "districts", "pattern": name, "member": "dvg1krs_nw.shp", "tile_size": None}
    sources(
        state / "sources.yml",
        {"name": "state", "type": "opengeodata", "url": server.url + "ndom50", **FAST},
        {"name": "districts", "type": "opengeodata", "url": server.url + "dvg1", **about, **FAST},
    )
    assert run(bbox=None, district="05170") == EXIT_DONE
    batches = read(state / "out" / "cwl.output.json")["batches"]
    assert [batch["id"] for batch in batches] == ["b342_5700", "b342_5701"]


# --- STAC ---------------------------------------------------------------------------------------

RECORDINGS = [
    pytest.param("excerpt", id="excerpt"),
    pytest.param("full", id="full", marks=pytest.mark.skipif(not FULL, reason=WITHOUT_RECORDINGS)),
]


def recorded_scenes(kind):
    """The three recorded items of 33TWM, cut down or whole."""
    if kind == "excerpt":
        return [read(path) for path in sorted((DATA / "scenes").glob("*/*.json"))]
    folder = Path(FULL) / "H_s2_mapchete_33TWM_3dates_120m_scl_stac"
    return [read(path) for path in sorted(folder.glob("S2*/*.json"))]


@pytest.fixture
def earth_search(server, state):
    """Earth Search with the recorded scenes: their documents, their pixels, our addresses."""

    def start(kind="excerpt", change=lambda items: items):
        items = change(recorded_scenes(kind))
        for item in items:
            for key, asset in item["assets"].items():
                asset["href"] = f"{server.url}scenes/{item['id']}/{Path(asset['href']).name}"
                if key == "swir16":
                    asset["href"] = "s3://sentinel-s2-l2a/tiles/33/T/WM/B11.jp2"
        for path in (DATA / "scenes").glob("*/*.tif"):
            server.files[f"/scenes/{path.parent.name}/{path.name}"] = path.read_bytes()
        api = StacApi(server, read(DATA / "scenes" / "catalog.json"), items)
        ndom(state / "utm33", 562, 5160, crs="EPSG:32633")
        inventory(state / "inventory.geojson", {"a": (562_100, 5_160_100, 50)}, crs="EPSG:32633")
        sources(
            state / "sources.yml",
            {"name": "surface", "root": "utm33", "crs": "EPSG:32633"},
            {"name": "sentinel", "type": "stac", "url": api.url, **FAST},
        )
        return api

    return start


UTM33 = {
    "bbox": "562000,5160000,563000,5161000",
    "bbox-crs": "EPSG:32633",
    "crs": "EPSG:32633",
    "period": "2023-08-01/2023-08-31",
}


def scenes(state):
    items = read(state / "out" / "items.json")["features"]
    return [item for item in items if item["properties"]["cdi:product"] == "sentinel-2-l2a"]


@pytest.mark.parametrize("kind", RECORDINGS)
def test_scenes_are_searched_page_by_page_and_fetched(state, run, earth_search, kind):
    api = earth_search(kind)
    assert run("surface", "sentinel", **UTM33, **{"max-cloud": 100}) == EXIT_DONE
    assert [item["id"] for item in scenes(state)] == [
        "S2A_33TWM_20230818_0_L2A",
        "S2B_33TWM_20230810_0_L2A",
        "S2B_33TWM_20230813_0_L2A",
    ]
    assert len(api.searches) == 2
    first = scenes(state)[0]
    assert sorted(first["assets"]) == ["B02", "B03", "B04", "B08", "SCL"]
    assert {asset["cdi:offset"] for asset in first["assets"].values()} == {0.0}
    assert first["properties"]["cdi:acquisition"] == {
        "group": "sentinel2",
        "campaign": "GS2A_20230818T100031_042590",
        "date": "2023-08-18",
    }


def test_the_api_is_asked_for_clouds_and_cloudy_scenes_stay_out(state, run, earth_search):
    api = earth_search()
    run("surface", "sentinel", **UTM33, **{"max-cloud": 40})
    assert api.searches[0]["query"] == {"eo:cloud_cover": {"lte": 40.0}}
    assert [item["id"] for item in scenes(state)] == ["S2B_33TWM_20230813_0_L2A"]


def test_bands_that_lie_in_s3_are_named(state, run, earth_search):
    earth_search()
    run("surface", "sentinel", **UTM33)
    assert ("S2B_33TWM_20230813_0_L2A B11", "s3-keys-needed") in missing(state)


def test_scenes_whose_bands_all_lie_in_s3_are_named_and_left_out(state, run, server, earth_search):
    earth_search()
    item = read(next((DATA / "cdse").glob("*T32TMT_20230613*")))
    item.update(bbox=[5, 40, 20, 60])
    item["geometry"] = shapely.geometry.mapping(shapely.box(5, 40, 20, 60))
    item["properties"].update({"eo:cloud_cover": 5, "datetime": "2023-08-03T10:30:31.024Z"})
    StacApi(server, read(DATA / "cdse" / "catalog.json"), [item])
    assert run("surface", "sentinel", **UTM33) == EXIT_DONE
    assert scenes(state) == []
    assert missing(state) == {(item["id"], "s3-keys-needed")}


def test_a_datatake_that_the_api_has_twice_is_used_once(state, run, earth_search):
    def twice(items):
        old = json.loads(json.dumps(items[2]))
        old["id"] = "S2B_33TWM_20230813_1_L2A"
        old["properties"]["s2:processing_baseline"] = "04.00"
        return [*items, old]

    earth_search(change=twice)
    run("surface", "sentinel", **UTM33, **{"max-cloud": 40})
    assert [item["id"] for item in scenes(state)] == ["S2B_33TWM_20230813_0_L2A"]
    assert "S2B_33TWM_20230813_1_L2A is another copy" in str(read(state / "out" / "missing.json"))


def test_a_scene_without_a_band_that_it_takes_is_left_out_by_name(state, run, server, earth_search):
    earth_search()
    del server.files["/scenes/S2B_33TWM_20230813_0_L2A/SCL.tif"]
    run("surface", "sentinel", **UTM33, **{"max-cloud": 40})
    assert scenes(state) == []
    assert {
        ("S2B_33TWM_20230813_0_L2A SCL", "gone"),
        ("S2B_33TWM_20230813_0_L2A", "incomplete"),
    } <= missing(state)


def test_an_api_that_is_busy_is_asked_again_and_one_that_stays_so_given_up(
    server, run, earth_search
):
    earth_search()
    server.faults["/v1/search"] = [("status", 503, {"Retry-After": "0"})]
    assert run("surface", "sentinel", **UTM33) == EXIT_DONE
    server.faults["/v1/search"] = [("status", 503, {"Retry-After": "0"})] * 9
    assert run("surface", "sentinel", out="again", **UTM33) == EXIT_TRY_AGAIN


def test_an_address_that_is_no_stac_api_is_refused(server, run, earth_search):
    earth_search()
    server.files["/v1"] = b'{"hello": 1}'
    assert run("surface", "sentinel", **UTM33) == EXIT_INPUT_DATA
