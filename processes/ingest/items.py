"""STAC items of the local files, equal byte for byte in every engine: no path, no run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import shapely
from pyproj import CRS
from shapely.geometry import box, mapping
from shapely.geometry.base import BaseGeometry

from processes.grid import Bounds
from processes.ingest.cache import Stored
from processes.ingest.reference_systems import LONLAT, code_of, moved, parse_crs
from processes.ingest.scenes import Scene, SceneAsset
from processes.ingest.sources import Source
from processes.ingest.tiles import Tile
from processes.ingest.whole_raster import RasterFacts

_EXTENSIONS = [
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
]
_DEGREES = 1e-7  # about a centimetre


@dataclass(frozen=True)
class LocalFile:
    """A file of this job: its name there (unique in the job) and where it lies."""

    name: str
    stored: Stored


@dataclass(frozen=True)
class Entry:
    """One item with its files; `bounds` in the run's CRS, `footprint` in lon/lat."""

    product: str
    bounds: Bounds
    footprint: BaseGeometry
    item: dict[str, Any]
    files: tuple[LocalFile, ...]


def tile_entry(tile: Tile, stored: Stored, crs: CRS) -> Entry:
    """Describe a nDOM or orthophoto tile."""
    source = tile.source
    footprint = moved(box(*tile.bounds.as_tuple()), crs, parse_crs(LONLAT))
    properties: dict[str, Any] = {"datetime": None}
    if tile.date:
        properties["datetime"] = f"{tile.date}T00:00:00Z"
    elif tile.year:
        properties["start_datetime"] = f"{tile.year}-01-01T00:00:00Z"
        properties["end_datetime"] = f"{tile.year}-12-31T23:59:59Z"
    campaign = source.acquisition.campaign.format_map({"year": tile.year or "", **tile.names})
    properties.update(_origin(source), **_projection(crs, tile.bounds))
    properties["cdi:acquisition"] = _acquisition(source, campaign, tile.date)
    asset = _asset(tile.name, stored)
    if source.bands:
        asset["bands"] = [{"name": name} for name in source.bands]
    item = _item(tile.name, footprint, properties, {"data": asset})
    return Entry(source.product, tile.bounds, footprint, item, (LocalFile(tile.name, stored),))


def scene_entry(
    scene: Scene,
    source: Source,
    files: dict[str, tuple[Stored, SceneAsset]],
    raster: RasterFacts,
    crs: CRS,
) -> Entry:
    """Describe a Sentinel-2 scene whose bands are local.

    Args:
        scene: The scene.
        source: Where it comes from.
        files: Band -> file and what is known of it.
        raster: What the header of its rasters says.
        crs: The run's CRS.
    """
    own_crs, own_bounds = raster.crs or crs, raster.bounds
    properties: dict[str, Any] = {
        "datetime": scene.moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eo:cloud_cover": scene.cloud,
        "grid:code": f"MGRS-{scene.grid}",
        "platform": scene.platform,
        "s2:processing_baseline": scene.baseline,
        **_origin(source),
        **_projection(own_crs, own_bounds),
    }
    properties["cdi:acquisition"] = _acquisition(
        source, scene.datatake, scene.moment.strftime("%Y-%m-%d")
    )
    assets, local = {}, []
    for band, (stored, asset) in sorted(files.items()):
        name = f"{scene.id}_{band}{PurePosixPath(asset.href).suffix or '.tif'}"
        assets[band] = {
            **_asset(name, stored),
            "cdi:scale": asset.scale,
            "cdi:offset": asset.offset,
            "cdi:nodata": asset.nodata,
        }
        local.append(LocalFile(name, stored))
    place = moved(shapely.segmentize(box(*own_bounds.as_tuple()), 10_000), own_crs, crs)
    item = _item(f"{scene.id}.json", scene.footprint, properties, assets)
    return Entry(source.product, Bounds(*place.bounds), scene.footprint, item, tuple(local))


def collection(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return a STAC ItemCollection, ordered by product and id."""
    ordered = sorted(entries, key=lambda entry: (entry.product, entry.item["id"]))
    return {"type": "FeatureCollection", "features": [entry.item for entry in ordered]}


def _item(
    name: str, footprint: BaseGeometry, properties: dict[str, Any], assets: dict[str, Any]
) -> dict[str, Any]:
    rounded = shapely.set_precision(footprint, _DEGREES)
    known = {
        key: value for key, value in properties.items() if value is not None or key == "datetime"
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": _EXTENSIONS,
        "id": PurePosixPath(name).stem,
        "geometry": mapping(rounded),
        "bbox": [round(value, 7) for value in rounded.bounds],
        "properties": known,
        "links": [],
        "assets": assets,
    }


def _asset(name: str, stored: Stored) -> dict[str, Any]:
    kind = "image/jp2" if name.lower().endswith(".jp2") else "image/tiff; application=geotiff"
    return {
        "href": name,
        "type": kind,
        "roles": ["data"],
        "file:checksum": f"1220{stored.sha256}",
        "file:size": stored.size,
    }


def _origin(source: Source) -> dict[str, Any]:
    about: dict[str, Any] = {
        "cdi:product": source.product,
        "cdi:source": source.name,
        "cdi:licence": source.licence,
        "cdi:attribution": source.attribution,
    }
    if source.test_bench:
        about["cdi:test_bench"] = True
    return about


def _projection(crs: CRS, bounds: Bounds) -> dict[str, Any]:
    about: dict[str, Any] = {"proj:bbox": list(bounds.as_tuple())}
    authority = code_of(crs)
    if authority:
        about["proj:code"] = f"{authority[0]}:{authority[1]}"
        if authority[0] == "EPSG":
            about["proj:epsg"] = int(authority[1])
    return about


def _acquisition(source: Source, campaign: str, date: str | None) -> dict[str, Any]:
    return {"group": source.acquisition.group, "campaign": campaign, "date": date}
