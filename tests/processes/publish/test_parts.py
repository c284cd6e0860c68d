"""Layers are taken in parts: the release does not depend on them, nor its memory on the area."""

import subprocess
import sys

import geopandas as gpd
import numpy as np
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal

from processes.publish import parts
from tests.processes.publish.conftest import CRS, EAST, WEST

PEAK = """
import sys
from processes.publish.__main__ import parser, run
from processes.stage import run_stage
code = run_stage(parser(), run, sys.argv[1:])
status = open("/proc/self/status").read()
print(status.partition("VmHWM:")[2].split()[0])
sys.exit(code)
"""


def crowns(count):
    """Crowns without object in a square grid of the area WEST, with 33 corners each."""
    tops = 350000.5 + np.arange(count) % 1000 * 0.99, 5700000.5 + np.arange(count) // 1000 * 0.99
    return gpd.GeoDataFrame(
        {
            "tree_id": [f"t{round(x * 10)}_{round(y * 10)}" for x, y in zip(*tops, strict=True)],
            "object_id": np.full(count, None, dtype=object),
            "height_m": np.full(count, 6.5),
            "top_x": tops[0],
            "top_y": tops[1],
        },
        geometry=shapely.buffer(shapely.points(*tops), 3.0, quad_segs=8),
        crs=CRS,
    )


def peak_mb(made):
    made.write()
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *made.arguments()],
        cwd=made.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout) / 1024


def test_memory_does_not_grow_with_the_number_of_trees(make_run):
    small, large = make_run("small"), make_run("large")
    small.trees, large.trees = crowns(2 * parts.ROWS), crowns(4 * parts.ROWS)
    growth = peak_mb(large) - peak_mb(small)
    assert growth < 30  # MB; these 40,000 crowns would take 70


@pytest.mark.parametrize("rows", [1, 3])
def test_a_release_in_small_parts_holds_the_same(make_run, release_of, monkeypatch, rows):
    def both(name):
        stray = [(350900.0, 5700900.0), (351002.0, 5700500.0)]
        west = make_run(f"west-{name}", WEST, ("confirmed", "rejected"), prefix="w", stray=stray)
        west.trees.loc[west.trees.index[-1], "object_id"] = "w0"
        west.objects["extra"] = [1, None]
        first = release_of(west, f"{name}-1")
        east = make_run(f"east-{name}", EAST, ("uncertain",), prefix="e", stray=stray)
        return release_of(east, f"{name}-2", previous=first)

    whole = both("whole")
    monkeypatch.setattr(parts, "ROWS", rows)
    cut = both("cut")
    for layer in ("objects", "trees", "candidates"):
        expected = gpd.read_file(whole / f"{layer}.gpkg")
        assert len(expected)
        assert_geodataframe_equal(gpd.read_file(cut / f"{layer}.gpkg"), expected)
    assert (cut / "summary.json").read_text() == (whole / "summary.json").read_text().replace(
        "whole-1", "cut-1"
    )


def test_an_id_that_is_there_twice_is_found_though_parts_are_small(
    make_run, release_of, monkeypatch
):
    monkeypatch.setattr(parts, "ROWS", 1)
    made = make_run()
    made.trees.loc[0, "tree_id"] = made.trees.tree_id[3]
    with pytest.raises(Exception, match="unique-ids: layer trees: 1 ids twice"):
        release_of(made)


def test_ids_with_quotes_are_taken_as_they_are(make_run, release_of, monkeypatch):
    monkeypatch.setattr(parts, "ROWS", 1)
    made = make_run(prefix="o'")
    release = release_of(made)
    assert list(gpd.read_file(release / "objects.gpkg").object_id) == ["o'0", "o'1", "o'2"]
