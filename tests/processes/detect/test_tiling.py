"""No crown is lost, doubled or changed at a seam, whatever the tiles."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processes.detect.batch import Found, detect, join
from processes.detect.layers import crown_layer, structure_layer
from processes.detect.surface import Surface
from processes.detect.thresholds import Reach, Thresholds
from processes.grid import Bounds
from tests.processes.detect.scenes import NORTH, WEST, build, found, plant, surface

RURAL = Path(__file__).parents[3] / "samples" / "rural" / "ndom"
SIZE = 110


@st.composite
def landscapes(draw: st.DrawFn) -> NDArray[np.float32]:
    """Trees, a roof, rough wood or stepped plateaus, and a hole without data."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ndom = surface(SIZE)
    for _ in range(draw(st.integers(0, 40))):
        row, col = random.integers(0, SIZE, 2)
        ndom = plant(ndom, row, col, random.uniform(2, 14), random.uniform(1, 9))
    if draw(st.booleans()):
        row, col = random.integers(0, SIZE - 40, 2)
        build(ndom, slice(row, row + 12), slice(col, col + 38), 4.0, 0.1)
    texture = draw(st.sampled_from(["none", "fine", "wood"]))
    if texture != "none":
        ndom += random.normal(0, 0.4 if texture == "fine" else 3, ndom.shape).astype(np.float32)
    if draw(st.booleans()):
        ndom = np.round(ndom)  # plateaus: ties everywhere
    if draw(st.booleans()):
        row, col = random.integers(0, SIZE, 2)
        ndom[row : row + 30, col : col + 15] = np.nan
    return ndom


def tiles(cuts_x: list[int], cuts_y: list[int], cell: float) -> Iterator[Bounds]:
    xs, ys = sorted({0, SIZE, *cuts_x}), sorted({0, SIZE, *cuts_y})
    for top, bottom in pairwise(ys):
        for left, right in pairwise(xs):
            yield Bounds(
                WEST + left * cell, NORTH - bottom * cell, WEST + right * cell, NORTH - top * cell
            )


def as_rows(trees: Found, raised: Found) -> list[object]:
    """Everything that is written, geometry to the last bit, in the order of the identifiers."""
    dates = np.full(len(trees.x), None, dtype=object)
    layers = crown_layer(trees, dates, "EPSG:25832"), structure_layer(raised, "EPSG:25832")
    rows = [tuple(row) for layer in layers for row in layer.to_wkb().to_numpy()]
    return sorted(rows, key=lambda row: str(row[0]))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    landscapes(),
    st.sampled_from([1.0, 0.4]),
    st.lists(st.integers(1, SIZE - 1), max_size=3),
    st.lists(st.integers(1, SIZE - 1), max_size=3),
    st.randoms(use_true_random=False),
)
def test_tiles_in_any_order_give_what_the_mosaic_gives(ndom, cell, cuts_x, cuts_y, random):
    parts = list(tiles(cuts_x, cuts_y, cell))
    random.shuffle(parts)
    pairs = [found(ndom, cell, part) for part in parts]
    tiled = join([pair[0] for pair in pairs]), join([pair[1] for pair in pairs])
    assert as_rows(*tiled) == as_rows(*found(ndom, cell))


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(landscapes(), st.integers(20, 60))
def test_blocks_inside_a_batch_change_nothing(ndom, block_cells):
    assert as_rows(*found(ndom, 1.0, block_cells=block_cells)) == as_rows(*found(ndom, 1.0))


def test_tiles_of_a_real_scan_give_what_its_mosaic_gives():
    paths = sorted(RURAL.glob("*.tif"))
    scan = Surface.open(paths, None, "EPSG:2154")
    reach = Reach(Thresholds(), scan.cell)

    def run(cores: list[Bounds]) -> list[object]:
        pairs = [pair for core in cores for pair in detect(scan.read, core, reach)]
        return as_rows(join([pair[0] for pair in pairs]), join([pair[1] for pair in pairs]))

    mosaic = run([Bounds(484600, 6632600, 485000, 6633000)])
    halves = [484600, 484800, 484817.25, 485000]
    tiled = run(
        [
            Bounds(left, bottom, right, bottom + 200)
            for left, right in pairwise(halves)
            for bottom in (6632800, 6632600)
        ]
    )
    assert tiled == mosaic
    assert len(mosaic) > 15


def test_a_top_on_the_seam_belongs_to_the_tile_that_the_edge_belongs_to():
    # Cells of 1 m: the top lies in the middle of row 50, column 50, at 50.5 m.
    ndom = plant(surface(SIZE), 50, 50, 8.0, 5)
    west = Bounds(WEST, NORTH - SIZE, WEST + 50.5, NORTH)
    east = Bounds(WEST + 50.5, NORTH - SIZE, WEST + SIZE, NORTH)
    assert [len(found(ndom, 1.0, half)[0].x) for half in (west, east)] == [0, 1]


@pytest.mark.parametrize("cell", [0.2, 0.25, 0.3, 0.4, 0.5, 1.0])
def test_the_default_buffer_suffices_for_all_cell_sizes(cell):
    Reach(Thresholds(), cell).check(30.0)
