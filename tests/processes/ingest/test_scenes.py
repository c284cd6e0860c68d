"""Real STAC items of two catalogues, reduced to bands, offsets and datatakes."""

import json
from pathlib import Path

import pytest

from processes.ingest.scenes import one_copy, scene_from_item
from tests.processes.ingest.scenery import DATA, FULL, WITHOUT_RECORDINGS, read


def recorded(folder, name):
    return scene_from_item(read(next((DATA / folder).glob(f"*{name}*.json"))))


@pytest.mark.parametrize(
    ("folder", "name", "offset"),
    [
        ("earthsearch", "33TWN_20220122", 0.0),  # baseline 03.01 knows no offset
        ("earthsearch", "33TWN_20220130", 0.0),  # 04.00, taken out by Earth Search
        ("earthsearch", "33TWN_20220226", -0.1),  # 04.00, not taken out
        ("earthsearch", "12RWT_20240106", 0.0),  # 05.10, taken out, `raster:bands` says -0.1
        ("cdse", "T32TMT_20230613", -0.1),  # reprocessed to 05.00, as the producer delivers it
    ],
)
def test_the_offset_is_what_the_numbers_still_need(folder, name, offset):
    scene = recorded(folder, name)
    assert {asset.offset for band, asset in scene.assets.items() if band != "SCL"} == {offset}
    assert {asset.scale for band, asset in scene.assets.items() if band != "SCL"} == {0.0001}
    assert (scene.assets["SCL"].scale, scene.assets["SCL"].offset) == (1, 0)


def test_without_a_baseline_the_asset_s_own_statement_counts():
    item = read(DATA / "earthsearch" / "S2B_33TWN_20220226_0_L2A.json")
    for key in ("s2:processing_baseline", "s2:product_uri", "earthsearch:boa_offset_applied"):
        del item["properties"][key]
    assert scene_from_item(item).assets["B04"].offset == -0.1
    del item["assets"]["red"]["raster:bands"]
    assert scene_from_item(item).assets["B04"].offset == -0.1  # since 2022-01-25
    item["properties"]["datetime"] = "2022-01-24T10:00:00Z"
    assert scene_from_item(item).assets["B04"].offset == 0


@pytest.mark.parametrize(
    ("folder", "name"), [("earthsearch", "12RWT"), ("cdse", "T32TMT_20230613")]
)
def test_the_bands_have_one_name_in_both_catalogues(folder, name):
    assert list(recorded(folder, name).assets) == ["B02", "B03", "B04", "B08", "B11", "B12", "SCL"]


def test_datatake_tile_and_baseline_are_read_from_both_catalogues():
    earth, cdse = recorded("earthsearch", "12RWT"), recorded("cdse", "T32TMT_20230613")
    assert (earth.datatake, earth.grid, earth.baseline) == (
        *("GS2A_20240106T175731_044611", "12RWT", "05.10"),
    )
    assert (cdse.datatake, cdse.grid, cdse.baseline) == (
        *("GS2A_20200703T103031_026274", "32TMT", "05.00"),
    )


def test_objects_in_s3_are_reached_over_https_with_a_login():
    asset = recorded("cdse", "T32TMT_20230613").assets["B04"]
    assert asset.href.startswith("https://zipper.dataspace.copernicus.eu/")
    assert asset.login
    assert asset.checksum[0] == "sha3_256"
    assert len(asset.checksum[1]) == 64


def copies():
    """One datatake three times: first processing, a second sequence of it, a newer baseline."""
    item = read(DATA / "earthsearch" / "S2B_33TWN_20220226_0_L2A.json")
    made = []
    for name, baseline, generated, sequence in (
        ("newest", "05.10", "2023-05-01T00:00:00Z", "0"),
        ("first", "04.00", "2022-02-26T13:02:13Z", "0"),
        ("again", "04.00", "2022-02-26T13:02:13Z", "1"),
    ):
        properties = {
            **item["properties"],
            "s2:processing_baseline": baseline,
            "s2:datatake_id": f"GS2B_20220226T095029_025988_N{baseline}",
            "s2:generation_time": generated,
            "s2:sequence": sequence,
        }
        made.append(scene_from_item({**item, "id": name, "properties": properties}))
    return made


def test_one_copy_of_a_datatake_is_kept_the_newest():
    kept, dropped = one_copy(copies())
    assert [scene.id for scene in kept] == ["newest"]
    assert {lost.id for lost, _ in dropped} == {"first", "again"}


def test_of_equal_baselines_the_later_sequence_is_kept():
    assert [scene.id for scene in one_copy(copies()[1:])[0]] == ["again"]


def test_other_dates_and_tiles_are_not_copies():
    scenes = [recorded("cdse", "T32TMT_20230613"), recorded("earthsearch", "12RWT"), *copies()]
    assert len(one_copy(scenes)[0]) == 3


@pytest.mark.parametrize("item", [{}, {"id": "x", "properties": {}}, {"id": 1, "geometry": None}])
def test_what_is_no_item_is_refused(item):
    with pytest.raises(ValueError, match="no STAC item"):
        scene_from_item(item)


@pytest.mark.skipif(not FULL, reason=WITHOUT_RECORDINGS)
def test_every_recorded_item_of_every_catalogue_is_understood():
    root = Path(FULL) / "K_stac"
    paths = [
        *root.glob("earthsearch/S2*.json"),
        *root.glob("cdse/item_*"),
        *root.glob("odc-stac/S2*"),
    ]
    assert len(paths) > 20
    offsets = {}
    for path in paths:
        item = json.loads(path.read_text())
        scene = scene_from_item(item)
        assert {"B02", "B03", "B04", "B08", "B11", "SCL"} <= set(scene.assets), path.name
        applied = item["properties"].get("earthsearch:boa_offset_applied")
        offsets.setdefault((scene.baseline or "none", applied), set()).add(
            scene.assets["B04"].offset
        )
    assert all(len(values) == 1 for values in offsets.values())
    assert offsets[("04.00", True)] == {0.0}
    assert offsets[("04.00", False)] == {-0.1}
    assert offsets[("05.00", None)] == {-0.1}
    assert offsets[("03.01", False)] == {0.0}
