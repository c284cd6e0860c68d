"""Makes the sample `rural` from a public laser scan, so that anyone can check where it came from.

A point cloud of a farming landscape with lone trees becomes what a land survey publishes: tiles
of a normalised surface model (nDOM) and of an RGBI orthophoto, and an inventory drawn for it:

    python samples/rural.py --points FOLDER_OR_LAZ
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy import ndimage
from scipy.interpolate import LinearNDInterpolator

HERE = Path(__file__).parent / "rural"
CRS = "EPSG:2154"
CRS_URI = "http://www.opengis.net/def/crs/EPSG/0/2154"
CELL = 0.5  # metres; the scan has 5.4 points per square metre
TILE = 200  # metres
NODATA = -9999.0
GROUND, NOISE, VIRTUAL = 2, 7, 65
FOOTPRINT = 0.4  # metres around a return that it stands for: beam width and the gaps of bare crowns
GAP = 1.5  # metres; cells further than this from every return stay nodata
GPS_EPOCH, GPS_OFFSET, LEAP_SECONDS = datetime(1980, 1, 6, tzinfo=UTC), 1e9, 18

BARE_FIELD = "drawn on a field without any tree"
# Columns: id, name, code, survey date, trees then, what the place is, and the ring in metres from
# 484000 E, 6632000 N.
OBJECTS: list[tuple[str, str, str | None, str, int | None, str, list[tuple[int, int]]]] = [
    ("R-01", "Farmstead", "HK2", "2012-06-15", 9, "trees around two small buildings",
     [(804, 772), (800, 764), (812, 752), (822, 742),
      (842, 738), (852, 756), (846, 778), (816, 796)]),
    ("R-02", "Strip with lone trees", "HK3", "2012-06-15", 14, "a few trees left on a bare strip",
     [(766, 855), (808, 812), (797, 799), (778, 808), (766, 822)]),
    ("R-03", "Corner thicket", "HK9", "2012-06-15", 6, "trees and shrubs grown together",
     [(847, 741), (858, 741), (882, 720), (878, 711), (850, 713), (846, 726)]),
    ("R-04", "Stubble field", "HK2", "2009-05-20", 22, BARE_FIELD,
     [(890, 770), (930, 808), (966, 772), (926, 734)]),
    ("R-05", "Treeless meadow", "HK2", "2009-05-20", 18, "grassland without any tree",
     [(806, 845), (842, 880), (876, 846), (840, 811)]),
    ("R-06", "Crop in the north-east", "HK1", "2009-05-20", None, BARE_FIELD,
     [(838, 925), (872, 958), (906, 925), (872, 892)]),
    ("R-07", "Northern shrubs", None, "2012-06-15", 3, "shrubs, smaller than 0.15 ha",
     [(806, 999), (822, 999), (829, 988), (824, 982), (808, 992)]),
    ("R-08", "Beyond the scan", "HK2", "2012-06-15", 25, "where the point cloud has no data",
     [(670, 700), (730, 700), (730, 650), (670, 650)]),
]  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """The cells that hold the points, on whole tiles."""

    left: float
    top: float
    rows: int
    cols: int

    def cells(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return row and column of each point."""
        row = np.floor((self.top - y) / CELL).astype(np.int64)
        col = np.floor((x - self.left) / CELL).astype(np.int64)
        return row.clip(0, self.rows - 1), col.clip(0, self.cols - 1)


def main() -> None:
    """Read the point cloud, write tiles, inventory and example request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=Path, required=True, help="LAZ file or a folder with one")
    source = parser.parse_args().points
    path = source if source.is_file() else sorted(source.glob("*.laz"))[0]
    cloud = laspy.read(path)
    cloud = cloud[~np.isin(np.asarray(cloud.classification), (NOISE, VIRTUAL))]
    x, y = np.asarray(cloud.x), np.asarray(cloud.y)
    grid = grid_of(x, y)
    surface = surface_model(cloud, grid)
    image = orthophoto(cloud, grid)
    date = acquisition(cloud)
    known = near_returns(x, y, grid)
    surface[~known] = NODATA
    image[:, ~known] = 0
    write_tiles("ndom", surface[None], grid, date.year, NODATA)
    write_tiles("rgbi", image, grid, date.year, 0)
    inventory = write_inventory()
    write_job(inventory, grid, x, y, date)
    print(f"{path.name}: {len(x)} points of {date:%Y-%m-%d}, {known.mean():.0%} of the cells known")


def grid_of(x: NDArray[Any], y: NDArray[Any]) -> Grid:
    """Return the grid of whole tiles around the points."""
    left, right = np.floor(x.min() / TILE) * TILE, np.ceil(x.max() / TILE) * TILE
    bottom, top = np.floor(y.min() / TILE) * TILE, np.ceil(y.max() / TILE) * TILE
    return Grid(float(left), float(top), round((top - bottom) / CELL), round((right - left) / CELL))


def acquisition(cloud: Any) -> datetime:
    """Return the time of the first pulse; LAS 1.4 counts GPS seconds less 1e9."""
    seconds = float(np.min(cloud.gps_time)) + GPS_OFFSET - LEAP_SECONDS
    return GPS_EPOCH + timedelta(seconds=seconds)


def surface_model(cloud: Any, grid: Grid) -> NDArray[np.float32]:
    """Return heights above ground (rows, cols) in metres, whole centimetres.

    The ground is a triangulation of the points classified so; the surface is the highest return
    within `FOOTPRINT` of a cell, holes of one or two cells closed.
    """
    x, y, z = np.asarray(cloud.x), np.asarray(cloud.y), np.asarray(cloud.z)
    ground = np.asarray(cloud.classification) == GROUND
    mid_x, mid_y = grid.left, grid.top
    terrain = LinearNDInterpolator(
        np.column_stack([x[ground] - mid_x, y[ground] - mid_y]), z[ground]
    )
    rows, cols = np.mgrid[: grid.rows, : grid.cols]
    base = terrain((cols + 0.5) * CELL, -(rows + 0.5) * CELL)
    base = _fill(base, np.isfinite(base))
    top = np.full((grid.rows, grid.cols), -np.inf)
    for angle in np.arange(8) * np.pi / 4:
        cells = grid.cells(x + FOOTPRINT * np.cos(angle), y + FOOTPRINT * np.sin(angle))
        np.maximum.at(top, cells, z)
    np.maximum.at(top, grid.cells(x, y), z)
    heights = _fill(top, np.isfinite(top)) - base
    heights = ndimage.grey_closing(heights, size=(3, 3))
    metres: NDArray[np.float32] = np.round(np.maximum(heights, 0), 2).astype(np.float32)
    return metres


def orthophoto(cloud: Any, grid: Grid) -> NDArray[np.uint8]:
    """Return red, green, blue, near infrared (4, rows, cols): mean colour of a cell's points."""
    cells = grid.cells(np.asarray(cloud.x), np.asarray(cloud.y))
    count = np.zeros((grid.rows, grid.cols))
    np.add.at(count, cells, 1)
    bands = np.zeros((4, grid.rows, grid.cols), dtype=np.uint8)
    for band, name in zip(bands, ("red", "green", "blue", "nir"), strict=True):
        total = np.zeros((grid.rows, grid.cols))
        np.add.at(total, cells, np.asarray(cloud[name]) / 256)
        mean = _fill(total / np.maximum(count, 1), count > 0)
        band[:] = np.clip(np.round(mean), 1, 255)
    return bands


