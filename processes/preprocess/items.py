"""What the batch's STAC items say about its Sentinel-2 scenes and orthophotos."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes.preprocess.georeference import Claim
from processes.stage import InputDataError

SENTINEL2, DOP = "sentinel-2-l2a", "dop"
BANDS = ("B02", "B04", "B08", "B11", "SCL")
NEEDED = ("B04", "B08", "SCL")


@dataclass(frozen=True)
class Asset:
    """One band's file; reflectance = value * scale + offset where value != nodata."""

    path: Path
    claim: Claim
    scale: float = 1.0
    offset: float = 0.0
    nodata: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One Sentinel-2 product: its id, its day (UTC, ``YYYY-MM-DD``), its files by band."""

    id: str
    day: str
    assets: Mapping[str, Asset]

    @property
    def month(self) -> int:
        """Month of the year, 1 to 12."""
        return int(self.day[5:7])

    def lacking(self) -> list[str]:
        """Name the bands without which no index can be computed and that the item does not have."""
        return [band for band in NEEDED if band not in self.assets]


@dataclass(frozen=True)
class Orthophoto:
    """One orthophoto tile.

    `date` is the day of the flight, if it is known; `since` what is known of its time (a year's
    first day), good for putting tiles in order. `bands` are names in the file's order, empty when
    the item is silent.
    """

    id: str
    path: Path
    claim: Claim
    date: str | None
    since: str
    campaign: str | None
    bands: tuple[str, ...] = ()


def read_items(path: Path) -> list[dict[str, Any]]:
    """Read the items of a STAC FeatureCollection.

    Raises:
        InputDataError: The file is missing or no FeatureCollection.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        features = document["features"]
        if not all(isinstance(item["assets"], dict) for item in features):
            raise TypeError("assets is no object")
    except FileNotFoundError as error:
        raise InputDataError("file not found", f"{path} does not exist") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputDataError(
            "items cannot be read", f"{path.name}: {error!r}; expected a STAC FeatureCollection"
        ) from error
    return list(features)


def scenes(items: Sequence[dict[str, Any]], files: Sequence[Path]) -> list[Scene]:
    """Give the Sentinel-2 scenes, ordered by day and id.

    Raises:
        InputDataError: An item names a file that is not among `files`, or has no date.
    """
    by_name = _by_name(files)
    found = []
    for item in _of_product(items, SENTINEL2):
        day = _day(item)
        if day is None:
            raise InputDataError("item has no date", f"{item['id']}: expected properties.datetime")
        assets = {
            band: _asset(item, item["assets"][band], by_name)
            for band in BANDS
            if band in item["assets"]
        }
        found.append(Scene(item["id"], day, assets))
    return sorted(found, key=lambda scene: (scene.day, scene.id))


def orthophotos(items: Sequence[dict[str, Any]], files: Sequence[Path]) -> list[Orthophoto]:
    """Give the orthophoto tiles, oldest first (a newer tile covers an older one).

    Raises:
        InputDataError: An item names a file that is not among `files`.
    """
    by_name = _by_name(files)
    found = []
    for item in _of_product(items, DOP):
        data = item["assets"].get("data")
        if data is None:
            raise InputDataError("item has no file", f"{item['id']}: expected an asset `data`")
        asset = _asset(item, data, by_name)
        acquisition = item["properties"].get("cdi:acquisition") or {}
        found.append(
            Orthophoto(
                item["id"],
                asset.path,
                asset.claim,
                acquisition.get("date"),
                acquisition.get("date") or _day(item) or "",
                acquisition.get("campaign"),
                tuple(_band_name(band) for band in data.get("bands", data.get("eo:bands", []))),
            )
        )
    return sorted(found, key=lambda tile: (tile.since, tile.id))


def _of_product(items: Sequence[dict[str, Any]], product: str) -> list[dict[str, Any]]:
    return [item for item in items if item["properties"].get("cdi:product") == product]


def _by_name(files: Sequence[Path]) -> dict[str, Path]:
    return {path.name: path for path in files}


def _asset(item: dict[str, Any], asset: dict[str, Any], by_name: Mapping[str, Path]) -> Asset:
    name = Path(asset["href"]).name
    path = by_name.get(name)
    if path is None or not path.is_file():
        raise InputDataError(
            "file of an item is missing",
            f"item {item['id']} names {name}, which is not among the batch's files; "
            "run ingestion again",
        )
    return Asset(
        path,
        _claim(item, asset),
        float(asset.get("cdi:scale", 1.0)),
        float(asset.get("cdi:offset", 0.0)),
        float(asset.get("cdi:nodata", 0.0)),
    )


def _claim(item: dict[str, Any], asset: dict[str, Any]) -> Claim:
    """Take CRS and bounds from the asset, else from the item.

    ``proj:transform`` and ``proj:shape`` together give bounds as well; alone neither is used: the
    file may have been resampled since.
    """
    said = {**item["properties"], **asset}
    code = said.get("proj:code") or said.get("proj:epsg")
    crs = f"EPSG:{code}" if isinstance(code, int) else code
    bounds = said.get("proj:bbox")
    if bounds is None and "proj:transform" in said and "proj:shape" in said:
        a, _, left, _, e, top = said["proj:transform"][:6]
        rows, cols = said["proj:shape"]
        bounds = (left, top + rows * e, left + cols * a, top)
    if bounds is None:
        return Claim(crs)
    left, bottom, right, top = (float(value) for value in bounds)
    return Claim(crs, (left, bottom, right, top))


def _day(item: dict[str, Any]) -> str | None:
    properties = item["properties"]
    moment = properties.get("datetime") or properties.get("start_datetime")
    return moment[:10] if moment else None


def _band_name(band: Mapping[str, Any]) -> str:
    name = band.get("eo:common_name") or band.get("common_name") or band.get("name") or ""
    return str(name).lower()
