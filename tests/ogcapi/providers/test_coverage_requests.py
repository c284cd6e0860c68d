"""What is asked wrongly is refused with a sentence; formats, limits and pages are as promised."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from pygeoapi.api import describe_collections, get_collection_schema
from pygeoapi.plugin import load_plugin

from ogcapi import coverage
from tests.ogcapi.providers.conftest import Client
from tests.ogcapi.providers.coverage_files import (
    ROWS,
    WIDTH,
    ask,
    entry,
    manifest,
    refused,
    resource,
    storage_box,
    tiff,
    two_rasters,
    write,
)


@pytest.fixture
def release(tmp_path):
    return two_rasters(tmp_path / "000001")


@pytest.mark.parametrize(
    "query",
    [
        "bbox=1,2,3", "bbox=a,b,c,d", "bbox=1,2,nan,4", "bbox=7,51,6,52",
        "bbox=1,2,3,4&bbox=1,2,3,4", "bbox=6,51,7,52&bbox-crs=EPSG:9999999",
        "bbox-crs=http://www.opengis.net/def/crs/EPSG/0/4326",
        "subset=Z(1:2)", "subset=E(1:2:3)", "subset=E(a:b)", "subset=E(1:2", "subset=E(2:1)",
        "subset=E(1:2),E(3:4)", "bbox=6,51,7,52&subset=E(1:2)", "scale-size=E(10)",
        "scale-size=E(0),N(5)", "scale-size=E(1.5),N(5)", "scale-size=Q(5),N(5)",
        "scale-size=E(5),Lat(5)", "scale-factor=0", "scale-factor=x", "scale-factor=nan",
        "scale-factor=2&scale-size=E(5),N(5)", "crs=http://www.opengis.net/def/crs/EPSG/0/2154",
        "properties=ndom,other", "datetime=yesterday", "f=png", "scale_size=E(5),N(5)", "quiet=1",
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_a_sentence(release, query):
    assert len(refused(release, query)) > 10


@pytest.mark.parametrize(
    "query",
    ["bbox=10,10,11,11", "subset=E(1:2)", "datetime=1999-01-01", "datetime=../2020-01-01"],
)
def test_outside_place_or_time_there_is_no_content(release, query):
    response = ask(release, query)
    assert (response.status_code, response.data) == (204, b"")


def test_time_within_the_period_is_answered(release):
    assert tiff(release, "datetime=2023-06-01/..&subset=E(350005),N(5700295)")[0].size == 1


def test_too_large_an_answer_names_its_size_and_a_factor_that_fits(release):
    detail = refused(release, "", status=413, limit=600)
    assert "80 x 30 cells in 1 bands, 2400 in all" in detail
    factor = detail.split("scale-factor=")[1].split(" ")[0]
    assert tiff(release, f"scale-factor={factor}", limit=600)[0].size <= 600
    assert float(factor) < 2.2
    refused(release, "scale-size=Lat(60),Lon(60)&bbox=6.8,51.4,6.9,51.5", status=413, limit=600)


def test_coverage_json_holds_the_same_values_at_cell_centres(release):
    query = storage_box(350390, 5700280, 350410, 5700300) + "&f=json"
    response = ask(release, query)
    assert response.headers["Content-Type"] == "application/prs.coverage+json"
    document = json.loads(response.data)
    assert document["domain"]["axes"]["x"] == {"start": 350395, "stop": 350405, "num": 2}
    assert document["domain"]["axes"]["y"] == {"start": 5700295, "stop": 5700285, "num": 2}
    assert document["ranges"]["ndom"]["values"] == [39, 40, 1039, 1040]
    assert document["parameters"]["ndom"]["unit"]["symbol"]["value"] == "m"


def test_missing_values_are_null_in_coverage_json(tmp_path):
    write(tmp_path / "r" / "a.tif", 0, np.full((ROWS, WIDTH), -9999.0))
    path = manifest(tmp_path / "r", [entry("a.tif", 0)])
    document = json.loads(ask(path, "f=json&subset=E(350005),N(5700295)").data)
    assert document["ranges"]["ndom"]["values"] == [None]


def test_coverage_json_is_for_small_windows(tmp_path):
    write(tmp_path / "r" / "a.tif", 0, rows=400, width=300)
    path = manifest(tmp_path / "r", [entry("a.tif", 0, width=300, rows=400)])
    assert "f=geotiff" in refused(path, "f=json", status=413)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "image/tiff; application=geotiff"),
        ("image/tiff", "image/tiff; application=geotiff"),
        ("image/tiff; application=geotiff", "image/tiff; application=geotiff"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "image/tiff; application=geotiff"),
        ("application/prs.coverage+json", "application/prs.coverage+json"),
        ("application/json, image/tiff;q=0.5", "application/prs.coverage+json"),
    ],
)
def test_the_format_follows_accept(release, accept, media):
    assert ask(release, accept=accept).headers["Content-Type"] == media


def test_what_cannot_be_given_is_not_acceptable(release):
    assert "geotiff" in refused(release, "", status=406, accept="image/png")


def test_equal_requests_get_equal_bytes(release):
    assert ask(release, "scale-factor=3").data == ask(release, "scale-factor=3").data


def test_the_answer_is_a_cloud_optimized_geotiff(tmp_path):
    write(tmp_path / "r" / "a.tif", 0, rows=600, width=600)
    path = manifest(tmp_path / "r", [entry("a.tif", 0, width=600, rows=600)])
    with rasterio.MemoryFile(ask(path).data) as memory, memory.open() as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1) == [2]


def test_the_collection_page_and_schema_open_no_raster(release):
    for path in release.parent.glob("*.tif"):
        path.unlink()
    client = Client({"ndom": resource(release)})
    status, _, body = client.call(describe_collections, "ndom")
    assert status == 200
    grid = body["extent"]["spatial"]["grid"]
    assert [(axis["cellsCount"], axis["resolution"]) for axis in grid] == [(80, 10), (30, 10)]
    assert any(
        link["type"] == "image/tiff; application=geotiff" and link["rel"].endswith("coverage")
        for link in body["links"]
    )
    schema = client.call(get_collection_schema, "ndom")[2]["properties"]["ndom"]
    assert (schema["x-ogc-unit"], schema["x-ogc-nilValues"]) == ("m", ["-9999.0"])


def test_plain_pygeoapi_gets_the_same_window(release):
    provider = load_plugin("provider", resource(release)["providers"][0])
    subsets = {"E": [350390, 350410], "N": [5700280, 5700300]}
    assert provider.query(subsets=subsets)["ranges"]["ndom"]["values"] == [39, 40, 1039, 1040]
    body = provider.query(subsets=subsets, format_="GTiff")
    with rasterio.MemoryFile(body) as memory, memory.open() as dataset:
        assert dataset.read(1).tolist() == [[39, 40], [1039, 1040]]


def test_a_release_that_is_gone_is_a_clear_error(tmp_path):
    client = Client({"ndom": resource(tmp_path / "000009" / "manifest.json")})
    status, _, body = client.call(describe_collections, "ndom")
    assert status == 500
    assert body["description"]


def test_a_worker_makes_only_so_many_coverages_at_once(release, monkeypatch):
    making, most, counting, full = 0, 0, threading.Lock(), threading.Event()

    def slow(*given):
        nonlocal making, most
        with counting:
            making += 1
            most = max(most, making)
            if most >= 8:
                full.set()
        full.wait(30)
        time.sleep(0.05)  # for a ninth to come, if it may
        with counting:
            making -= 1
        return made(*given)

    made = coverage.coverage_answer
    monkeypatch.setattr(coverage, "coverage_answer", slow)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(release), range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert most == 8
