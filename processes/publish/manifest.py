"""The manifest: what a release holds, so that readers need not open every file to find out.

It is the only file that readers start from; it names no absolute path and no time of day, so that
equal inputs give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely
from pyproj import Transformer

from processes.publish.inputs import read_json
from processes.publish.layers import fields
from processes.publish.written import Written
from processes.stage import InputDataError, complete

FORMAT = 1
MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Previous:
    """The release that a run builds on: its folder, version (the folder's name) and manifest."""

    folder: Path
    version: str
    manifest: dict[str, Any]


def read_previous(folder: Path | None, dataset: str, crs: str) -> Previous | None:
    """Read the release to build on; None without one.

    Raises:
        InputDataError: It is no release, or one of another dataset, format or CRS.
    """
    if folder is None:
        return None
    manifest = read_json(folder / MANIFEST)
    for name, expected in (("format", FORMAT), ("dataset", dataset), ("crs", crs)):
        if manifest.get(name) != expected:
            raise InputDataError(
                "previous release does not fit",
                f"its {name} is {manifest.get(name)!r}, expected {expected!r}",
            )
    return Previous(folder, folder.name, manifest)


def describe_layer(written: Written, crs: str) -> dict[str, Any]:
    """Describe one vector collection: file, id field, count, extent and columns."""
    layer, empty = written.source.layer, not written.count
    bounds = [round(value, 3) for value in written.bounds]
    return {
        "file": written.source.file,
        "layer": layer.name,
        "id_field": layer.id_field,
        "count": written.count,
        "bbox": None if empty else bounds,
        "bbox_crs84": None if empty else to_crs84(bounds, crs),
        "fields": fields(layer, written.source.kinds),
    }


def extent_of_rasters(description: Mapping[str, Any], crs: str) -> dict[str, Any]:
    """Return the extent of a raster collection, all its rasters together."""
    boxes = [entry["bounds"] for entry in description["rasters"]]
    bounds = [
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    ]
    return {"bbox": bounds, "bbox_crs84": to_crs84(bounds, crs)}


def to_crs84(bounds: list[float], crs: str) -> list[float]:
    """Return the rectangle around `bounds` in longitude and latitude (degrees, 7 decimals)."""
    transformer = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    left, bottom, right, top = bounds
    return [round(value, 7) for value in transformer.transform_bounds(left, bottom, right, top)]


def area_geojson(area: Any) -> dict[str, Any]:
    """Return a polygon as GeoJSON geometry, coordinates in its own CRS rounded to millimetres."""
    geometry: dict[str, Any] = json.loads(shapely.to_geojson(shapely.set_precision(area, 0.001)))
    return geometry


def write_checksums(release: Path) -> None:
    """Write the SHA-256 of every file of the release, readable by ``sha256sum --check``."""
    lines = [
        f"{sha256(path)}  {path.name}\n"
        for path in sorted(release.iterdir())
        if path.name != CHECKSUMS
    ]
    with complete(release / CHECKSUMS) as partial:
        partial.write_text("".join(lines), encoding="ascii")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
