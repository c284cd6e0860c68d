"""Which files a run takes: by place, by year, by the order of the sources."""

import gzip
from dataclasses import replace
from pathlib import Path

import pyogrio
import pytest
import shapely

from processes.ingest.batches import tile_batches
from processes.ingest.findings import Findings
from processes.ingest.reference_systems import parse_crs
from processes.ingest.sources import load_sources
from processes.ingest.surfaces import choose_surfaces
from processes.ingest.tiles import (
    grid_cells,
    note_newer,
    one_per_place,
    tile_from_name,
    touching,
    unique_names,
)
from processes.stage import InputDataError
from tests.processes.ingest.scenery import FULL, NDOM, WITHOUT_RECORDINGS, sources


@pytest.fixture
def state(tmp_path):
    return load_sources(sources(tmp_path / "s.yml", {"name": "state", "root": "."}))["state"]


def named(source, east, north, year):
    return tile_from_name(source, f"ndom50_32_{east}_{north}_1_nw_{year}.tif", "x")


def chosen(tiles, last_year):
    kept = one_per_place(tiles, last_year)
    return [(tile.source.name, tile.year) for tile in kept]


def test_a_name_tells_place_and_year(state):
    tile = named(state, 342, 5700, 2024)
    assert tile.bounds.as_tuple() == (342_000, 5_700_000, 343_000, 5_701_000)
    assert (tile.key, tile.year) == ((342, 5700), 2024)


@pytest.mark.parametrize("name", ["readme.txt", "ndom50_32_342_5700_1_nw_2024.tif.aux.xml", "../x"])
def test_other_names_are_no_tiles(state, name):
    assert tile_from_name(state, name, "x") is None


def test_the_newest_year_of_the_period_is_taken(state):
    tiles = [named(state, 342, 5700, year) for year in (2019, 2022, 2024)]
    assert chosen([tiles], 2023) == [("state", 2022)]


def test_where_only_newer_files_exist_the_nearest_is_taken_with_a_note(state):
    tiles = [named(state, 342, 5700, year) for year in (2024, 2025)]
    assert chosen([tiles], 2020) == [("state", 2024)]
    findings = Findings()
    note_newer(one_per_place([tiles], 2020), 2020, findings)
    assert findings.notes[0].startswith("state: files newer than the period used")


def test_the_source_named_first_wins_tile_by_tile(state):
    other = replace(state, name="other")
    first = [named(state, 342, 5700, 2020)]
    second = [named(other, 342, 5700, 2024), named(other, 343, 5700, 2024)]
    assert chosen([first, second], 2024) == [("state", 2020), ("other", 2024)]


def test_an_area_that_ends_at_a_tile_s_edge_does_not_touch_the_next(state):
    tiles = [named(state, east, 5700, 2024) for east in (341, 342, 343)]
    hits = touching(tiles, [shapely.box(342_000, 5_700_000, 343_000, 5_701_000)])
    assert [tile.key for tile in hits] == [(342, 5700)]
    assert grid_cells(1000, [shapely.box(342_000, 5_700_000, 343_000, 5_701_000)]) == [(342, 5700)]


def test_all_tiles_of_several_shapes_are_found():
    shapes = [shapely.box(10, 10, 20, 20), shapely.box(95, 10, 105, 20)]
    assert grid_cells(100, shapes) == [(0, 0), (1, 0)]


def test_tiles_off_the_multiples_of_their_size_keep_their_own_ground(tmp_path):
    pattern = r"h_(?P<east>\d+)_(?P<north>\d+)_(?P<year>\d+)\.tif"
    entry = {"name": "own", "root": ".", "pattern": pattern, "tile_size": 2000, "unit": 1}
    own = load_sources(sources(tmp_path / "s.yml", entry))["own"]
    names = ["h_457000_5633000_2021.tif", "h_457000_5633000_2019.tif", "h_459000_5633000_2021.tif"]
    tiles = one_per_place([[tile_from_name(own, name, "x") for name in names]], 2023)
    assert [tile.name for tile in tiles] == [names[0], names[2]]
    cores = [batch.core.as_tuple() for batch in tile_batches(tiles, 4, 30, "EPSG:25832")]
    assert cores == [tile.bounds.as_tuple() for tile in tiles]
    findings = Findings()
    wanted = [shapely.box(457_000, 5_633_000, 461_000, 5_635_000)]
    choose_surfaces([own], lambda _: tiles, wanted, parse_crs("EPSG:25832"), 2023, 30, findings)
    assert not findings.missing


def test_an_area_of_continental_size_is_refused():
    with pytest.raises(InputDataError, match="area too large"):
        grid_cells(1000, [shapely.box(0, 0, 4_000_000, 4_000_000)])


def test_names_that_clash_get_the_name_of_their_source(state):
    tiles = [named(state, 342, 5700, 2024), named(state, 343, 5700, 2024)]
    renamed = unique_names(tiles, {"ndom50_32_343_5700_1_nw_2024"})
    assert [tile.name for tile in renamed] == [
        "ndom50_32_342_5700_1_nw_2024.tif",
        "state-ndom50_32_343_5700_1_nw_2024.tif",
    ]


@pytest.mark.skipif(not FULL, reason=WITHOUT_RECORDINGS)
@pytest.mark.parametrize(
    ("index", "pattern", "count"),
    [
        ("nrw_ndom_tindex_proj", NDOM, 35_860),
        (
            "openNRW_DOP10_tileindex",
            NDOM.replace("ndom50", "dop10rgbi").replace("tif", "jp2"),
            36_616,
        ),
    ],
)
def test_every_name_of_the_state_s_real_index_lies_where_the_index_says(
    tmp_path, index, pattern, count
):
    packed = Path(FULL) / "J_nrw_admin_tileindex" / f"{index}.gpkg.gz"
    file = tmp_path / f"{index}.gpkg"
    file.write_bytes(gzip.decompress(packed.read_bytes()))
    frame = pyogrio.read_dataframe(file)
    source = load_sources(
        sources(tmp_path / "s.yml", {"name": "state", "root": ".", "pattern": pattern})
    )["state"]
    tiles = [tile_from_name(source, text.rsplit("/", 1)[1], text) for text in frame["location"]]
    assert len(tiles) == count
    assert None not in tiles
    bounds = frame.geometry.bounds.to_numpy()
    assert all(
        tile.bounds.as_tuple() == tuple(row) for tile, row in zip(tiles, bounds, strict=True)
    )
    wesel = pyogrio.read_dataframe(
        f"{FULL}/J_nrw_admin_tileindex/landkreise_sim200.geojson", where="RS = '05170'"
    ).to_crs(25832)
    if index.startswith("nrw_ndom"):
        assert len(touching(tiles, list(wesel.geometry))) == 1171


def test_of_very_many_absent_tiles_the_rest_are_counted(state):
    here = named(state, 342, 5700, 2022)
    findings = Findings()
    wanted = [shapely.box(340_000, 5_700_000, 390_000, 5_750_000)]
    choose_surfaces([state], lambda _: [here], wanted, parse_crs("EPSG:25832"), 2023, 30, findings)
    assert len(findings.missing) == 1001
    assert "1499 more tiles" in [entry["name"] for entry in findings.missing]
