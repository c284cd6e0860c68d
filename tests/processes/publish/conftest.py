"""Inputs of a run, small enough to count by hand, written as the stages before write them."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from rasterio.transform import from_origin

from processes.publish.__main__ import parser, run
from processes.raster import write_cog
from processes.stage import Progress
from processes.vector import write_layers

CRS = "EPSG:25832"
WEST = (350000, 5700000, 351000, 5701000)
EAST = (351000, 5700000, 352000, 5701000)


def objects(bounds, verdicts, prefix="o"):
    """Squares of 50 m (0.25 ha) in one row, one for each verdict, 60 m apart."""
    left, bottom = bounds[0] + 10, bounds[1] + 10
    boxes = [
        shapely.box(left + 60 * i, bottom, left + 60 * i + 50, bottom + 50)
        for i in range(len(verdicts))
    ]
    count = len(verdicts)
    return gpd.GeoDataFrame(
        {
            "object_id": [f"{prefix}{i}" for i in range(count)],
            "municipality": ["Wesel"] * count,
            "area_m2": [2500.0] * count,
            "verdict": list(verdicts),
            "rejected_as": ["lost" if verdict == "rejected" else None for verdict in verdicts],
            "reasons": ['["trees-enough", "one-source-only"]'] * count,
            "reason_main": ["trees-enough"] * count,
            "confidence": [0.8] * count,
            "trees": [2] * count,
            "inventory_trees": [None, *range(1, count)],
        },
        geometry=boxes,
        crs=CRS,
    )


def trees(frame, stray=()):
    """Two crowns in each object, and crowns without object at the points `stray`."""
    tops, ids = [], []
    for name, shape in zip(frame.object_id, frame.geometry, strict=True):
        x, y = shape.bounds[:2]
        tops += [(x + 10, y + 10), (x + 30, y + 30)]
        ids += [name, name]
    tops += list(stray)
    ids += [None] * len(stray)
    return gpd.GeoDataFrame(
        {
            "tree_id": [f"t{round(x * 10)}_{round(y * 10)}" for x, y in tops],
            "object_id": np.array(ids, dtype=object),
            "height_m": [6.5] * len(tops),
            "top_x": [float(x) for x, _ in tops],
            "top_y": [float(y) for _, y in tops],
        },
        geometry=[shapely.Point(top).buffer(3, quad_segs=2) for top in tops],
        crs=CRS,
    )


def candidates(bounds):
    box = shapely.box(bounds[0] + 500, bounds[1] + 500, bounds[0] + 560, bounds[1] + 560)
    return gpd.GeoDataFrame(
        {"candidate_id": [f"c{bounds[0]}"], "trees": [12]}, geometry=[box], crs=CRS
    )


class Run:
    """One run of the stage in a folder of its own."""

    def __init__(self, folder: Path, bounds, verdicts, prefix="o", stray=()):
        folder.mkdir(parents=True)
        self.folder, self.bounds = folder, bounds
        self.objects = objects(bounds, verdicts, prefix)
        self.trees = trees(self.objects, stray)
        self.candidates = candidates(bounds)
        self.items = [
            item("ndom_1", "ndom", "2022-05-14", attribution="Geobasis NRW"),
            item("S2A_1", "sentinel-2-l2a", "2023-06-01", licence="Copernicus"),
            item("S2A_2", "sentinel-2-l2a", "2023-08-01", licence="Copernicus"),
        ]
        self.missing = {"missing": [], "notes": []}
        self.crs = CRS
        self.raster_crs = CRS
        self.options = ["--min-compared", "4"]

    def write(self):
        for name in ("objects", "trees", "candidates"):
            write_layers(self.folder / f"assessed-{name}.gpkg", {name: getattr(self, name)})
        area = gpd.GeoDataFrame(geometry=[shapely.box(*self.bounds)], crs=self.crs)
        area.to_file(self.folder / "area.geojson", driver="GeoJSON")
        collection = {"type": "FeatureCollection", "features": self.items}
        (self.folder / "items.json").write_text(json.dumps(collection))
        (self.folder / "missing.json").write_text(json.dumps(self.missing))
        data = np.arange(100 * 100, dtype=np.float32).reshape(1, 100, 100)
        write_cog(
            self.folder / f"ndom-b{self.bounds[0] // 1000}.tif",
            data,
            transform=from_origin(self.bounds[0], self.bounds[3], 10, 10),
            crs=self.raster_crs,
            nodata=-9999,
            descriptions=["ndom"],
            units=["m"],
        )

    def arguments(self, previous=None):
        paths = {name: f"assessed-{name}.gpkg" for name in ("objects", "trees", "candidates")}
        paths |= {"items": "items.json", "area": "area.geojson", "missing": "missing.json"}
        argv = [text for name, path in paths.items() for text in (f"--{name}", path)]
        argv += ["--dataset", "orchards", "--period", "2023-01-01/2023-12-31", *self.options]
        return argv + (["--previous", str(previous)] if previous else [])

    def publish(self, monkeypatch, previous=None) -> Path:
        """Run the stage and return the folder of the release."""
        monkeypatch.chdir(self.folder)
        run(parser().parse_args(self.arguments(previous)), Progress())
        return self.folder / "release"


def item(name, product, day, licence="dl-de/zero-2-0", attribution=""):
    return {
        "type": "Feature",
        "id": name,
        "properties": {
            "cdi:product": product,
            "cdi:source": "folder-a",
            "cdi:licence": licence,
            "cdi:attribution": attribution,
            "cdi:acquisition": {"group": "surface", "campaign": "a", "date": day},
        },
        "assets": {"data": {"href": f"{name}.tif", "file:checksum": f"1220{name}"}},
    }


@pytest.fixture
def make_run(tmp_path):
    """Make the inputs of a run: ``make_run(name, bounds, verdicts)``; call ``.write()`` then."""

    def make(name="run", bounds=WEST, verdicts=("confirmed", "rejected", "uncertain"), **more):
        return Run(tmp_path / name, bounds, verdicts, **more)

    return make


@pytest.fixture
def release_of(make_run, monkeypatch, tmp_path):
    """Write and publish a run, then store its release under a version as the controller does."""

    def make(made, version=None, previous=None):
        made.write()
        release = made.publish(monkeypatch, previous)
        if version is None:
            return release
        target = tmp_path / "releases" / version
        target.parent.mkdir(exist_ok=True)
        release.rename(target)
        return target

    return make
