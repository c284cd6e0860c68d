"""Coverage answers hold the values of the files and lie where they say.

Cells are numbered: a value is 1000 * row + column of the mosaic.
"""

import math

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.windows import Window

from ogcapi import crs
from tests.ogcapi.providers.coverage_files import (
    CELL,
    COLS,
    LEFT,
    ROWS,
    TOP,
    WIDTH,
    entry,
    manifest,
    refused,
    storage_box,
    tiff,
    two_rasters,
    write,
)


@pytest.fixture
def release(tmp_path):
    return two_rasters(tmp_path / "000001")


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
