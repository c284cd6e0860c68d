"""Small files for the tests: rasters, STAC items and inventories that a reader can compute."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from processes.preprocess.__main__ import parser, run
from processes.stage import Progress

UTM32 = "EPSG:25832"


def write_raster(
    path: Path,
    data: Any,
    *,
    left: float,
    top: float,
    cell: float,
    crs: str | None = UTM32,
    **more: Any,
) -> Path:
    """Write an array of shape (rows, cols) or (bands, rows, cols)."""
    data = np.asarray(data)
    data = data[None] if data.ndim == 2 else data
    more.setdefault("photometric", "MINISBLACK")
    descriptions = more.pop("descriptions", ())
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=data.shape[0],
        height=data.shape[1],
        width=data.shape[2],
        dtype=data.dtype,
        crs=crs,
        transform=from_origin(left, top, cell, cell),
        **more,
    ) as target:
        target.write(data)
        for index, text in enumerate(descriptions, 1):
            target.set_band_description(index, text)
    return path


def scene_item(
    identifier: str,
    day: str,
    files: Mapping[str, Path],
    *,
    offset: float = 0.0,
    **properties: Any,
) -> dict[str, Any]:
    """Describe a Sentinel-2 scene as ingestion does."""
    return {
        "type": "Feature",
        "id": identifier,
        "properties": {
            "datetime": f"{day}T10:30:00Z",
            "cdi:product": "sentinel-2-l2a",
            **properties,
        },
        "assets": {
            band: {
                "href": path.name,
                "cdi:scale": 1.0 if band == "SCL" else 0.0001,
                "cdi:offset": 0.0 if band == "SCL" else offset,
                "cdi:nodata": 0,
            }
            for band, path in files.items()
        },
    }


def photo_item(path: Path, date: str | None = "2022-06-01", **data: Any) -> dict[str, Any]:
    """Describe an orthophoto tile as ingestion does."""
    return {
        "type": "Feature",
        "id": path.stem,
        "properties": {
            "datetime": None,
            "cdi:product": "dop",
            "cdi:acquisition": {"group": "image", "campaign": "flight-1", "date": date},
        },
        "assets": {"data": {"href": path.name, **data}},
    }


def write_scene(
    folder: Path, identifier: str, day: str, bands: Mapping[str, Any], **place: Any
) -> tuple[list[Path], dict[str, Any]]:
    """Write a scene's bands, one file each, and describe it; `offset` goes to the item."""
    offset = place.pop("offset", 0.0)
    files = {
        band: write_raster(folder / f"{identifier}_{band}.tif", data, **place)
        for band, data in bands.items()
    }
    return list(files.values()), scene_item(identifier, day, files, offset=offset)


def write_items(path: Path, items: Sequence[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))
    return path


def write_objects(path: Path, boxes: Mapping[str, Sequence[float]], crs: str = UTM32) -> Path:
    """Write an inventory whose objects are rectangles (left, bottom, right, top)."""
    import geopandas as gpd
    from shapely.geometry import MultiPolygon, box

    from processes.vector import write_layers

    frame = gpd.GeoDataFrame(
        {"object_id": list(boxes)},
        geometry=[MultiPolygon([box(*bounds)]) for bounds in boxes.values()],
        crs=crs,
    )
    write_layers(path, {"objects": frame})
    return path


def prepare(
    core: Sequence[float],
    items: Path,
    objects: Path,
    *,
    s2: Sequence[Path] = (),
    dop: Sequence[Path] = (),
    ndom: Sequence[Path] = (),
    batch: str = "b1",
    crs: str = UTM32,
    period: str = "2023-01-01/2023-12-31",
    **options: Any,
) -> dict[str, Any]:
    """Run the stage in the current folder and give the document that it writes."""
    argv = [
        f"--batch-id={batch}",
        "--core=" + ",".join(str(value) for value in core),
        f"--crs={crs}",
        f"--items={items}",
        f"--objects={objects}",
        f"--period={period}",
    ]
    for name, paths in (("s2", s2), ("dop", dop), ("ndom", ndom)):
        for path in paths:
            argv += [f"--{name}", str(path)]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        argv += [option] if value is True else [option, str(value)]
    run(parser().parse_args(argv), Progress())
    document: dict[str, Any] = json.loads(Path(f"prepared-{batch}.json").read_text())
    return document
