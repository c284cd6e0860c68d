"""Reading across files, zonal medians and image shares on rasters that fit on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import MultiPolygon, Polygon, box

from processes.assess.evidence_image import crown_ndvi, image_evidence, view_of
from processes.assess.evidence_sentinel2 import BANDS, sentinel2_evidence, weighted_median
from processes.assess.evidence_surface import MOST_CELLS, Crowns, shape_of, surface_evidence
from processes.assess.mosaic import Mosaic
from processes.assess.thresholds import Thresholds
from processes.grid import Bounds
from processes.stage import InputDataError

NONE = np.empty(0, dtype=object)


def write(path: Path, left: float, top: float, cell: float, data: Any, nodata: Any = None) -> Path:
    bands = np.asarray(data)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
        dtype=bands.dtype, crs="EPSG:25832", transform=from_origin(left, top, cell, cell),
        nodata=nodata, ALPHA="UNSPECIFIED",
    ) as dataset:  # fmt: skip
        dataset.write(bands)
    return path


def coordinates(left: int, top: int, size: int) -> Any:
    """Cells of 1 m whose value is 1000 * east + north of their lower left corner."""
    east, north = np.meshgrid(left + np.arange(size), top - 1 - np.arange(size))
    return (1000 * east + north)[None].astype("float32")


def test_an_object_beyond_all_bounds_is_measured_without_memory_for_all_its_cells(
    tmp_path: Path,
) -> None:
    ones = np.ones((len(BANDS), 100, 100), dtype="float32")
    ground = Mosaic([write(tmp_path / "g.tif", 0, 100, 1.0, ones[:1], -1)])
    metrics = Mosaic([write(tmp_path / "m.tif", 0, 1000, 10.0, ones, -1)])
    image = Mosaic([write(tmp_path / "i.tif", 0, 100, 1.0, np.full((4, 100, 100), 9, "uint8"), 0)])
    huge = box(-200_000, -200_000, 200_000, 200_000)
    assert ground.step_for(Bounds(*huge.bounds), MOST_CELLS) > 60
    none = Crowns(NONE, NONE, np.empty((0, 2)), *[np.empty(0)] * 2, np.empty(0, dtype=bool))
    found = surface_evidence(huge, none, NONE, None, ground, Thresholds())
    assert found is None or found.share < 1e-4
    assert sentinel2_evidence(huge, metrics, 4) is not None
    view_of(huge, NONE, image)


def test_an_object_smaller_than_a_cell_is_not_without_data(tmp_path: Path) -> None:
    ground = Mosaic([write(tmp_path / "g.tif", 0, 9, 1.0, np.ones((1, 9, 9), "float32"), -1)])
    none = Crowns(NONE, NONE, np.empty((0, 2)), *[np.empty(0)] * 2, np.empty(0, dtype=bool))
    tiny = box(4.1, 4.1, 4.2, 4.2)
    found = surface_evidence(tiny, none, NONE, None, ground, Thresholds())
    assert found is not None
    assert (found.share, found.trees) == (1.0, 0)


def test_window_across_files_holds_the_value_of_its_place(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"{left}_{top}.tif", left, top, 1.0, coordinates(left, top, 10), -1)
        for left, top in ((0, 10), (10, 10), (0, 20))
    ]
    found = Mosaic(paths).read(Bounds(8, 8, 12, 12), [1])
    assert found is not None
    expected = np.array([
        [8011, 9011, np.nan, np.nan],
        [8010, 9010, np.nan, np.nan],
        [8009, 9009, 10009, 11009],
        [8008, 9008, 10008, 11008],
    ])  # fmt: skip
    np.testing.assert_array_equal(found[0][0], expected)
    assert found[1] == from_origin(8, 12, 1, 1)


def test_every_fifth_cell_is_the_same_from_whole_and_cut(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.tif", 0, 23, 1.0, coordinates(0, 23, 23), -1)
    cut = coordinates(0, 23, 23)
    left = write(tmp_path / "left.tif", 0, 23, 1.0, cut[:, :, :7], -1)
    right = write(tmp_path / "right.tif", 7, 23, 1.0, cut[:, :, 7:], -1)
    window = Bounds(1, 2, 19, 18)
    one, two = Mosaic([whole]).read(window, [1], 5), Mosaic([left, right]).read(window, [1], 5)
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one[0], two[0])
    # Cells of 5 m from the origin, each seen in its middle.
    assert one[0][0, 0, 0] == 1000 * 2 + 17
    assert one[1] == from_origin(0, 20, 5, 5)


def test_window_outside_all_files_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "one.tif", 0, 10, 1.0, coordinates(0, 10, 10))
    assert Mosaic([path]).read(Bounds(20, 20, 30, 30), [1]) is None


def test_files_of_different_grids_are_refused_by_name(tmp_path: Path) -> None:
    first = write(tmp_path / "first.tif", 0, 10, 1.0, coordinates(0, 10, 10))
    other = write(tmp_path / "other.tif", 10.5, 10, 1.0, coordinates(10, 10, 10))
    with pytest.raises(InputDataError, match=r"other\.tif"):
        Mosaic([first, other])


def test_weighted_median_takes_the_value_that_reaches_half_the_weight() -> None:
    values = np.array([1.0, 2.0, 3.0, np.nan])
    assert weighted_median(values, np.array([1.0, 1.0, 1.0, 9.0])) == 2.0
    assert weighted_median(values, np.array([0.2, 0.2, 1.0, 0.0])) == 3.0
    assert weighted_median(values, np.zeros(4)) is None


def test_sentinel2_uses_the_inside_where_it_is_large_enough(tmp_path: Path) -> None:
    # 5 x 5 cells of grass with a rim of field; an object over all of it sees 3 x 3 of grass.
    grass = np.zeros((5, 5), bool)
    grass[1:4, 1:4] = True
    bands = [np.where(grass, 0.7, 0.2)] * 7 + [np.where(grass, 0, 2), np.full((5, 5), 8.0)]
    path = write(tmp_path / "s2.tif", 0, 50, 10.0, np.array(bands, "float32"), np.nan)
    found = sentinel2_evidence(box(0, 0, 50, 50), Mosaic([path]), 4.0)
    assert found is not None
    assert (found.pixels, found.ndvi_p50, found.bare_dates) == (9.0, 0.7, 0.0)
    assert found.reference_ndvi_p50 is None
    narrow = sentinel2_evidence(box(0, 0, 10, 50), Mosaic([path]), 4.0)
    assert narrow is not None
    assert (narrow.pixels, narrow.ndvi_p50, narrow.bare_dates) == (5.0, 0.2, 2.0)


def test_reference_is_the_grassland_around_without_fields_and_the_object(tmp_path: Path) -> None:
    ndvi = np.full((20, 20), 0.6, "float32")
    ndvi[:, 10:] = 0.9  # a field, bare at times
    ndvi[8:12, 3:7] = 0.4  # the object
    bare = np.zeros((20, 20), "float32")
    bare[:, 10:] = 1
    bands = np.array([ndvi] * 7 + [bare, np.full((20, 20), 8.0)], "float32")
    path = write(tmp_path / "s2.tif", 0, 200, 10.0, bands, np.nan)
    found = sentinel2_evidence(box(30, 80, 70, 120), Mosaic([path]), 4.0)
    assert found is not None
    assert found.reference_ndvi_p50 == pytest.approx(0.6)
    assert found.difference == pytest.approx(-0.2)


def test_sentinel2_without_a_known_pixel_is_no_evidence(tmp_path: Path) -> None:
    path = write(tmp_path / "s2.tif", 0, 50, 10.0, np.full((9, 5, 5), np.nan, "float32"), np.nan)
    assert sentinel2_evidence(box(0, 0, 50, 50), Mosaic([path]), 4.0) is None


def image_of(tmp_path: Path, bands: int = 4) -> Mosaic:
    """8 m by 8 m at 0.5 m: left half green (NDVI 0.5), right half soil (NDVI 0)."""
    red = np.full((16, 16), 50)
    nir = np.where(np.arange(16) < 8, 150, 50) * np.ones((16, 1), int)
    data = np.array([red, red, red, nir][:bands], "uint8")
    return Mosaic([write(tmp_path / "image.tif", 0, 8, 0.5, data, 0)])


def test_image_shares_are_those_of_the_ground_between_crowns(tmp_path: Path) -> None:
    image, limits = image_of(tmp_path), Thresholds()
    crowns = np.array([box(5, 1, 7, 7)], dtype=object)
    everything = box(0, 0, 8, 8)
    view = view_of(everything, crowns, image)
    found = image_evidence(everything, view, frozenset({7}), limits)
    assert found is not None
    assert (found.share, found.open_share, found.leaf_on) == (1.0, 0.5, True)
    # The crown with 1 m around it hides all soil but three cells at each of its rounded corners.
    assert found.green_share == pytest.approx(128 / (128 + 12), abs=0.001)
    assert found.rough_share == 0.0
    assert crown_ndvi(view, 1).tolist() == [0.0]


def test_image_without_infrared_gives_no_ndvi(tmp_path: Path) -> None:
    image = image_of(tmp_path, bands=3)
    everything = box(0, 0, 8, 8)
    view = view_of(everything, NONE, image)
    found = image_evidence(everything, view, frozenset(), Thresholds())
    assert found is not None
    assert (found.green_share, found.open_share, found.leaf_on) == (None, None, None)


def test_image_of_half_the_object_says_so(tmp_path: Path) -> None:
    view = view_of(box(0, 0, 16, 8), NONE, image_of(tmp_path))
    found = image_evidence(box(0, 0, 16, 8), view, frozenset(), Thresholds())
    assert found is not None
    assert found.share == 0.5


def test_shape_is_measured_along_the_object() -> None:
    assert shape_of(box(0, 0, 60, 20)) == (3.0, 20.0)
    turned = Polygon([(0, 0), (48, 36), (36, 52), (-12, 16)])  # 60 m by 20 m
    assert shape_of(turned) == (3.0, 20.0)


def test_shape_of_an_object_in_parts_is_that_of_the_largest() -> None:
    parts = MultiPolygon([box(0, 0, 60, 20), box(500, 0, 510, 10)])
    assert shape_of(parts) == (3.0, 20.0)
