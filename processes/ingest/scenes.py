"""Sentinel-2 scenes out of STAC items of different catalogues, reduced to what they have in common.

Catalogues name bands differently, and say differently whether the offset that processing baseline
04.00 introduced is still in the numbers. This is decided here once; later steps compute
reflectance as number x scale + offset and need to know nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from processes.ingest.period import moment_of

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12", "SCL")
REQUIRED = ("B04", "B08", "SCL")
SCALE, OFFSET, NODATA = 0.0001, -0.1, 0
# Asset keys of one band, best first: Earth Search v1, Earth Search v0 and CDSE's own names.
_KEYS = {
    "B02": ("blue", "B02_10m", "B02"),
    "B03": ("green", "B03_10m", "B03"),
    "B04": ("red", "B04_10m", "B04"),
    "B08": ("nir", "B08_10m", "B08"),
    "B11": ("swir16", "B11_20m", "B11"),
    "B12": ("swir22", "B12_20m", "B12"),
    "SCL": ("scl", "SCL_20m", "SCL"),
}
_OFFSET_SINCE = (4, 0)


@dataclass(frozen=True)
class SceneAsset:
    """One band: its address, how numbers become reflectance, and what is known of the file.

    `login` tells that the address answers only to those who log in.
    """

    href: str
    scale: float
    offset: float
    nodata: float
    login: bool = False
    size: int | None = None
    checksum: tuple[str, str] | None = None


@dataclass(frozen=True)
class Scene:
    """One Sentinel-2 acquisition of one MGRS tile."""

    id: str
    moment: datetime
    footprint: BaseGeometry
    cloud: float | None
    datatake: str
    grid: str
    baseline: str | None
    rank: tuple[Any, ...]
    assets: dict[str, SceneAsset]
    platform: str | None = None


def scene_from_item(item: dict[str, Any]) -> Scene:
    """Read a STAC item (1.0 or 1.1) of Earth Search, CDSE or the like.

    Raises:
        ValueError: It lacks what a scene needs.
    """
    properties = item.get("properties") or {}
    try:
        moment = moment_of(str(properties.get("datetime") or properties["start_datetime"]))
        footprint = shapely.make_valid(shape(item["geometry"]))
        identifier = str(item["id"])
    except (KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as error:
        raise ValueError(f"no STAC item: {error}") from error
    baseline = _baseline(properties, identifier)
    generated = str(
        properties.get("s2:generation_time") or properties.get("processing:datetime") or ""
    )
    return Scene(
        id=_safe(identifier),
        moment=moment,
        footprint=footprint,
        cloud=None if properties.get("eo:cloud_cover") is None else properties["eo:cloud_cover"],
        datatake=_datatake(properties, moment),
        grid=_grid(properties, identifier),
        baseline=None if baseline is None else f"{baseline[0]:02d}.{baseline[1]:02d}",
        rank=(baseline or (-1, 0), generated, int(properties.get("s2:sequence") or 0), identifier),
        assets=dict(_assets(item, properties, baseline, moment)),
        platform=properties.get("platform"),
    )


def one_copy(scenes: Iterable[Scene]) -> tuple[list[Scene], list[tuple[Scene, Scene]]]:
    """Keep one copy per datatake and MGRS tile: newest baseline, generation time, sequence.

    Returns:
        The kept scenes by time and id, and pairs (dropped, kept).
    """
    best: dict[tuple[str, str], Scene] = {}
    everything = sorted(scenes, key=lambda scene: scene.rank)
    for scene in everything:
        best[(scene.datatake, scene.grid)] = scene
    kept = sorted(best.values(), key=lambda scene: (scene.moment, scene.id))
    pairs = [(scene, best[(scene.datatake, scene.grid)]) for scene in everything]
    return kept, [(lost, won) for lost, won in pairs if lost is not won]


def _assets(
    item: dict[str, Any],
    properties: dict[str, Any],
    baseline: tuple[int, int] | None,
    moment: datetime,
) -> Iterable[tuple[str, SceneAsset]]:
    assets = item.get("assets") or {}
    for band in BANDS:
        asset = next((assets[key] for key in _KEYS[band] if key in assets), None)
        if asset is None or not asset.get("href"):
            continue
        raster = (asset.get("raster:bands") or [{}])[0]
        href, login = _reachable(asset)
        if band == "SCL":
            scale, offset = 1.0, 0.0
        else:
            scale = float(asset.get("raster:scale", raster.get("scale", SCALE)))
            offset = _offset(asset, raster, properties, baseline, moment)
        nodata = asset.get("nodata", raster.get("nodata", NODATA))
        yield (
            band,
            SceneAsset(
                *(href, scale, offset, float(nodata or 0), login),
                size=asset.get("file:size"),
                checksum=_multihash(asset.get("file:checksum")),
            ),
        )


def _offset(
    asset: dict[str, Any],
    raster: dict[str, Any],
    properties: dict[str, Any],
    baseline: tuple[int, int] | None,
    moment: datetime,
) -> float:
    """Resolve what must still be added to the scaled numbers.

    Earth Search has taken the offset out of the numbers where it says `boa_offset_applied`, but
    goes on stating -0.1 in `raster:bands`. Everywhere else the baseline decides: products before
    04.00 have none. Only without a baseline the asset's own statement counts.
    """
    applied = properties.get("earthsearch:boa_offset_applied")
    if applied is None:
        applied = properties.get("sentinel:boa_offset_applied")
    if applied:
        return 0.0
    stated = asset.get("raster:offset", raster.get("offset"))
    if baseline is not None:
        has_offset = baseline >= _OFFSET_SINCE
        return (float(stated) if stated else OFFSET) if has_offset else 0.0
    if stated is not None:
        return float(stated)
    return OFFSET if (moment.year, moment.month, moment.day) >= (2022, 1, 25) else 0.0


def _reachable(asset: dict[str, Any]) -> tuple[str, bool]:
    """Return the address to fetch, https before s3, and whether it wants a login."""
    href = str(asset["href"])
    https = (asset.get("alternate") or {}).get("https") or {}
    if href.startswith("s3://") and https.get("href"):
        return str(https["href"]), bool(https.get("auth:refs"))
    return href, href.startswith("s3://") or bool(asset.get("auth:refs"))


def _baseline(properties: dict[str, Any], identifier: str) -> tuple[int, int] | None:
    text = properties.get("s2:processing_baseline") or properties.get("processing:version")
    for candidate in (text, properties.get("s2:product_uri"), identifier):
        hit = re.search(r"(?:^|_N)(\d\d)\.?(\d\d)(?:_|$)", str(candidate or ""))
        if hit:
            return int(hit[1]), int(hit[2])
    return None


def _datatake(properties: dict[str, Any], moment: datetime) -> str:
    """Name the datatake without its baseline, which differs between copies of the same one."""
    name = properties.get("s2:datatake_id") or properties.get("eopf:datatake_id")
    if name:
        return re.sub(r"_N\d\d\.\d\d$", "", str(name))
    return f"{properties.get('platform', 'sentinel-2')}_{moment:%Y%m%d}"


def _grid(properties: dict[str, Any], identifier: str) -> str:
    code = str(properties.get("grid:code") or "")
    if code:
        return code.removeprefix("MGRS-")
    hit = re.search(r"_T?(\d{1,2}[A-Z]{3})(?:_|$)", identifier)
    return hit[1] if hit else identifier


def _multihash(text: Any) -> tuple[str, str] | None:
    """Read a multihash of the kinds in use: 12 20 SHA-256, 16 20 SHA3-256, d5 01 10 MD5."""
    kinds = {"1220": "sha256", "1620": "sha3_256", "d50110": "md5"}
    for prefix, algorithm in kinds.items():
        if isinstance(text, str) and text.startswith(prefix):
            return algorithm, text[len(prefix) :].lower()
    return None


def _safe(identifier: str) -> str:
    """Make an id usable as the start of a file name."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", identifier).lstrip(".")
