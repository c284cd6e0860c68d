"""A landscape of 400 m by 400 m that can be worked out by hand, cut into batches as one likes.

Metres from its corner; the batches' seams at 200 m run through the orchard.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.features import rasterize
from rasterio.transform import from_origin
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Point, box

from processes.vector import write_layers

CRS = "EPSG:25832"
EAST, NORTH, SIZE = 400_000.0, 5_700_000.0, 400.0
PERIOD = "2023-01-01/2023-12-31"
GRASS, SOIL = (0.5, 0.7, 0.8, 0.7, 0.7, 0.2, -0.2, 0.0, 9.0), (0.1, 0.3, 0.7, 0.3, 0.2, 0, 0, 2, 9)

OBJECTS = {
    # id: polygon, inventory_date, inventory_trees
    "across": (box(170, 170, 230, 230), "2015-06-01", 40),
    "cleared": (box(20, 20, 70, 70), "2015-06-01", 20),
    "edge": (box(370, 20, 430, 60), "2015-06-01", None),
    "few": (box(300, 20, 350, 70), "2015-06-01", None),
    "outside": (box(600, 600, 650, 650), None, None),
}
TREES = {
    "across": [(175 + 10 * i, 175 + 10 * j) for i in range(6) for j in range(6)],
    "few": [(305 + 10 * i, 45) for i in range(5)],
    "unknown": [(40 + 12 * i, 300 + 12 * j) for i in range(5) for j in range(5)],
    "wood": [(300 + 5 * i, 250 + 5 * j) for i in range(16) for j in range(16)],
}
SHED = box(310, 55, 320, 65)


def build(
    folder: Path, cuts: tuple[float, ...] = (0.0, SIZE), shift: float = 0.0, **without: bool
) -> list[str]:
    """Write all inputs into `folder`; return the command line.

    Args:
        folder: Where to write; made if need be.
        cuts: Edges of the batches in both directions.
        shift: Metres that the surface model lies east of the image.
        without: Groups to leave out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left, right in pairwise(cuts):
        for bottom, top in pairwise(cuts):
            _write_batch(folder, (left, bottom, right, top), shift, without)
    _write_objects(folder / "objects.gpkg")
    area = box(EAST, NORTH, EAST + SIZE, NORTH + SIZE).__geo_interface__
    (folder / "area.geojson").write_text(json.dumps(area))
    items = [_item("ndom", "flight-1", "2021-06-01"), _item("dop", "flight-2", "2023-07-01")]
    if not without.get("sentinel2"):
        items.append(_item("sentinel-2-l2a", "sentinel-2", "2023-05-05"))
    (folder / "items.json").write_text(json.dumps({"features": items}))
    files = ["--inventory", "objects.gpkg", "--area", "area.geojson", "--items", "items.json"]
    files = [str(folder / part) if not part.startswith("--") else part for part in files]
    return [*files, "--batches", str(folder), "--period", PERIOD]


def at(geometry: Any) -> Any:
    """Move a geometry of the scene to its place in the CRS."""
    return translate(geometry, EAST, NORTH)


