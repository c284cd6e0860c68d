"""Writes the truth, the old inventory, the district and the request to run the chain on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from shapely.geometry import Polygon, box, mapping

from landscape_parts.frame import (
    CRS,
    IMAGE_DATE,
    SENTINEL_YEAR,
    SURFACE_DATE,
    Array,
    Frame,
)
from landscape_parts.trees import KINDS
from landscape_parts.world import World

TITLE = "TEST BENCH landscape: made-up data, no real place"
URN = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
AGS, DISTRICT = "05999", "Testkreis"
MUNICIPALITIES = ("Musterdorf", "Probeheim", "Beispielrath")
CODES = {"orchard-old": "HK3", "orchard-young": "HK1"}


def write_truth(world: World, folder: Path) -> None:
    """Every tree and every object as it is, whatever inventory and images show."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    pyogrio.write_dataframe(_tree_table(world), folder / "trees.gpkg", layer="trees")
    pyogrio.write_dataframe(
        _object_table(world), folder / "objects.gpkg", layer="objects", geometry_type="Polygon"
    )


def trees_in_area(world: World) -> Array:
    """The trees whose stem stands in the area (half-open), in the order of planting."""
    xmin, ymin, xmax, ymax = world.frame.bounds
    stock = world.trees
    inside = (stock["x"] >= xmin) & (stock["x"] < xmax) & (stock["y"] >= ymin) & (stock["y"] < ymax)
    result: Array = stock[inside]
    return result


def inventory(world: World) -> dict[str, Any]:
    """What the state's old inventory says, as GeoJSON in EPSG:25832."""
    features = [
        {
            "type": "Feature",
            "properties": _inventory_row(world, number),
            "geometry": _rounded(_sketched(world, number)),
        }
        for number, planned in enumerate(world.objects)
        if planned.kind.inventory
    ]
    return {"type": "FeatureCollection", "name": TITLE, "crs": URN, "features": features}


def district(frame: Frame) -> dict[str, Any]:
    """One district that covers the area exactly."""
    properties = {"AGS": AGS, "RS": f"{AGS}0000000", "GN": DISTRICT, "KN": AGS, "note": TITLE}
    feature = {
        "type": "Feature",
        "properties": properties,
        "geometry": _rounded(box(*frame.bounds)),
    }
    return {"type": "FeatureCollection", "name": TITLE, "crs": URN, "features": [feature]}


def request(world: World) -> dict[str, Any]:
    """The execute request of the chain on this landscape."""
    return {
        "x-title": TITLE,
        "inputs": {
            "bbox": {
                "bbox": list(world.frame.bounds),
                "crs": "http://www.opengis.net/def/crs/EPSG/0/25832",
            },
            "period": f"{SENTINEL_YEAR}-01-01/{SENTINEL_YEAR}-12-31",
            "inventory": {"value": inventory(world), "mediaType": "application/geo+json"},
            "sources": ["landscape-ndom", "landscape-dop", "landscape-sentinel2"],
            "crs": CRS,
            "dataset": "demo-landscape",
        },
    }


def write_records(world: World, folder: Path, files: dict[str, list[str]]) -> None:
    """Inventory, district, request, flight dates and a note what this folder is."""
    write_json(folder / "inventory.geojson", inventory(world))
    write_json(folder / "districts.geojson", district(world.frame))
    write_json(folder / "job.json", request(world))
    dates = {"ndom": SURFACE_DATE.isoformat(), "dop": IMAGE_DATE.isoformat()}
    write_json(
        folder / "dates.json",
        {
            "title": TITLE,
            "products": dates,
            "files": {name: dates[product] for product, names in files.items() for name in names},
        },
    )
    for product, names in files.items():
        lines = ["Kachelname;Aktualitaet", *(f"{name};{dates[product]}" for name in names)]
        (folder / product / f"{product}_meta.csv").write_text(
            "\n".join(lines) + "\n", encoding="utf-8"
        )
    (folder / "README.md").write_text(_note(world), encoding="utf-8")


