"""The orthophoto: only around objects, right bands, and none of the traps of real files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from processes.stage import InputDataError
from tests.processes.preprocess.scenery import (
    UTM32,
    photo_item,
    prepare,
    write_items,
    write_objects,
    write_raster,
)

LEFT, BOTTOM = 300_000.0, 5_700_000.0
CORE = (LEFT, BOTTOM, LEFT + 1000, BOTTOM + 1000)
OBJECT = (LEFT + 100, BOTTOM + 800, LEFT + 150, BOTTOM + 850)


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def coordinates(bands: int = 4, side: int = 1000) -> Any:
    """Pixels that tell where they are: band b holds 1 + (row + 2 col + b) mod 250."""
    row, col, band = np.ogrid[:side, :side, :bands]
    return (1 + (row + 2 * col + band) % 250).astype(np.uint8).transpose(2, 0, 1)


def tile(name: str = "dop.tif", data: Any = None, left: float = LEFT, **more: Any) -> Path:
    data = coordinates() if data is None else data
    more.setdefault("cell", 1.0)
    return write_raster(Path(name), data, left=left, top=BOTTOM + 1000, **more)


def run_on(tiles: list[Path], objects: dict[str, Any], **more: Any) -> dict[str, Any]:
    items = more.pop("items", None) or [photo_item(path) for path in tiles]
    return prepare(
        CORE,
        write_items(Path("items.json"), items),
        write_objects(Path("objects.gpkg"), objects),
        dop=tiles,
        **more,
    )


def pixels() -> Any:
    with rasterio.open("image-b1.tif") as dataset:
        return dataset.read()


def test_pixels_around_the_object_are_kept_and_all_others_are_empty() -> None:
    document = run_on([tile()], {"o": OBJECT})
    found, given = pixels(), coordinates()
    window = (slice(None), slice(130, 220), slice(80, 170))  # 20 m around, rows from the top
    np.testing.assert_array_equal(found[window], given[window])
    found[window] = 0
    assert not found.any()
    assert document["image"] == {
        "objects": ["o"],
        "bands": ["red", "green", "blue", "nir"],
        "date": "2022-06-01",
        "dates": ["2022-06-01"],
        "campaign": "flight-1",
        "campaigns": ["flight-1"],
        "items": ["dop"],
    }


def test_the_file_is_sparse_tiled_and_names_its_bands() -> None:
    run_on([tile()], {"o": OBJECT})
    with rasterio.open("image-b1.tif") as dataset:
        assert dataset.descriptions == ("red", "green", "blue", "nir")
        assert dataset.bounds == CORE
        assert dataset.nodata == 0
        assert ColorInterp.alpha not in dataset.colorinterp
        assert dataset.block_shapes[0] == (512, 512)
        # blocks that no object touches take no space in the file
        offsets = [
            dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)
            for row in (0, 1)
            for col in (0, 1)
        ]
    assert [offset is not None for offset in offsets] == [True, False, False, False]


def test_an_object_across_two_tiles_shows_both() -> None:
    data = coordinates(side=1000)
    west = tile("west.tif", data[:, :, :120])
    east = tile("east.tif", data[:, :, 120:], left=LEFT + 120)
    document = run_on([west, east], {"o": OBJECT})
    np.testing.assert_array_equal(pixels()[:, 130:220, 80:170], data[:, 130:220, 80:170])
    assert document["image"]["items"] == ["east", "west"]


def test_the_newer_of_two_overlapping_tiles_covers_the_older_where_it_has_an_image() -> None:
    new = np.full((4, 1000, 1000), 9, np.uint8)
    new[:, :, :100] = 0
    tiles = [tile("a_new.tif", new), tile("b_old.tif", np.full((4, 1000, 1000), 7, np.uint8))]
    items = [photo_item(tiles[0], "2023-05-01"), photo_item(tiles[1], "2020-05-01")]
    document = run_on(tiles, {"o": OBJECT}, items=items)
    assert pixels()[0, 140, [90, 110]].tolist() == [7, 9]
    assert document["image"]["date"] == "2020-05-01"
    assert document["image"]["dates"] == ["2020-05-01", "2023-05-01"]


def test_of_an_image_whose_day_is_unknown_no_day_is_claimed() -> None:
    tiles = [tile("a_new.tif", np.full((4, 1000, 1000), 9, np.uint8)), tile("b_old.tif")]
    items = [photo_item(path, None) for path in tiles]
    for item, year in zip(items, ("2023", "2020"), strict=True):
        item["properties"]["start_datetime"] = f"{year}-01-01T00:00:00Z"
    document = run_on(tiles, {"o": OBJECT}, items=items)
    assert document["image"]["date"] is None
    assert (pixels()[:, 130:220, 80:170] == 9).all()  # the newer year still covers the older


def test_an_image_without_infrared_has_three_bands() -> None:
    document = run_on([tile(data=coordinates(3))], {"o": OBJECT})
    assert document["image"]["bands"] == ["red", "green", "blue"]
    assert pixels().shape[0] == 3


def test_a_tile_without_infrared_beside_one_with_it_is_empty_in_that_band() -> None:
    west = tile("west.tif", coordinates(3)[:, :, :120])
    east = tile("east.tif", coordinates(4)[:, :, 120:], left=LEFT + 120)
    run_on([west, east], {"o": OBJECT})
    nir = pixels()[3]
    assert not nir[:, :120].any()
    assert nir[140, 130] == coordinates(4)[3, 140, 130]


def test_infrared_stored_as_alpha_hides_nothing() -> None:
    data = coordinates()
    data[3, 140:150, 90:100] = 0  # dark in the infrared: transparent, were it an alpha channel
    path = tile(data=data, photometric="RGB", alpha="yes")
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp[3] == ColorInterp.alpha
    run_on([path], {"o": OBJECT})
    np.testing.assert_array_equal(pixels()[:3, 140:150, 90:100], data[:3, 140:150, 90:100])


def test_a_mask_in_the_fourth_band_is_no_infrared_and_hides_what_it_masks() -> None:
    data = coordinates()
    data[3] = 255
    data[:, 140:150, 90:100] = 255  # white where there is no image
    data[3, 140:150, 90:100] = 0
    run_on([tile(data=data, photometric="RGB", alpha="yes")], {"o": OBJECT})
    assert len(pixels()) == 3
    assert not pixels()[:, 140:150, 90:100].any()
    assert pixels()[:, 150:160, 90:100].all()


def test_bands_without_blue_are_refused_by_their_names() -> None:
    path = tile(data=coordinates(3))
    bands = [{"name": "nir"}, {"name": "red"}, {"name": "green"}]
    with pytest.raises(InputDataError, match="nir, red, green"):
        run_on([path], {"o": OBJECT}, items=[photo_item(path, bands=bands)])


def test_a_saturated_band_is_kept_and_a_pixel_of_nodata_in_all_bands_is_not() -> None:
    data = coordinates()
    data[0, 140, 90] = 255
    data[:, 141, 90] = 255
    run_on([tile(data=data, nodata=255)], {"o": OBJECT})
    assert pixels()[:, 140, 90].tolist() == data[:, 140, 90].tolist()
    assert pixels()[:, 141, 90].tolist() == [0, 0, 0, 0]


def test_a_white_pixel_is_an_image_when_the_file_does_not_say_otherwise() -> None:
    data = coordinates()
    data[:, 141, 90] = 255
    run_on([tile(data=data)], {"o": OBJECT})
    assert pixels()[:, 141, 90].tolist() == [255] * 4


def test_a_black_band_of_a_valid_pixel_is_not_taken_for_nodata() -> None:
    data = coordinates()
    data[2, 140, 90] = 0
    run_on([tile(data=data)], {"o": OBJECT})
    assert pixels()[2, 140, 90] == 1


def test_bands_in_another_order_are_sorted_by_what_item_or_file_say() -> None:
    data = coordinates()  # stored as nir, green, blue, red
    order = ["nir", "green", "blue", "red"]
    path = tile("a.tif", data)
    item = photo_item(path, bands=[{"name": name} for name in order])
    run_on([path], {"o": OBJECT}, items=[item])
    np.testing.assert_array_equal(pixels()[:, 140, 90], data[[3, 1, 2, 0], 140, 90])
    run_on([tile("b.tif", data, descriptions=order)], {"o": OBJECT})
    np.testing.assert_array_equal(pixels()[:, 140, 90], data[[3, 1, 2, 0], 140, 90])


def test_a_crs_with_another_text_but_the_same_places_is_accepted() -> None:
    known = rasterio.crs.CRS.from_epsg(25832).to_wkt()
    wkt = re.sub(r',AUTHORITY\["EPSG","\d+"\]', "", known)
    wkt = re.sub(r'(PROJCS|GEOGCS|DATUM)\["[^"]+"', r'\1["my own"', wkt)
    assert rasterio.crs.CRS.from_wkt(wkt).to_epsg() is None
    run_on([tile(crs=wkt)], {"o": OBJECT})
    assert pixels().any()


def test_a_local_crs_is_replaced_by_that_of_the_item() -> None:
    path = tile(crs='LOCAL_CS["nameless",UNIT["metre",1]]')
    with pytest.raises(InputDataError, match="no CRS"):
        run_on([path], {"o": OBJECT})
    item = photo_item(path)
    item["properties"]["proj:epsg"] = 25832
    run_on([path], {"o": OBJECT}, items=[item])
    assert pixels().any()


def test_another_zone_is_refused() -> None:
    with pytest.raises(InputDataError, match="another CRS"):
        run_on([tile(crs="EPSG:25833")], {"o": OBJECT})


def test_sixteen_bits_are_refused() -> None:
    with pytest.raises(InputDataError, match="8 bit"):
        run_on([tile(data=coordinates().astype(np.uint16))], {"o": OBJECT})


def test_tiles_of_different_resolution_are_refused() -> None:
    tiles = [tile("a.tif"), tile("b.tif", cell=0.2)]
    with pytest.raises(InputDataError, match="share a grid"):
        run_on(tiles, {"o": OBJECT})


def test_a_truncated_tile_is_named() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (4, 1000, 1000)).astype(np.uint8)
    path = tile(data=noise, tiled=True, blockxsize=256, blockysize=256)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    below = (LEFT + 100, BOTTOM + 100, LEFT + 150, BOTTOM + 150)
    with pytest.raises(InputDataError, match=r"dop\.tif"):
        run_on([path], {"o": below})


def test_jpeg_2000_is_read() -> None:
    data = np.full((4, 1000, 1000), 40, np.uint8)
    data[:, 100:300, 50:200] = 200
    with rasterio.open(
        "dop.jp2", "w", driver="JP2OpenJPEG", width=1000, height=1000, count=4, dtype="uint8",
        crs=UTM32, transform=rasterio.transform.from_origin(LEFT, BOTTOM + 1000, 1, 1),
        QUALITY="100", REVERSIBLE="YES",
    ) as target:  # fmt: skip
        target.write(data)
    run_on([Path("dop.jp2")], {"o": OBJECT})
    np.testing.assert_array_equal(pixels()[:, 130:220, 80:170], data[:, 130:220, 80:170])


def test_finer_pixels_are_averaged_where_they_show_an_image() -> None:
    data = np.zeros((4, 1000, 1000), np.uint8)
    data[:, 140:142, 90:92] = [[10, 20], [30, 41]]  # mean 25.25
    data[:, 142, 92] = 99  # the only one of four
    document = run_on([tile(data=data)], {"o": OBJECT}, image_resolution=2)
    assert document["image"]["objects"] == ["o"]
    found = pixels()
    assert found.shape == (4, 500, 500)
    assert found[0, 70, 45:47].tolist() == [25, 0]
    assert found[0, 71, 46] == 99


def test_reducing_goes_by_powers_of_two_and_not_beyond_the_resolution() -> None:
    for resolution, side in ((0, 1000), (1, 1000), (1.9, 1000), (3.9, 500), (4, 250)):
        run_on([tile()], {"o": OBJECT}, image_resolution=resolution)
        assert pixels().shape[1:] == (side, side)


def test_overviews_of_the_file_are_used() -> None:
    path = tile()
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2], rasterio.enums.Resampling.nearest)
    run_on([path], {"o": OBJECT}, image_resolution=2)
    with rasterio.open(path, overview_level=0) as overview:
        expected = overview.read()[:, 65:110, 40:85]
    np.testing.assert_array_equal(pixels()[:, 65:110, 40:85], expected)


@pytest.mark.parametrize(
    "objects",
    [{"far": (LEFT + 5000, BOTTOM, LEFT + 5010, BOTTOM + 10)}, {"empty": OBJECT}],
)
def test_without_an_image_of_an_object_there_is_no_file(objects: dict[str, Any]) -> None:
    data = coordinates()
    data[:, :300, :300] = 0
    document = run_on([tile(data=data)], objects)
    assert not Path("image-b1.tif").exists()
    assert document["image"]["objects"] == []
    assert document["image"]["date"] is None
    assert [m["object_id"] for m in document["missing"] if m["product"] == "dop"] == (
        ["empty"] if "empty" in objects else []
    )


def test_objects_in_another_crs_are_refused() -> None:
    objects = write_objects(Path("objects.gpkg"), {"o": OBJECT}, crs="EPSG:25833")
    with pytest.raises(InputDataError, match="another CRS"):
        prepare(CORE, write_items(Path("items.json"), []), objects)


def test_an_inventory_that_is_no_geopackage_is_refused() -> None:
    Path("objects.gpkg").write_text("no database")
    with pytest.raises(InputDataError, match="objects cannot be read"):
        prepare(CORE, write_items(Path("items.json"), []), Path("objects.gpkg"))
