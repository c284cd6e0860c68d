"""Coverage answers hold the values of the files, lie where they say, and refuse what is wrong.

Two rasters of 40 x 30 cells side by side; a cell's value is 1000 * row + column of the mosaic.
"""

import json
import math

import numpy as np
import pytest
import rasterio
from flask import Flask
from pygeoapi.api import describe_collections, get_collection_schema
from pyproj import Transformer
from rasterio.transform import from_origin
from rasterio.windows import Window

from ogcapi import crs
from ogcapi.coverage import CoverageError, coverage_response
from processes.raster import write_cog
from tests.ogcapi.providers.conftest import OFFERED, STORAGE, Client

LEFT, TOP, CELL = 350000.0, 5700300.0, 10.0
WIDTH, ROWS, COLS = 40, 30, 80


def entry(file, col, release=None, width=WIDTH, rows=ROWS):
    left = LEFT + col * CELL
    return {
        "release": release,
        "file": file,
        "bounds": [left, TOP - rows * CELL, left + width * CELL, TOP],
        "res": [CELL, CELL],
        "width": width,
        "height": rows,
    }


def write(path, col, values=None, width=WIDTH, rows=ROWS, dtype="float32", nodata=-9999.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        values = 1000 * np.arange(rows)[:, None] + np.arange(col, col + width)[None, :]
    write_cog(
        path,
        np.asarray(values, dtype=dtype).reshape(-1, rows, width),
        transform=from_origin(LEFT + col * CELL, TOP, CELL, CELL),
        crs="EPSG:25832",
        nodata=nodata,
    )


def manifest(folder, entries, bands=(("ndom", "m"),), nodata=-9999.0):
    document = {
        "format": 1,
        "crs": "EPSG:25832",
        "period": "2023-01-01/2023-12-31",
        "collections": {
            "ndom": {
                "rasters": entries,
                "bands": [{"name": n, "unit": u, "dtype": "float32"} for n, u in bands],
                "nodata": nodata,
            }
        },
    }
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder / "manifest.json"


def resource(path):
    return {
        "type": "collection",
        "title": "Height",
        "description": "d",
        "keywords": ["k"],
        "links": [],
        "extents": {"spatial": {"bbox": [6, 51, 7, 52]}},
        "providers": [
            {
                "type": "coverage",
                "name": "ogcapi.providers.coverage.ReleaseCoverage",
                "data": str(path),
                "options": {"collection": "ndom"},
                "format": {"name": "GeoTIFF", "mimetype": "image/tiff; application=geotiff"},
                "crs": OFFERED,
                "storage_crs": STORAGE,
            }
        ],
    }


@pytest.fixture
def release(tmp_path):
    folder = tmp_path / "000001"
    write(folder / "ndom-a.tif", 0)
    write(folder / "ndom-b.tif", WIDTH)
    return manifest(folder, [entry("ndom-a.tif", 0), entry("ndom-b.tif", WIDTH)])


def ask(path, query="", limit=10_000_000, accept=None):
    headers = {} if accept is None else {"Accept": accept}
    with Flask(__name__).test_request_context(f"/coverage?{query}", headers=headers):
        return coverage_response(resource(path), limit)


def tiff(path, query="", limit=10_000_000):
    response = ask(path, query, limit)
    assert response.status_code == 200, response.data
    assert response.headers["Content-Type"] == "image/tiff; application=geotiff"
    with rasterio.MemoryFile(response.data) as memory, memory.open() as dataset:
        return dataset.read(), dataset.transform, dataset.profile | dict(dataset.tags())


def refused(path, query, status=400, limit=10_000_000, accept=None):
    with pytest.raises(CoverageError) as caught:
        ask(path, query, limit, accept)
    assert caught.value.status == status
    return caught.value.detail


def storage_box(left, bottom, right, top):
    return f"bbox={left},{bottom},{right},{top}&bbox-crs={STORAGE}"


def test_a_window_equals_the_same_window_of_the_file_byte_for_byte(release):
    got, transform, profile = tiff(release, storage_box(350050, 5700100, 350200, 5700250))
    with rasterio.open(release.parent / "ndom-a.tif") as source:
        window = Window(5, 5, 15, 15)
        assert got.tobytes() == source.read(window=window).tobytes()
        assert transform == source.window_transform(window)
    assert (profile["nodata"], profile["dtype"], str(profile["crs"])) == (
        -9999,
        "float32",
        "EPSG:25832",
    )


def test_a_window_across_two_rasters_has_no_seam(release):
    got, _, _ = tiff(release, storage_box(350350, 5700280, 350450, 5700300))
    assert got[0].tolist() == [list(range(35, 45)), list(range(1035, 1045))]


def test_without_parameters_the_whole_coverage_comes(release):
    got, transform, _ = tiff(release)
    assert got.shape == (1, ROWS, COLS)
    assert (transform.c, transform.f) == (LEFT, TOP)
    assert got[0, ROWS - 1, COLS - 1] == 1000 * (ROWS - 1) + COLS - 1


def test_a_box_that_cuts_cells_gets_them_whole(release):
    got, transform, _ = tiff(release, storage_box(350005, 5700285, 350015, 5700295))
    assert got[0].tolist() == [[0, 1], [1000, 1001]]
    assert (transform.c, transform.f) == (LEFT, TOP)


def test_the_newest_raster_lies_on_top_and_its_gaps_show_the_older(tmp_path):
    write(tmp_path / "000001" / "ndom-old.tif", 0, np.full((ROWS, WIDTH), 7.0))
    new = np.full((ROWS, WIDTH), 9.0)
    new[0, 0] = -9999
    write(tmp_path / "000002" / "ndom-new.tif", 0, new)
    entries = [entry("ndom-new.tif", 0), entry("ndom-old.tif", 0, release="000001")]
    got, _, _ = tiff(manifest(tmp_path / "000002", entries))
    assert (got[0, 0, 0], got[0, 0, 1], got[0, 5, 5]) == (7, 9, 9)


def test_what_no_raster_covers_is_nodata(tmp_path):
    write(tmp_path / "r" / "a.tif", 0)
    write(tmp_path / "r" / "b.tif", 2 * WIDTH)
    got, _, _ = tiff(manifest(tmp_path / "r", [entry("a.tif", 0), entry("b.tif", 2 * WIDTH)]))
    assert (got[0, :, WIDTH : 2 * WIDTH] == -9999).all()


def test_nodata_that_is_no_number_is_kept(tmp_path):
    values = np.full((ROWS, WIDTH), 1.5)
    values[3, 4] = math.nan
    write(tmp_path / "r" / "a.tif", 0, values, nodata=math.nan)
    got, _, profile = tiff(manifest(tmp_path / "r", [entry("a.tif", 0)], nodata="nan"))
    assert math.isnan(profile["nodata"])
    assert np.isnan(got).sum() == 1


def test_subset_and_box_give_the_same(release):
    box = tiff(release, storage_box(350100, 5700200, 350200, 5700250))[0]
    subset = tiff(release, "subset=E(350100:350200),N(5700200:5700250)")[0]
    twice = tiff(release, "subset=E(350100:350200)&subset=N(5700200:5700250)")[0]
    assert box.tobytes() == subset.tobytes() == twice.tobytes()


def test_a_subset_of_one_axis_keeps_the_other_whole_and_a_point_is_one_cell(release):
    assert tiff(release, "subset=N(5700200:*)")[0].shape == (1, 10, COLS)
    assert tiff(release, "subset=E(350105),N(5700295)")[0].tolist() == [[[10]]]


def test_a_box_in_degrees_finds_the_same_place(release):
    west, south = Transformer.from_crs(25832, 4326, always_xy=True).transform(350101, 5700201)
    query = f"bbox={west},{south},{west + 1e-7},{south + 1e-7}"
    assert tiff(release, query)[0].tolist() == [[[9010]]]
    uri = crs.uri_of("EPSG:4326")
    swapped = f"bbox={south},{west},{south + 1e-7},{west + 1e-7}&bbox-crs={uri}"
    assert tiff(release, swapped)[0].tolist() == [[[9010]]]
    assert tiff(release, f"subset=Lat({south}),Lon({west})")[0].tolist() == [[[9010]]]


def test_a_factor_averages_whole_blocks(release):
    got, transform, _ = tiff(release, "scale-factor=2")
    assert got.shape == (1, ROWS // 2, COLS // 2)
    assert got[0, 0, 0] == np.mean([0, 1, 1000, 1001])
    assert (transform.a, transform.e) == (20, -20)


def test_a_size_is_met_exactly(release):
    got, transform, _ = tiff(release, "scale-size=E(8),N(3)")
    assert got.shape == (1, 3, 8)
    assert (transform.a, transform.e) == (100, -100)
    assert got[0, 0, 0] == pytest.approx(
        np.mean([1000 * r + c for r in range(10) for c in range(10)])
    )


def test_a_finer_size_repeats_cells(release):
    got, _, _ = tiff(release, storage_box(350000, 5700280, 350020, 5700300) + "&scale-factor=0.5")
    upper, lower = [0, 0, 1, 1], [1000, 1000, 1001, 1001]
    assert got[0].tolist() == [upper, upper, lower, lower]


def test_the_question_of_gdal_gets_a_grid_in_degrees(release):
    to_degrees = Transformer.from_crs(25832, 4326, always_xy=True)
    west, south = to_degrees.transform(350100, 5700050)
    east, north = to_degrees.transform(350300, 5700250)
    got, transform, profile = tiff(
        release, f"bbox={west},{south},{east},{north}&scaleSize=Lat(20),Long(40)"
    )
    assert got.shape == (1, 20, 40)
    assert str(profile["crs"]) == "EPSG:4326"
    assert transform.c == pytest.approx(west)
    assert transform.f == pytest.approx(north)
    x, y = Transformer.from_crs(4326, 25832, always_xy=True).transform(*(transform @ (20.5, 10.5)))
    expected = 1000 * math.floor((TOP - y) / CELL) + math.floor((x - LEFT) / CELL)
    assert got[0, 10, 20] == expected


@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:3857", "EPSG:3035"])
def test_another_crs_shows_each_value_at_its_place(release, code):
    got, transform, profile = tiff(release, f"crs={crs.uri_of(code)}")
    assert str(profile["crs"]) == code
    back = Transformer.from_crs(code, 25832, always_xy=True)
    row, col = got.shape[1] // 2, got.shape[2] // 2
    x, y = back.transform(*(transform @ (col + 0.5, row + 0.5)))
    value = got[0, row, col]
    assert abs(value // 1000 - (TOP - y) / CELL) <= 1
    assert abs(value % 1000 - (x - LEFT) / CELL) <= 1


def test_bands_are_chosen_by_name(tmp_path):
    values = np.stack([np.full((ROWS, WIDTH), 1.0), np.full((ROWS, WIDTH), 2.0)])
    write(tmp_path / "r" / "a.tif", 0, values)
    path = manifest(tmp_path / "r", [entry("a.tif", 0)], bands=(("p10", "1"), ("p50", "1")))
    assert tiff(path, "properties=p50,p10&subset=E(350005),N(5700295)")[0].tolist() == [
        [[2]],
        [[1]],
    ]
    assert "p10, p50" in refused(path, "properties=p90")


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
    from pygeoapi.plugin import load_plugin

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
