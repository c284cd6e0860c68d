"""Writes the Sentinel-2 year as files and STAC items in the form of Earth Search v1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin

from landscape_parts.frame import Array
from landscape_parts.scenes import Scene, scene_bounds, scenes
from landscape_parts.surface import Textures
from landscape_parts.world import World

EPSG = 32632  # Sentinel-2 comes in UTM on WGS 84, not on ETRS89 as the state's data
KEYS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16", "SCL": "scl"}
TITLE = "TEST BENCH, made-up data, not a Sentinel-2 product"


def write_sentinel2(world: World, textures: Textures, folder: Path) -> list[str]:
    """Write all scenes and `items.json` into `folder`; returns the ids in order."""
    items = []
    for scene in scenes(world, textures):
        _write_scene(world, scene, folder / scene.item_id)
        items.append(_item(world, scene))
    document = {"type": "FeatureCollection", "title": TITLE, "features": items}
    (folder / "items.json").write_text(
        json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return [str(item["id"]) for item in items]


def _write_scene(world: World, scene: Scene, folder: Path) -> None:
    folder.mkdir(parents=True)
    xmin, _, _, ymax = scene_bounds(world.frame)
    for name, values in (*scene.bands.items(), ("SCL", scene.scl)):
        step = 20 if name in ("B11", "SCL") else 10
        with rasterio.open(
            folder / f"{name}.tif",
            "w",
            driver="GTiff",
            width=values.shape[1],
            height=values.shape[0],
            count=1,
            dtype=values.dtype,
            crs=f"EPSG:{EPSG}",
            nodata=0,
            transform=from_origin(xmin, ymax, step, step),
            compress="deflate",
            predictor=2,
            tiled=True,
            blockxsize=256,
            blockysize=256,
        ) as target:
            target.write(values, 1)
            target.update_tags(TITLE=TITLE)


def _item(world: World, scene: Scene) -> dict[str, Any]:
    xmin, ymin, xmax, ymax = scene_bounds(world.frame)
    to_degrees = Transformer.from_crs(EPSG, 4326, always_xy=True)
    corners = [(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax), (xmin, ymin)]
    ring = [
        [round(float(value), 7) for value in to_degrees.transform(*corner)] for corner in corners
    ]
    east, north = zip(*ring, strict=True)
    moment = scene.moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    generated = scene.moment.replace(hour=14 + scene.sequence).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    platform = "sentinel-2a" if scene.item_id.startswith("S2A") else "sentinel-2b"
    mark = scene.moment.strftime("%Y%m%dT%H%M%S")
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": scene.item_id,
        "collection": "sentinel-2-l2a",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [min(east), min(north), max(east), max(north)],
        "properties": {
            "title": TITLE,
            "cdi:test_bench": True,
            "datetime": moment,
            "platform": platform,
            "constellation": "sentinel-2",
            "instruments": ["msi"],
            "eo:cloud_cover": scene.cloud_cover,
            "proj:epsg": EPSG,
            "grid:code": "MGRS-32ULC",
            "view:sun_azimuth": round(scene.sun_azimuth, 3),
            "view:sun_elevation": round(scene.sun_elevation, 3),
            "s2:product_type": "S2MSI2A",
            "s2:processing_baseline": scene.baseline,
            "s2:generation_time": generated,
            "s2:datatake_id": f"G{scene.item_id[:3]}_{mark}_000000_N{scene.baseline}",
            "s2:sequence": str(scene.sequence),
            "earthsearch:boa_offset_applied": scene.offset_applied,
        },
        "assets": {
            KEYS[name]: _asset(scene, name, values)
            for name, values in (*scene.bands.items(), ("SCL", scene.scl))
        },
        "links": [],
    }


def _asset(scene: Scene, name: str, values: Array) -> dict[str, Any]:
    step = 20 if name in ("B11", "SCL") else 10
    band: dict[str, Any] = {"nodata": 0, "data_type": str(values.dtype), "spatial_resolution": step}
    if name != "SCL":
        # As in the real catalogue: the offset is stated even where it has been taken out already.
        band |= {"scale": 0.0001, "offset": -0.1}
    return {
        "href": f"{scene.item_id}/{name}.tif",
        "type": "image/tiff; application=geotiff",
        "title": f"{name} (TEST BENCH)",
        "raster:bands": [band],
        "roles": ["data", "reflectance"],
    }
