"""A request chooses sources by name; everything else about them stands in one checked file."""

import pytest
import yaml

from processes.ingest.cache import Stored
from processes.ingest.items import tile_entry
from processes.ingest.reference_systems import parse_crs
from processes.ingest.sources import DEFAULT_FILE, choose, load_sources
from processes.ingest.tiles import tile_from_name
from processes.stage import InputDataError
from tests.processes.ingest.scenery import sources


def test_the_file_of_the_package_is_valid_and_holds_the_state_sentinel_and_the_samples():
    known = load_sources(DEFAULT_FILE, {})
    assert {"nrw-ndom", "nrw-dop", "nrw-districts", "earth-search", "cdse"} <= set(known)
    assert {"rural-ndom", "rural-dop", "landscape-ndom", "landscape-sentinel2"} <= set(known)
    assert known["nrw-ndom"].url.startswith("https://www.opengeodata.nrw.de/produkte/geobasis/")


def test_surface_and_image_of_the_rural_sample_are_one_acquisition():
    known = load_sources(DEFAULT_FILE, {})
    surface, image = known["rural-ndom"].acquisition, known["rural-dop"].acquisition
    assert surface.campaign == image.campaign
    assert (surface.group, image.group) == ("surface", "image")


def test_every_made_up_source_says_that_it_is_a_test_bench():
    known = load_sources(DEFAULT_FILE, {})
    marked = {name for name, source in known.items() if source.test_bench}
    assert marked == {name for name in known if name.startswith("landscape-")}


@pytest.mark.parametrize(
    "name", ["ndom50_32342_5700_1_nw_2024.tif", "ndom50_32_342_5700_1_nw_2024.tif"]
)
def test_both_spellings_of_the_state_s_tile_names_are_understood(name):
    hit = load_sources(DEFAULT_FILE, {})["nrw-ndom"].pattern.fullmatch(name)
    assert (hit["east"], hit["north"], hit["year"]) == ("342", "5700", "2024")


def test_a_relative_root_starts_at_the_folder_of_the_source_file(tmp_path):
    file = sources(tmp_path / "s.yml", {"name": "here", "root": "tiles"})
    assert load_sources(file)["here"].root == tmp_path / "tiles"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"CDI_HOME": "/srv"}, "/srv/x"), ({}, "/var/lib/x"), ({"CDI_HOME": ""}, "/var/lib/x")],
)
def test_variables_are_filled_in_with_their_default(tmp_path, environment, expected):
    file = sources(tmp_path / "s.yml", {"name": "here", "root": "${CDI_HOME:-/var/lib}/x"})
    assert str(load_sources(file, environment)["here"].root) == expected


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path):
    known = load_sources(sources(tmp_path / "s.yml", {"name": "here", "root": "."}))
    with pytest.raises(InputDataError, match=r"unknown source /etc.*here"):
        choose(known, ["/etc"])


def test_names_keep_their_order_and_count_once(tmp_path):
    rows = [{"name": name, "root": "."} for name in ("a", "b", "c")]
    known = load_sources(sources(tmp_path / "s.yml", *rows))
    assert [source.name for source in choose(known, ["c", "a", "c"])] == ["c", "a"]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"root": ".", "nane": 1}, "unknown field nane"),
        ({"root": ".", "type": "ftp"}, "`type` must be one of folder, opengeodata, stac"),
        ({"type": "folder"}, "`root` is missing"),
        ({"type": "stac", "url": "file:///etc/passwd"}, "must start with https://"),
        ({"root": ".", "pattern": "x(?P<east>1)"}, "needs the groups `east` and `north`"),
        ({"root": ".", "pattern": "(("}, "source `odd`: missing"),
        ({"root": ".", "tile_size": -5}, "more than 0 m"),
        ({"root": ".", "crs": None}, "`crs` is missing"),
    ],
)
def test_a_wrong_source_is_named_with_its_field(tmp_path, entry, sentence):
    file = sources(tmp_path / "s.yml", {"name": "odd", **entry})
    with pytest.raises(InputDataError) as caught:
        load_sources(file)
    assert sentence in caught.value.detail


@pytest.mark.parametrize("text", ["- a\n", "sources: 3\n", "sources: {a: ${X}}\n", ""])
def test_a_file_that_is_no_source_file_is_refused(tmp_path, text):
    file = tmp_path / "s.yml"
    file.write_text(text)
    with pytest.raises(InputDataError, match="source file"):
        load_sources(file)


def test_the_header_of_the_file_explains_every_field():
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    header = text[: text.index("\nsources:")]
    used = {key for entry in yaml.safe_load(text)["sources"] for key in entry}
    assert not {key for key in used if key not in header}


def test_the_order_of_bands_reaches_the_items_of_an_orthophoto(tmp_path):
    order = ["nir", "green", "blue", "red"]
    entry = {"name": "cir", "root": ".", "product": "dop", "bands": order}
    source = load_sources(sources(tmp_path / "s.yml", entry))["cir"]
    tile = tile_from_name(source, "ndom50_32_342_5700_1_nw_2024.tif", "x")
    stored = Stored(tmp_path / "x", "0" * 64, 1)
    item = tile_entry(tile, stored, parse_crs("EPSG:25832")).item
    assert [band["name"] for band in item["assets"]["data"]["bands"]] == order