def _write_batch(
    folder: Path, core: tuple[float, float, float, float], shift: float, without: dict[str, bool]
) -> None:
    left, bottom, right, top = core
    name = f"b{int(left)}_{int(bottom)}"
    # As the stage detect does: a crown belongs to the batch that its top lies in.
    trees = [
        (x, y, 8.0 if group != "wood" else 20.0)
        for group, places in TREES.items()
        for x, y in places
        if left <= x < right and bottom <= y < top
    ]
    crowns = gpd.GeoDataFrame(
        {
            "tree_id": [f"t{(EAST + x) * 10:.0f}_{(NORTH + y) * 10:.0f}" for x, y, _ in trees],
            "height_m": [height for _, _, height in trees],
            "area_m2": [_crown(x, y).area for x, y, _ in trees],
            "diameter_m": [5.0] * len(trees),
            "score": [0.9] * len(trees),
            "flatness": [0.1] * len(trees),
            "top_x": [EAST + x for x, _, _ in trees],
            "top_y": [NORTH + y for _, y, _ in trees],
            "surface_date": ["2021-06-01"] * len(trees),
        },
        geometry=[at(_crown(x, y)) for x, y, _ in trees],
        crs=CRS,
    )
    sheds = [at(SHED)] if left <= 315 < right and bottom <= 60 < top else []
    structures = gpd.GeoDataFrame(
        {"structure_id": ["s1"] * len(sheds), "height_m": [4.0] * len(sheds)},
        geometry=gpd.GeoSeries(sheds, crs=CRS),
    )
    crowns.attrs["geometry_type"] = structures.attrs["geometry_type"] = "Polygon"
    write_layers(folder / f"crowns-{name}.gpkg", {"crowns": crowns, "structures": structures})
    heights = _burn(core, 1.0, [(_crown(x, y), height) for x, y, height in trees])
    if not without.get("surface"):
        _raster(folder / f"ndom-{name}.tif", core, 1.0, heights[None], -9999.0)
    if not without.get("sentinel2"):
        soil = _burn(core, 10.0, [(OBJECTS["cleared"][0], 1.0)])
        bands = [np.where(soil == 1, dark, green) for green, dark in zip(GRASS, SOIL, strict=True)]
        _raster(folder / f"sentinel2-{name}.tif", core, 10.0, np.array(bands, np.float32), np.nan)
    if not without.get("image"):
        soil = _burn(core, 0.5, [(OBJECTS["cleared"][0], 1.0)])
        dark = _burn(core, 0.5, [(_crown(x - shift, y), 1.0) for x, y, _ in trees])
        # Red, green, blue, infrared: meadow, soil, and crowns darker than the meadow.
        meadow, field, crown = (
            np.array(colour)[:, None, None]
            for colour in ((90, 110, 80, 180), (150, 120, 100, 140), (40, 60, 40, 140))
        )
        colours = np.select([soil == 1, dark == 1], [field, crown], meadow)
        _raster(folder / f"image-{name}.tif", core, 0.5, colours.astype(np.uint8), 0)
    measured = {"dx_m": shift, "dy_m": 0.0, "status": "shifted" if shift else "ok"}
    few = left <= 325 < right and bottom <= 45 < top
    notes = {"registration": {"objects": {"few": measured} if few else {}}}
    (folder / f"prepared-{name}.json").write_text(json.dumps(notes))


def _crown(x: float, y: float) -> Any:
    return Point(x, y).buffer(2.5)


def _burn(core: tuple[float, float, float, float], cell: float, shapes: list[Any]) -> Any:
    left, bottom, right, top = core
    grid = (round((top - bottom) / cell), round((right - left) / cell))
    if not shapes:
        return np.zeros(grid, np.float32)
    transform = from_origin(left, top, cell, cell)
    return rasterize(shapes, out_shape=grid, transform=transform, dtype="float32")


def _raster(path: Path, core: Any, cell: float, data: Any, nodata: float) -> None:
    transform = from_origin(EAST + core[0], NORTH + core[3], cell, cell)
    count, rows, cols = data.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=rows, width=cols, dtype=data.dtype,
        crs=CRS, transform=transform, nodata=nodata, ALPHA="UNSPECIFIED",
    ) as dataset:  # fmt: skip
        dataset.write(data)


def _write_objects(path: Path) -> None:
    rows = sorted(OBJECTS.items())
    frame = gpd.GeoDataFrame(
        {
            "object_id": [name for name, _ in rows],
            "code": [None] * len(rows),
            "inventory_date": [date for _, (_, date, _) in rows],
            "inventory_trees": [trees for _, (_, _, trees) in rows],
        },
        geometry=[MultiPolygon([at(polygon)]) for _, (polygon, _, _) in rows],
        crs=CRS,
    )
    write_layers(path, {"objects": frame})


def _item(product: str, campaign: str, date: str) -> dict[str, Any]:
    bounds = [EAST, NORTH, EAST + SIZE, NORTH + SIZE]
    return {
        "type": "Feature",
        "id": f"{product}-{date}",
        "geometry": None,
        "properties": {
            "cdi:product": product,
            "cdi:acquisition": {"campaign": campaign, "date": date},
            "proj:code": CRS,
            "proj:bbox": bounds,
        },
    }
