"""Sentinel-2: values by hand, clouds, overlapping scenes, other CRS, and any cut of the area."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from processes.grid import Bounds
from processes.preprocess.items import scenes
from processes.preprocess.sampling import CellGrid
from processes.preprocess.sentinel2 import METRICS, Rules, percentiles, yearly_metrics
from processes.stage import InputDataError
from tests.processes.preprocess.scenery import (
    UTM32,
    prepare,
    write_items,
    write_objects,
    write_raster,
    write_scene,
)

LEFT, TOP = 300_000.0, 5_700_030.0
PLACE = {"left": LEFT, "top": TOP, "cell": 10.0}
CORE = (LEFT, TOP - 30, LEFT + 30, TOP)
NO_CLOUD = Rules(cloud_radius=0)


def flat(value: int, shape: tuple[int, int] = (3, 3)) -> Any:
    return np.full(shape, value, dtype=np.uint16)


def scl(value: int, shape: tuple[int, int] = (3, 3)) -> Any:
    return np.full(shape, value, dtype=np.uint8)


def grid_of(core: tuple[float, ...] = CORE, crs: str = UTM32) -> CellGrid:
    return CellGrid.covering(Bounds(*core), 10.0, crs)


def metrics_of(found: list[Any], rules: Rules = NO_CLOUD, **more: Any) -> dict[str, Any]:
    files = [path for paths, _ in found for path in paths]
    items = [item for _, item in found]
    metrics = yearly_metrics(scenes(items, files), grid_of(**more), rules)
    return dict(zip(METRICS, metrics.values, strict=True))


def test_indices_of_one_clear_scene_are_those_computed_by_hand(tmp_path: Path) -> None:
    bands = {
        "B02": flat(500),
        "B04": flat(1000),
        "B08": flat(3000),
        "B11": flat(2000),
        "SCL": scl(4),
    }
    found = metrics_of([write_scene(tmp_path, "a", "2023-04-10", bands, **PLACE)])
    assert found["ndvi_p50"] == pytest.approx((0.3 - 0.1) / 0.4)
    assert found["ndmi_p50"] == pytest.approx((0.3 - 0.2) / 0.5)
    assert found["bsi_p50"] == pytest.approx((0.3 - 0.35) / 0.65)
    assert (found["clear_dates"] == 1).all()
    assert (found["bare_dates"] == 0).all()


def test_the_offset_is_applied_to_reflectance_and_dark_cells_do_not_fall_below_zero(
    tmp_path: Path,
) -> None:
    red = flat(2000)
    red[0, 0] = 900  # below the offset: reflectance 0, so NDVI is 1
    bands = {"B04": red, "B08": flat(4000), "SCL": scl(4)}
    found = metrics_of([write_scene(tmp_path, "a", "2023-04-10", bands, offset=-0.1, **PLACE)])
    assert found["ndvi_p50"][1, 1] == pytest.approx((0.3 - 0.1) / 0.4)
    assert found["ndvi_p50"][0, 0] == 1


def test_number_zero_is_no_observation_even_where_the_classification_says_vegetation(
    tmp_path: Path,
) -> None:
    nir = flat(3000)
    nir[2, 1] = 0
    bands = {"B04": flat(1000), "B08": nir, "SCL": scl(4)}
    found = metrics_of([write_scene(tmp_path, "a", "2023-04-10", bands, **PLACE)])
    assert found["clear_dates"].tolist() == [[1, 1, 1], [1, 1, 1], [1, 0, 1]]
    assert np.isnan(found["ndvi_p50"][2, 1])


def test_percentiles_and_seasons_over_five_dates(tmp_path: Path) -> None:
    # NDVI 0.0, 0.2, 0.4, 0.6, 0.8 in March, April, July, September, October
    dates = ["2023-03-01", "2023-04-01", "2023-07-01", "2023-09-01", "2023-10-01"]
    found = []
    for index, day in enumerate(dates):
        ndvi = 0.2 * index
        red, nir = round(5000 * (1 - ndvi)), round(5000 * (1 + ndvi))
        bands = {"B04": flat(red), "B08": flat(nir), "SCL": scl(5)}
        found.append(write_scene(tmp_path, f"s{index}", day, bands, **PLACE))
    values = metrics_of(found)
    assert values["ndvi_p10"] == pytest.approx(0.08, abs=1e-6)
    assert values["ndvi_p50"] == pytest.approx(0.4, abs=1e-6)
    assert values["ndvi_p90"] == pytest.approx(0.72, abs=1e-6)
    assert values["ndvi_spring"] == pytest.approx(0.1, abs=1e-6)
    assert values["ndvi_autumn"] == pytest.approx(0.7, abs=1e-6)
    assert (values["bare_dates"] == 2).all()  # 0.0 and 0.2, both SCL 5
    assert np.isnan(values["ndmi_p50"]).all()


def test_low_ndvi_of_vegetation_is_not_bare_soil(tmp_path: Path) -> None:
    classes = scl(4)
    classes[1, 1] = 5
    bands = {"B04": flat(2000), "B08": flat(2200), "SCL": classes}
    values = metrics_of([write_scene(tmp_path, "a", "2023-04-10", bands, **PLACE)])
    assert values["bare_dates"].sum() == 1
    assert values["bare_dates"][1, 1] == 1


@pytest.mark.parametrize("code", [0, 1, 2, 3, 6, 7, 8, 9, 10, 11])
def test_only_vegetation_and_bare_soil_are_clear(tmp_path: Path, code: int) -> None:
    classes = scl(4)
    classes[1, 1] = code
    bands = {"B04": flat(1000), "B08": flat(3000), "SCL": classes}
    values = metrics_of([write_scene(tmp_path, "a", "2023-04-10", bands, **PLACE)])
    assert values["clear_dates"].sum() == 8
    assert values["clear_dates"][1, 1] == 0


def test_unclassified_cells_count_when_asked_for(tmp_path: Path) -> None:
    bands = {"B04": flat(1000), "B08": flat(3000), "SCL": scl(7)}
    found = [write_scene(tmp_path, "a", "2023-04-10", bands, **PLACE)]
    assert metrics_of(found)["clear_dates"].sum() == 0
    rules = Rules(cloud_radius=0, use_unclassified=True)
    assert metrics_of(found, rules)["clear_dates"].sum() == 9


@pytest.mark.parametrize(
    ("radius", "clouded"), [(0, 1), (9.9, 1), (10, 5), (14.2, 9), (20, 13), (22.4, 21)]
)
def test_a_cloud_widens_to_a_disk_of_the_radius(
    tmp_path: Path, radius: float, clouded: int
) -> None:
    classes = scl(4, (9, 9))
    classes[4, 4] = 9
    bands = {"B04": flat(1000, (9, 9)), "B08": flat(3000, (9, 9)), "SCL": classes}
    found = [write_scene(tmp_path, "a", "2023-04-10", bands, **PLACE)]
    core = (LEFT, TOP - 90, LEFT + 90, TOP)
    values = metrics_of(found, Rules(cloud_radius=radius), core=core)
    assert 81 - values["clear_dates"].sum() == clouded


def test_a_cloud_outside_the_core_reaches_into_it(tmp_path: Path) -> None:
    classes = scl(4, (3, 9))
    classes[:, 0] = 8
    bands = {"B04": flat(1000, (3, 9)), "B08": flat(3000, (3, 9)), "SCL": classes}
    found = [write_scene(tmp_path, "a", "2023-04-10", bands, **PLACE)]
    core = (LEFT + 30, TOP - 30, LEFT + 60, TOP)
    values = metrics_of(found, Rules(cloud_radius=40), core=core)
    assert values["clear_dates"].tolist() == [[0, 0, 1]] * 3


def test_bands_of_20_m_are_interpolated_and_classes_are_not(tmp_path: Path) -> None:
    place = {"left": LEFT, "top": TOP + 10, "crs": UTM32}
    files = [
        write_raster(tmp_path / "B04.tif", flat(1000, (4, 4)), cell=10.0, **place),
        write_raster(tmp_path / "B08.tif", flat(4000, (4, 4)), cell=10.0, **place),
        write_raster(
            tmp_path / "B11.tif", np.uint16([[1000, 2000], [1000, 2000]]), cell=20.0, **place
        ),
        write_raster(tmp_path / "SCL.tif", np.uint8([[4, 9], [4, 9]]), cell=20.0, **place),
    ]
    item = {
        "id": "a",
        "properties": {"cdi:product": "sentinel-2-l2a", "datetime": "2023-04-10T00:00:00Z"},
        "assets": {
            path.stem: {"href": path.name, "cdi:scale": 1 if path.stem == "SCL" else 1e-4}
            for path in files
        },
    }
    core = (LEFT, TOP - 30, LEFT + 40, TOP + 10)
    values = metrics_of([(files, item)], core=core)
    swir = np.array([0.1, 0.125])  # centres a quarter of a cell outside and inside the first centre
    assert values["ndmi_p50"][0, :2] == pytest.approx((0.4 - swir) / (0.4 + swir), abs=1e-6)
    assert values["clear_dates"][0].tolist() == [1, 1, 0, 0]


def test_scenes_of_one_day_are_one_date_and_the_first_that_holds_a_cell_wins(
    tmp_path: Path,
) -> None:
    west, east = scl(4), scl(4)
    west[:, 2] = 0  # beyond the swath
    west[0, 0] = 9  # a cloud: the other scene must not look through it
    found = [
        write_scene(
            tmp_path,
            "a",
            "2023-04-10",
            {"B04": flat(1000), "B08": flat(3000), "SCL": west},
            **PLACE,
        ),
        write_scene(
            tmp_path,
            "b",
            "2023-04-10",
            {"B04": flat(1000), "B08": flat(9000), "SCL": east},
            **PLACE,
        ),
    ]
    values = metrics_of(found)
    assert values["clear_dates"].tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]
    assert values["ndvi_p50"][1].tolist() == pytest.approx([0.5, 0.5, 0.8])


def test_a_cell_at_the_swath_edge_without_reflectance_is_left_to_the_next_scene(
    tmp_path: Path,
) -> None:
    nir = flat(3000)
    nir[:, 2] = 0
    found = [
        write_scene(
            tmp_path, "a", "2023-04-10", {"B04": flat(1000), "B08": nir, "SCL": scl(4)}, **PLACE
        ),
        write_scene(
            tmp_path,
            "b",
            "2023-04-10",
            {"B04": flat(1000), "B08": flat(9000), "SCL": scl(4)},
            **PLACE,
        ),
    ]
    assert metrics_of(found)["ndvi_p50"][0].tolist() == pytest.approx([0.5, 0.5, 0.8])


def test_a_scene_of_the_neighbouring_zone_lands_where_it_belongs(tmp_path: Path) -> None:
    # A field whose NDVI is 0.5 west of a line and 0.8 east of it, given in zone 31; the line runs
    # through the middle of the core, three cells from its edges.
    from pyproj import Transformer

    to_31 = Transformer.from_crs(UTM32, "EPSG:32631", always_xy=True)
    x, y = to_31.transform(LEFT + 30, TOP - 30)
    left, top = round(x, -1) - 500, round(y, -1) + 500
    size = 100
    cells_x = left + (np.arange(size) + 0.5) * 10
    cells_y = top - (np.arange(size) + 0.5) * 10
    back_x, _ = to_31.transform(*np.meshgrid(cells_x, cells_y), direction="INVERSE")
    nir = np.where(back_x < LEFT + 30, 3000, 9000).astype(np.uint16)
    bands = {"B04": flat(1000, (size, size)), "B08": nir, "SCL": scl(4, (size, size))}
    place = {"left": left, "top": top, "cell": 10.0, "crs": "EPSG:32631"}
    found = [write_scene(tmp_path, "a", "2023-04-10", bands, **place)]
    values = metrics_of(found, core=(LEFT, TOP - 60, LEFT + 60, TOP))
    assert (values["clear_dates"] == 1).all()
    assert values["ndvi_p50"][:, [0, 1]] == pytest.approx(0.5)
    assert values["ndvi_p50"][:, [4, 5]] == pytest.approx(0.8)


def test_a_file_without_georeference_lies_where_its_item_says(tmp_path: Path) -> None:
    nir = flat(3000, (2, 2))
    nir[0, 1] = 9000
    files = []
    for band, data in {"B04": flat(1000, (2, 2)), "B08": nir, "SCL": scl(4, (2, 2))}.items():
        path = tmp_path / f"{band}.tif"
        with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
            target = rasterio.open(
                path, "w", driver="GTiff", width=2, height=2, count=1, dtype=data.dtype
            )
        with target:
            target.write(data, 1)
        files.append(path)
    item = {
        "id": "a",
        "properties": {
            "cdi:product": "sentinel-2-l2a",
            "datetime": "2023-04-10T00:00:00Z",
            "proj:code": UTM32,
            "proj:bbox": [LEFT, TOP - 240, LEFT + 240, TOP],
            "proj:shape": [24, 24],  # of the original: the file here has two cells of 120 m
        },
        "assets": {
            path.stem: {"href": path.name, "cdi:scale": 1 if path.stem == "SCL" else 1e-4}
            for path in files
        },
    }
    values = metrics_of([(files, item)], core=(LEFT, TOP - 240, LEFT + 240, TOP))
    assert values["ndvi_p50"].shape == (24, 24)
    assert values["ndvi_p50"][5, 5] == pytest.approx(0.5, abs=1e-6)  # next to the first centre
    assert values["ndvi_p50"][0, 23] == pytest.approx(0.8, abs=1e-6)
    item["properties"].pop("proj:bbox")
    with pytest.raises(InputDataError, match="no georeference"):
        metrics_of([(files, item)])


def test_percentiles_leave_missing_values_out() -> None:
    nan = np.nan
    values = np.array([[3, nan, 1], [nan, nan, nan], [nan, 7, nan]], dtype=np.float32)
    low, middle = percentiles(values, (0.25, 0.5))
    np.testing.assert_array_equal(low, np.float32([1.5, nan, 7]))
    np.testing.assert_array_equal(middle, np.float32([2, nan, 7]))


def test_a_missing_file_of_an_item_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bands = {"B04": flat(1000), "B08": flat(3000), "SCL": scl(4)}
    files, item = write_scene(tmp_path, "a", "2023-04-10", bands, **PLACE)
    items = write_items(tmp_path / "items.json", [item])
    objects = write_objects(tmp_path / "objects.gpkg", {"o": CORE})
    with pytest.raises(InputDataError, match=r"a_SCL\.tif"):
        prepare(CORE, items, objects, s2=files[:2])


def test_dates_that_do_not_count_are_listed_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bands = {"B04": flat(1000), "B08": flat(3000), "SCL": scl(4)}
    given = [
        write_scene(tmp_path, "good", "2023-04-10", bands, **PLACE),
        write_scene(tmp_path, "old", "2022-04-10", bands, **PLACE),
        write_scene(tmp_path, "cloudy", "2023-05-10", {**bands, "SCL": scl(9)}, **PLACE),
        write_scene(tmp_path, "thin", "2023-06-10", {"B04": flat(1), "SCL": scl(4)}, **PLACE),
    ]
    items = write_items(tmp_path / "items.json", [item for _, item in given])
    objects = write_objects(tmp_path / "objects.gpkg", {"o": CORE})
    document = prepare(CORE, items, objects, s2=[path for paths, _ in given for path in paths])
    assert document["sentinel2"] == {
        "dates_used": ["2023-04-10"],
        "dates_discarded": [
            {"date": "2022-04-10", "reason": "outside the period"},
            {"date": "2023-05-10", "reason": "no clear cell"},
            {"date": "2023-06-10", "reason": "thin lacks B08"},
        ],
        "items": ["good"],
    }
    with rasterio.open("sentinel2-b1.tif") as dataset:
        assert dataset.descriptions == METRICS
        assert dataset.bounds == CORE
        assert dataset.dtypes[0] == "float32"
        assert np.isnan(dataset.nodata)


def test_without_sentinel2_there_is_no_file_and_the_document_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    items = write_items(tmp_path / "items.json", [])
    document = prepare(CORE, items, write_objects(tmp_path / "objects.gpkg", {"o": CORE}))
    assert not list(tmp_path.glob("sentinel2-*"))
    assert {"product": "sentinel-2-l2a", "reason": "no clear observation"} in document["missing"]
