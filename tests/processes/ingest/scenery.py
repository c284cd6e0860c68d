"""Small real inputs: tiles whose values tell their place, inventories, source files, a run."""

import json
import os
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from processes.ingest.__main__ import parser, run
from processes.stage import run_stage

DATA = Path(__file__).parents[2] / "data" / "ingest"
ROOT = Path(__file__).parents[3]
FULL = os.environ.get("CDI_TEST_DATA")
WITHOUT_RECORDINGS = "CDI_TEST_DATA does not name the folder of the full recordings"
NDOM = r"ndom50_32_?(?P<east>\d{3})_(?P<north>\d{4})_1_nw_(?P<year>\d{4})\.tif"


def tile(path, west, south, size=1000, cell=20, crs="EPSG:25832", **profile):
    """Write a float32 tile; each cell holds its row x 1000 + column."""
    side = round(size / cell)
    values = np.add.outer(np.arange(side) * 1000.0, np.arange(side)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 1,
        "dtype": "float32",
        "crs": crs,
        "transform": from_origin(west, south + size, cell, cell),
        "nodata": -9999,
        **profile,
    }
    with rasterio.open(path, "w", **options) as sink:
        sink.write(values.astype(options["dtype"]), 1)
    return path


def ndom(folder, east, north, year=2024, **options):
    """Write a nDOM tile named as the state names it."""
    path = folder / f"ndom50_32{east}_{north}_1_nw_{year}.tif"
    return tile(path, east * 1000, north * 1000, **options)


def inventory(path, squares, crs="urn:ogc:def:crs:EPSG::25832"):
    """Write squares {id: (west, south, side)} as a GeoJSON inventory."""
    features = [
        {
            "type": "Feature",
            "properties": {"Kennung": key, "Gemeinde": "Hünxe", "Baumzahl": 12},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, y], [x + d, y], [x + d, y + d], [x, y + d], [x, y]]],
            },
        }
        for key, (x, y, d) in squares.items()
    ]
    named = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    path.write_text(json.dumps({"type": "FeatureCollection", **named, "features": features}))
    return path


def sources(path, *entries):
    """Write a source file; what an entry leaves out is that of a nDOM folder in NRW's layout."""
    plain = {
        "type": "folder",
        "product": "ndom",
        "pattern": NDOM,
        "crs": "EPSG:25832",
        "tile_size": 1000,
        "unit": 1000,
        "licence": "dl-de/zero-2-0",
        "attribution": "made up",
    }
    scenes = {"product": "sentinel-2-l2a", "licence": "Copernicus", "attribution": "Copernicus"}
    rows = [{**(scenes if "sentinel" in str(row) else plain), **row} for row in entries]
    path.write_text(json.dumps({"sources": rows}))  # JSON is YAML
    return path


def ingest(monkeypatch, folder, *arguments):
    """Run the stage in `folder` as its command line does; returns the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    return run_stage(parser(), run, [str(argument) for argument in arguments])


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))