def write_json(path: Path, document: Any) -> None:
    """Write JSON with a fixed layout, so that equal content gives equal bytes."""
    text = json.dumps(document, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def _tree_table(world: World) -> Any:
    stock = trees_in_area(world)
    numbers = {planned.number: planned for planned in world.objects}
    owners = [numbers.get(int(number)) for number in stock["object"]]
    table = {
        "tree": np.arange(1, len(stock) + 1),
        "kind": [KINDS[kind] for kind in stock["kind"]],
        "height_m": stock["height"].astype(float).round(2),
        "crown_m": stock["crown"].astype(float).round(2),
        "object_no": stock["object"].astype(int),
        "object_id": [owner.object_id or None if owner else None for owner in owners],
        "at_surface": _stands(stock, SURFACE_DATE.toordinal()),
        "at_image": _stands(stock, IMAGE_DATE.toordinal()),
        "note": ["TEST BENCH"] * len(stock),
    }
    places = shapely.points(stock["x"].round(3), stock["y"].round(3))
    return gpd.GeoDataFrame(table, geometry=places, crs=CRS)


def _stands(stock: Array, day: int) -> Array:
    result: Array = ((stock["first"] <= day) & (day < stock["last"])).astype(np.int32)
    return result


def _object_table(world: World) -> Any:
    rows = []
    for planned in world.objects:
        kind = planned.kind
        own = world.trees[world.trees["object"] == planned.number]
        rows.append(
            {
                "object_no": planned.number,
                "object_id": planned.object_id or None,
                "kind": kind.name,
                "state": kind.state,
                "in_inventory": int(kind.inventory),
                "expected": kind.expected or None,
                "rejected_as": kind.rejected_as or None,
                "acceptable": kind.acceptable or None,
                "trees_at_surface": int(_stands(own, SURFACE_DATE.toordinal()).sum()),
                "trees_at_image": int(_stands(own, IMAGE_DATE.toordinal()).sum()),
                "area_m2": round(planned.outline.area, 1),
                "note": f"TEST BENCH: {kind.note}".rstrip(": "),
            }
        )
    return gpd.GeoDataFrame(rows, geometry=[one.outline for one in world.objects], crs=CRS)


def _inventory_row(world: World, number: int) -> dict[str, Any]:
    planned = world.objects[number]
    rng = world.frame.stream("inventory-row", number)
    day = f"{rng.integers(2009, 2019)}-{rng.integers(4, 11):02d}-{rng.integers(1, 29):02d}"
    return {
        "object_id": planned.object_id,
        "name": planned.name,
        "municipality": _municipality(planned.outline, world.frame),
        "district": DISTRICT,
        "code": CODES.get(planned.kind.name, "HK2"),
        "inventory_date": day,
        "inventory_trees": max(
            4, round(planned.outline.area / 110 * float(rng.uniform(0.7, 1.05)))
        ),
        "note": "TEST BENCH",
    }


def _municipality(outline: Polygon, frame: Frame) -> str:
    """One of three invented municipalities, by easting."""
    share = (outline.centroid.x - frame.bounds[0]) / frame.size
    return MUNICIPALITIES[min(2, max(0, int(share * 3)))]


def _sketched(world: World, number: int) -> Polygon:
    """The outline as somebody drew it: few corners, each some decimetres to metres off."""
    outline = world.objects[number].outline
    rng = world.frame.stream("inventory-shape", number)
    narrow = outline.area / outline.length < 6
    plain = outline.simplify(1.5).buffer(float(rng.uniform(0.3, 2.5)), join_style="mitre")
    corners = np.array(plain.exterior.coords)[:-1]
    corners = corners + rng.normal(0, 0.4 if narrow else 1.0, corners.shape)
    corners = corners + rng.normal(0, 0.7, 2)
    sketch = Polygon(corners)
    return sketch if sketch.is_valid else plain


def _rounded(shape: Polygon) -> dict[str, Any]:
    rings = mapping(shape)["coordinates"]
    return {
        "type": "Polygon",
        "coordinates": [[[round(x, 2), round(y, 2)] for x, y in ring] for ring in rings],
    }


def _note(world: World) -> str:
    xmin, ymin, xmax, ymax = world.frame.bounds
    return (
        f"# {TITLE}\n\n"
        "Everything in this folder was made by `samples/landscape.py` "
        f"(seed {world.frame.seed}); no tree, house or field of it exists. See "
        "`samples/landscape.md`.\n\n"
        f"Area ({CRS}): {xmin:.0f}, {ymin:.0f}, {xmax:.0f}, {ymax:.0f}. "
        f"Surface {SURFACE_DATE}, image {IMAGE_DATE}, Sentinel-2 of {SENTINEL_YEAR}. "
        "Free to use: CC0 1.0.\n"
    )
