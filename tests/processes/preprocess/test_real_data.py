"""Real scenes and images with their traps; read only where `CDI_TEST_DATA` names a copy of them."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio

from processes.preprocess.georeference import Claim, open_placed
from processes.preprocess.registration import evidence, judged
from tests.processes.preprocess.scenery import (
    photo_item,
    prepare,
    write_items,
    write_objects,
    write_raster,
)

ROOT = os.environ.get("CDI_TEST_DATA")
pytestmark = pytest.mark.skipif(
    not ROOT, reason="CDI_TEST_DATA is not set: real scenes are not part of the repository"
)
KEYS = {"B02": "blue", "B04": "red", "B08": "nir", "SCL": "scl"}


def folder(name: str) -> Path:
    path = Path(ROOT or "") / name
    assert path.is_dir(), f"CDI_TEST_DATA lacks {name}"
    return path


def test_resampled_scenes_without_georeference_lie_where_the_item_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The files are bare codestreams of 915 x 915 cells; the items speak of 10980 x 10980 cells of
    # 10 m, state an offset of -0.1 and say that it has been applied.
    monkeypatch.chdir(tmp_path)
    source = folder("H_s2_mapchete_33TWM_3dates_120m_scl_stac")
    items, files = [], []
    for original in sorted(source.glob("*/*.json")):
        item = json.loads(original.read_text())
        assert item["properties"]["earthsearch:boa_offset_applied"] is True
        assets = {}
        for band, key in KEYS.items():
            path = original.parent / f"{band}.tif"
            link = tmp_path / f"{item['id']}_{band}.tif"
            link.symlink_to(path)
            files.append(link)
            told = item["assets"][key]
            assets[band] = {
                "href": link.name,
                "proj:shape": told["proj:shape"],
                "proj:transform": told["proj:transform"],
                "cdi:scale": 1.0 if band == "SCL" else 0.0001,
                "cdi:offset": 0.0,
                "cdi:nodata": 0,
            }
        item["assets"] = assets
        item["properties"]["cdi:product"] = "sentinel-2-l2a"
        items.append(item)
    crs, core = "EPSG:25833", (550_000, 5_150_000, 553_000, 5_153_000)
    objects = write_objects(tmp_path / "o.gpkg", {"o": core}, crs=crs)
    given = write_items(tmp_path / "i.json", items)
    document = prepare(core, given, objects, s2=files, crs=crs, cloud_radius=240)
    assert "2023-08-13" in document["sentinel2"]["dates_used"]
    day = "2023-08-13/2023-08-13"
    prepare(core, given, objects, s2=files, crs=crs, cloud_radius=0, period=day)
    with rasterio.open("sentinel2-b1.tif") as dataset:
        ndvi = dataset.read(2)
        assert dataset.transform.a == 10
    # Forest and meadows of Styria in August. Subtracting the offset again would give about 0.95.
    assert 0.6 < np.nanmedian(ndvi) < 0.9
    fits = {move: _misfit(source / "S2B_33TWM_20230813_0_L2A", ndvi, core, move) for move in MOVES}
    assert min(fits, key=lambda move: fits[move]) == (0, 0)
    assert fits[0, 0] < 0.02


MOVES = [(row, col) for row in (-1, 0, 1) for col in (-1, 0, 1)]


def _misfit(scene: Path, ndvi: Any, core: Any, move: tuple[int, int]) -> float:
    """Compare cells near the centre of a 120 m cell with that cell, or with its neighbour."""
    x = core[0] + 5 + 10 * np.arange(ndvi.shape[1]) - 499_980
    y = 5_200_020 - core[3] + 5 + 10 * np.arange(ndvi.shape[0])
    cols, rows = (np.flatnonzero(np.abs(place % 120 - 60) <= 5) for place in (x, y))
    cells = np.ix_(y[rows] // 120 + move[0], x[cols] // 120 + move[1])
    red, nir = (_numbers(scene / f"{band}.tif")[cells] for band in ("B04", "B08"))
    return float(np.nanmedian(np.abs((nir - red) / (nir + red) - ndvi[np.ix_(rows, cols)])))


@cache
def _numbers(path: Path) -> Any:
    claim = Claim("EPSG:32633", (499_980, 5_090_220, 609_780, 5_200_020))
    with open_placed(path, claim) as (dataset, grid):
        assert grid.res_x == 120
        return dataset.read(1).astype(float)


def test_a_classification_grid_larger_than_the_bands_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two bands of 10 m and a classification of 20 m that reaches 10 m further east and north.
    monkeypatch.chdir(tmp_path)
    source = folder("G_s2_sen2rts_60dates_ndvi_scl")
    items, files, expected = [], [], {}
    for path in sorted((source / "NDVI").glob("*.tif"))[::3]:
        day = f"{path.name[6:10]}-{path.name[10:12]}-{path.name[12:14]}"
        scl = source / "SCL" / path.name.replace("NDVI", "SCL")
        with rasterio.open(path) as dataset:
            ndvi = dataset.read(1)
            place = {
                "left": dataset.bounds.left,
                "top": dataset.bounds.top,
                "cell": 10.0,
                "crs": dataset.crs,
            }
            core = tuple(dataset.bounds)
        # red and infrared that have this NDVI
        known = np.where(ndvi == -32768, 0, ndvi / 10000)
        red = np.where(ndvi == -32768, 0, 5000 * (1 - known)).round().astype(np.uint16)
        nir = np.where(ndvi == -32768, 0, 5000 * (1 + known)).round().astype(np.uint16)
        item: dict[str, Any] = {
            "id": path.stem,
            "properties": {"cdi:product": "sentinel-2-l2a", "datetime": f"{day}T10:00:00Z"},
            "assets": {},
        }
        link = tmp_path / scl.name
        link.symlink_to(scl)
        for band, file in (
            ("B04", write_raster(tmp_path / f"{path.stem}_B04.tif", red, **place)),
            ("B08", write_raster(tmp_path / f"{path.stem}_B08.tif", nir, **place)),
            ("SCL", link),
        ):
            scale = 1 if band == "SCL" else 1e-4
            item["assets"][band] = {"href": file.name, "cdi:scale": scale}
            files.append(file)
        items.append(item)
        with rasterio.open(scl) as dataset:
            coarse = dataset.read(1)
        shown = coarse[0:7, :].repeat(2, axis=0).repeat(2, axis=1)
        top = round((dataset.bounds.top - core[3]) / 10)
        fine = shown[top : top + 7, :25]
        expected[day] = np.isin(fine, (4, 5)) & (ndvi != -32768)
    crs = "EPSG:32632"
    objects = write_objects(tmp_path / "o.gpkg", {"o": core}, crs=crs)
    document = prepare(
        core,
        write_items(tmp_path / "i.json", items),
        objects,
        s2=files,
        crs=crs,
        cloud_radius=0,
        period="2020-01-01/2020-12-31",
    )
    with rasterio.open("sentinel2-b1.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(9), sum(expected.values()))
        ndvi_p90 = dataset.read(3)
    assert document["sentinel2"]["dates_used"] == sorted(d for d, e in expected.items() if e.any())
    assert 0.5 < np.nanmedian(ndvi_p90) <= 1


def danish_patch() -> tuple[Any, Any]:
    patch = folder("A_dk_rgbi20cm_chm40cm_crowns") / "patch41"
    bands = []
    for name in ("red", "green", "blue", "infrared"):
        with rasterio.open(patch / f"{name}_41.png") as dataset:
            bands.append(dataset.read(1))
    with rasterio.open(patch / "chm_41.png") as dataset:
        heights = dataset.read(1)
    return np.stack(bands), np.where(heights < -100, np.nan, heights)


def test_the_displaced_height_model_of_a_danish_wood_is_found() -> None:
    image, heights = danish_patch()
    rows, cols = (side // 2 for side in image.shape[1:])
    image = image[:, : rows * 2, : cols * 2].reshape(4, rows, 2, cols, 2).mean(axis=(2, 4))
    told = evidence(image.astype(np.float32), heights[:rows, :cols], 0.4)
    assert told is not None
    found = judged(told, 1.0, 0.35)
    assert found.status == "shifted"
    # measured by eye and by another method: about 2.2 m east, 0.6 m north
    assert (found.dx, found.dy) == pytest.approx((2.2, 0.6), abs=0.4)


def test_the_stage_reads_the_danish_wood_with_its_nameless_crs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image, _ = danish_patch()
    patch = folder("A_dk_rgbi20cm_chm40cm_crowns") / "patch41"
    with rasterio.open(patch / "red_41.png") as dataset:
        bounds, crs = dataset.bounds, dataset.crs
        assert crs.to_epsg() is None
    pixels = image.clip(1, 255).round().astype(np.uint8)
    dop = write_raster(
        tmp_path / "dop.tif", pixels, left=bounds.left, top=bounds.top, cell=0.2, crs=crs.to_wkt()
    )
    item = photo_item(dop)
    item["properties"]["proj:code"] = "EPSG:25832"
    core = (bounds.left, bounds.bottom, bounds.right, bounds.top)
    inner = (bounds.left + 10.2, bounds.bottom + 10.2, bounds.right - 10.2, bounds.top - 10.2)
    found = prepare(
        core,
        write_items(tmp_path / "i.json", [item]),
        write_objects(tmp_path / "o.gpkg", {"wood": inner}),
        dop=[dop],
        ndom=[patch / "chm_41.png"],
    )["registration"]
    assert found["status"] == "shifted"
    assert (found["dx_m"], found["dy_m"]) == pytest.approx((2.2, 0.6), abs=0.4)


def test_an_aerial_image_with_red_stored_as_alpha_is_read_in_the_order_that_the_item_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "Abies_alba_1_1005_WEFL_NLF.tif"
    source = folder("E_treesatai_rgbi20cm_s2timeseries") / name
    link = tmp_path / name
    link.symlink_to(source)
    with rasterio.open(source) as dataset:
        given, bounds = dataset.read(), dataset.bounds
    order = [{"name": name} for name in ("nir", "green", "blue", "red")]
    core = tuple(round(value, 1) for value in bounds)
    inner = (core[0] + 20, core[1] + 20, core[2] - 20, core[3] - 20)
    document = prepare(
        core,
        write_items(tmp_path / "i.json", [photo_item(link, bands=order)]),
        write_objects(tmp_path / "o.gpkg", {"stand": inner}),
        dop=[link],
    )
    assert document["image"]["objects"] == ["stand"]
    with rasterio.open("image-b1.tif") as dataset:
        found = dataset.read()
    valid = given.any(axis=0)
    np.testing.assert_array_equal(found[:, valid], np.maximum(given[[3, 1, 2, 0]], 1)[:, valid])
    assert cv2.countNonZero(found[3]) == valid.sum()
