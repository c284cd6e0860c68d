"""Batches are blocks of whole tiles by absolute index; their size does not change their ground."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processes.grid import Bounds
from processes.ingest.batches import batch_side, rectangles, tile_batches
from processes.ingest.sources import Acquisition, Source
from processes.ingest.tiles import Tile
from processes.stage import InputDataError


def source(size):
    return Source(
        *("s", "folder", "ndom", Path(), None, re.compile("x"), "EPSG:25832", size, 1, "l", "a"),
        acquisition=Acquisition("surface", "c"),
    )


def tile(east, north, size=1000.0):
    bounds = Bounds(east * size, north * size, (east + 1) * size, (north + 1) * size)
    return Tile(source(size), f"{east}_{north}", bounds, (east, north), 2024, "")


def raster(name, *bounds):
    return Tile(source(None), name, Bounds(*bounds), None, 2024, "")


def ids(tiles, side):
    return [batch.id for batch in tile_batches(tiles, side, 30, "EPSG:25832")]


def test_a_block_starts_at_a_multiple_of_its_side():
    tiles = [tile(east, north) for east in (341, 342, 343, 344) for north in (5720, 5721)]
    assert ids(tiles, 2) == ["b341_5720", "b342_5720", "b344_5720"]
    cores = [batch.core for batch in tile_batches(tiles, 2, 30, "EPSG:25832")]
    assert cores[1] == Bounds(342_000, 5_720_000, 344_000, 5_722_000)


def test_a_block_that_is_not_full_is_split_into_rectangles_of_whole_tiles():
    # rows of the block, north first:  #.   and  ##
    tiles = [tile(0, 0), tile(1, 0), tile(0, 1)]
    assert ids(tiles, 2) == ["b0_0", "b0_1"]


def test_negative_indexes_have_blocks_too():
    assert ids([tile(-1, -1), tile(0, 0)], 4) == ["b-1_-1", "b0_0"]


@given(
    st.sets(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=60),
    st.integers(1, 5),
)
def test_every_tile_lies_in_exactly_one_batch_whatever_the_size(keys, side):
    covered = [
        (east, north)
        for part in rectangles(keys, side)
        for east in range(part.east, part.east + part.columns)
        for north in range(part.north, part.north + part.rows)
    ]
    assert sorted(covered) == sorted(keys)
    assert all(part.columns <= side and part.rows <= side for part in rectangles(keys, side))


@pytest.mark.parametrize(("wanted", "tiles", "side"), [(0, 24, 1), (0, 25, 4), (3, 900, 3)])
def test_the_automatic_size_is_one_tile_for_small_areas(wanted, tiles, side):
    assert batch_side(wanted, tiles) == side


def test_rasters_without_a_grid_are_a_batch_each():
    tiles = [raster("b", 10, 0, 20, 9), raster("a", 0.5, 0, 10, 9)]
    batches = tile_batches(tiles, 4, 5, "EPSG:2154")
    assert [(batch.id, batch.core.left) for batch in batches] == [("b0_0", 0.5), ("b10_0", 10)]


def test_rasters_that_overlap_are_refused_because_trees_would_count_twice():
    with pytest.raises(InputDataError, match="overlap"):
        tile_batches([raster("a", 0, 0, 9, 9), raster("b", 8, 0, 20, 9)], 0, 5, "EPSG:2154")


def test_a_negative_size_is_refused():
    with pytest.raises(InputDataError, match="batch_size"):
        batch_side(-1, 3)
