"""The stage works square by square: squares change no row, and memory does not follow the area."""

import contextlib
import json
import tracemalloc

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from geopandas.testing import assert_geodataframe_equal
from rasterio.transform import from_origin
from shapely.geometry import box, mapping

from processes.assess import squares
from processes.assess.__main__ import parser, run
from processes.stage import run_stage
from processes.vector import write_layers
from tests.processes.assess import scene

LAYERS = {"objects": "object_id", "trees": "tree_id", "candidates": "candidate_id"}
BLOCK = 100.0  # metres; one orchard of 8 x 8 trees in each, too far apart to be one


def assess(out, argv):
    out.mkdir()
    with contextlib.chdir(out):
        assert run_stage(parser(), run, argv) == 0
    return out


def layer_of(out, name):
    rows = pyogrio.read_dataframe(out / f"assessed-{name}.gpkg", layer=name)
    return rows.sort_values(LAYERS[name]).reset_index(drop=True)


def wide(folder, blocks):
    """Write `blocks` x `blocks` orchards, of which the inventory has every fifth."""
    folder.mkdir()
    size = blocks * BLOCK
    corner = np.stack(np.meshgrid(np.arange(blocks), np.arange(blocks)), axis=-1).reshape(-1, 2)
    tree = 15 + 9.5 * np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(-1, 2)
    places = (corner[:, None] * BLOCK + tree).reshape(-1, 2)
    places += np.array([scene.EAST, scene.NORTH])
    crowns = gpd.GeoDataFrame(
        {
            "tree_id": [f"t{x * 10:.0f}_{y * 10:.0f}" for x, y in places],
            "height_m": 8.0, "area_m2": 19.0, "diameter_m": 5.0, "score": 0.9, "flatness": 0.1,
            "top_x": places[:, 0], "top_y": places[:, 1], "surface_date": "2021-06-01",
        },
        geometry=shapely.buffer(shapely.points(places), 2.5, quad_segs=2), crs=scene.CRS,
    )  # fmt: skip
    write_layers(folder / "crowns-all.gpkg", {"crowns": crowns})
    held = corner[::5] * BLOCK
    objects = gpd.GeoDataFrame(
        {"object_id": [f"o{x:.0f}_{y:.0f}" for x, y in held]},
        geometry=[scene.at(box(x + 5, y + 5, x + 95, y + 95)) for x, y in held], crs=scene.CRS,
    )  # fmt: skip
    write_layers(folder / "objects.gpkg", {"objects": objects})
    for name, cell, bands in (("ndom", 5.0, 1), ("image", 2.5, 4)):
        data = np.full((bands, round(size / cell), round(size / cell)), 100, dtype=np.uint8)
        transform = from_origin(scene.EAST, scene.NORTH + size, cell, cell)
        with rasterio.open(
            folder / f"{name}-all.tif", "w", driver="GTiff", count=bands, height=data.shape[1],
            width=data.shape[2], dtype="uint8", crs=scene.CRS, transform=transform, nodata=0,
            ALPHA="UNSPECIFIED",
        ) as dataset:  # fmt: skip
            dataset.write(data)
    (folder / "area.geojson").write_text(json.dumps(mapping(scene.at(box(0, 0, size, size)))))
    (folder / "items.json").write_text(json.dumps({"features": []}))
    files = {"inventory": "objects.gpkg", "area": "area.geojson", "items": "items.json"}
    named = [part for name, file in files.items() for part in (f"--{name}", str(folder / file))]
    return [*named, "--batches", str(folder), "--period", scene.PERIOD]


def peak_mb(out, argv):
    """Return the most that Python and NumPy held at a time, whatever else the machine does."""
    tracemalloc.start()
    try:
        assess(out, argv)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("side", [70.0, 160.0])
def test_squares_change_no_row(tmp_path, monkeypatch, side):
    inputs = {
        "scene": scene.build(tmp_path / "scene-in", cuts=(0.0, 200.0, 400.0)),
        "wide": wide(tmp_path / "wide-in", 4),
    }
    for name, argv in inputs.items():
        monkeypatch.setattr(squares, "SIDE", 1e7)
        whole = assess(tmp_path / f"{name}-whole", argv)
        monkeypatch.setattr(squares, "SIDE", side)
        cut = assess(tmp_path / f"{name}-cut", argv)
        for layer in LAYERS:
            expected = layer_of(whole, layer)
            assert len(expected)
            assert_geodataframe_equal(layer_of(cut, layer), expected)


def test_memory_does_not_grow_with_the_area(tmp_path, monkeypatch):
    monkeypatch.setattr(squares, "SIDE", 500.0)
    small, large = wide(tmp_path / "small-in", 10), wide(tmp_path / "large-in", 20)
    assess(tmp_path / "first", small)  # what is imported and made once is there from now on
    growth = peak_mb(tmp_path / "large", large) - peak_mb(tmp_path / "small", small)
    assert growth < 2.0  # MB, most of it the index of objects; holding all trees would take 6