def near_returns(x: NDArray[Any], y: NDArray[Any], grid: Grid) -> NDArray[np.bool_]:
    """Return where a return lies within `GAP`."""
    empty = np.ones((grid.rows, grid.cols), dtype=bool)
    empty[grid.cells(x, y)] = False
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(empty) * CELL <= GAP
    return near


def write_tiles(product: str, data: NDArray[Any], grid: Grid, year: int, nodata: float) -> None:
    """Write tiles ``rural_<west>_<south>_<year>.tif`` (metres); those without data are left out."""
    folder = HERE / product
    folder.mkdir(parents=True, exist_ok=True)
    side = round(TILE / CELL)
    floating = np.issubdtype(data.dtype, np.floating)
    for row in range(0, grid.rows, side):
        for col in range(0, grid.cols, side):
            part = data[:, row : row + side, col : col + side]
            if (part == nodata).all():
                continue
            left, top = grid.left + col * CELL, grid.top - row * CELL
            name = f"rural_{left:.0f}_{top - TILE:.0f}_{year}.tif"
            with rasterio.open(
                folder / name, "w", driver="GTiff", width=side, height=side, count=len(part),
                dtype=part.dtype, crs=CRS, transform=from_origin(left, top, CELL, CELL),
                nodata=nodata, compress="deflate", zlevel=9, predictor=3 if floating else 2,
                tiled=True, blockxsize=208, blockysize=208, alpha="NO",
            ) as tile:  # fmt: skip
                tile.write(part)


def write_inventory() -> dict[str, Any]:
    """Write the drawn objects as GeoJSON in the sample's CRS and return the collection."""
    features = []
    for key, name, code, date, trees, note, ring in OBJECTS:
        points = [[484000 + east, 6632000 + north] for east, north in ring]
        area = sum(
            a[0] * b[1] - b[0] * a[1] for a, b in zip(points, points[1:] + points[:1], strict=True)
        )
        points = points if area > 0 else points[::-1]
        features.append({
            "type": "Feature",
            "id": key,
            "properties": {
                "object_id": key, "name": name, "code": code, "inventory_date": date,
                "inventory_trees": trees, "drawn_as": note,
            },
            "geometry": {"type": "Polygon", "coordinates": [[*points, points[0]]]},
        })  # fmt: skip
    collection = {
        "type": "FeatureCollection",
        "name": "rural",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}},
        "features": features,
    }
    _write_json(HERE / "inventory.geojson", collection)
    return collection


def write_job(
    inventory: dict[str, Any], grid: Grid, x: NDArray[Any], y: NDArray[Any], date: datetime
) -> None:
    """Write the request that runs the chain on the sample."""
    bbox = [np.floor(x.min()), np.floor(y.min()), np.ceil(x.max()), np.ceil(y.max())]
    inputs = {
        "bbox": {"bbox": [float(value) for value in bbox], "crs": CRS_URI},
        "period": f"{date.year}-01-01/{date.year}-12-31",
        "inventory": {"value": inventory, "mediaType": "application/geo+json"},
        "sources": ["rural-ndom", "rural-dop"],
        "crs": CRS,
        "dataset": "demo-rural",
    }
    _write_json(HERE / "job.json", {"inputs": inputs})


def _fill(values: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[Any]:
    """Return `values` with unknown cells taken from the nearest known one."""
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled: NDArray[Any] = values[tuple(nearest)]
    return filled


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
