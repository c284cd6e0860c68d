"""Time pages of a collection of 100,000 polygons, in process, through pygeoapi's own functions.

Run: ``python benchmarks/items.py`` (about a minute). A page of 10 should take 10 ms or less.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from flask import Flask, request
from pygeoapi.api import API, APIRequest
from pygeoapi.api.itemtypes import get_collection_item, get_collection_items

from k8s_manager.settings import read_config
from ogcapi import compat, crs
from processes.vector import write_layers

STORAGE = crs.uri_of("EPSG:25832")
REQUESTS = {
    "first page of 10": "limit=10",
    "page of 10 at 90 %": "limit=10&offset={deep}",
    "page of 1000": "limit=1000",
    "10 in a small box": f"limit=10&bbox=350000,5700000,350100,5700100&bbox-crs={STORAGE}",
    "10 at 90 % of a box around all": "limit=10&offset={deep}&bbox=5,50,9,53",
    "10 at 45 % of a filter": "limit=10&offset={half}&verdict=rejected",
    "10 sorted, in the middle": "limit=10&offset={half}&sortby=-area_m2",
    "10 in storage CRS": f"limit=10&crs={STORAGE}",
}


def main() -> None:
    """Write the collection, ask each request some times, print the medians."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=100_000, help="features")
    options.add_argument("--times", type=int, default=15, help="requests of each kind")
    args = options.parse_args()
    compat.install()
    sys.stdout.write(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "objects.gpkg"
        _write(path, args.count)
        api = _api(path)
        values = {"deep": int(args.count * 0.9), "half": int(args.count * 0.45)}
        for name, query in REQUESTS.items():
            _time(name, api, query.format(**values), args.times)
        identifier = f"o{args.count // 2:07d}"
        _time("one feature", api, "", args.times, identifier)


def _write(path: Path, count: int) -> None:
    numbers = np.arange(count)
    x, y = 350000 + 40.0 * (numbers % 300), 5700000 + 40.0 * (numbers // 300)
    shapes = shapely.buffer(shapely.points(x, y), 15, quad_segs=7)
    columns: dict[str, Any] = {
        "object_id": [f"o{number:07d}" for number in numbers],
        "verdict": np.array(["confirmed", "rejected"], dtype=object)[numbers % 2],
        "area_m2": shapely.area(shapes) + numbers % 997,
        "reasons": ['["trees-enough"]'] * count,
    }
    write_layers(path, {"objects": gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:25832")})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE UNIQUE INDEX ids ON objects(object_id)")


def _api(path: Path) -> API:
    config = read_config(Path(__file__).parents[1] / "pygeoapi-config.yml")
    config["server"].pop("manager")
    config["resources"] = {
        "objects": {
            "type": "collection",
            "title": "Objects",
            "description": "Objects",
            "keywords": ["objects"],
            "links": [],
            "extents": {"spatial": {"bbox": [5, 50, 9, 53]}},
            "providers": [
                {
                    "type": "feature",
                    "name": "ogcapi.providers.features.GeoPackageFeatures",
                    "data": str(path),
                    "table": "objects",
                    "id_field": "object_id",
                    "crs": [STORAGE, crs.CRS84],
                    "storage_crs": STORAGE,
                    "columns": {"reasons": {"type": "array"}},
                }
            ],
        }
    }
    return API(config, {})


def _time(name: str, api: API, query: str, times: int, identifier: str | None = None) -> None:
    app = Flask(__name__)
    taken = []
    for _ in range(times):
        with app.test_request_context(f"/items?{query}"):
            start = time.perf_counter()
            asked = APIRequest.from_flask(request, api.locales)
            if identifier is None:
                _, status, _ = get_collection_items(api, asked, "objects")
            else:
                _, status, _ = get_collection_item(api, asked, "objects", identifier)
            taken.append(1000 * (time.perf_counter() - start))
        if int(status) != 200:
            raise RuntimeError(f"{query} was answered {status}")
    sys.stdout.write(
        f"{name:32s} first {taken[0]:7.1f} ms   median of the others "
        f"{statistics.median(taken[1:]):6.1f} ms\n"
    )


if __name__ == "__main__":
    main()
