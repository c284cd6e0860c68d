"""Sources that are folders.

Laid out and named as the state's open data, or with rasters that say themselves where they lie.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from processes.grid import Bounds
from processes.ingest.findings import Findings
from processes.ingest.reference_systems import parse_crs, same_crs
from processes.ingest.scenes import Scene, scene_from_item
from processes.ingest.sources import Source
from processes.ingest.tiles import Tile, tile_from_name
from processes.ingest.whole_raster import DamagedFileError, inspect_raster
from processes.stage import InputDataError


def list_tiles(source: Source, findings: Findings) -> list[Tile]:
    """List the tiles in a folder; what matches the pattern but cannot be read goes to `findings`.

    Raises:
        InputDataError: The folder does not exist.
    """
    tiles = []
    for path in _files(source):
        if source.tile_size is not None:
            tile = tile_from_name(source, path.name, str(path))
        else:
            tile = _tile_from_raster(source, path, findings)
        if tile is not None:
            tiles.append(tile)
    return tiles


def list_scenes(source: Source, findings: Findings) -> list[Scene]:
    """Read the STAC items in a folder (``items.json`` or one file each); hrefs start at its folder.

    Raises:
        InputDataError: The folder does not exist.
    """
    scenes = []
    for path in _files(source, ".json"):
        for item in _items(source, path, findings):
            try:
                scenes.append(scene_from_item(item))
            except ValueError as error:
                name = str(item.get("id", path.name)) if isinstance(item, dict) else path.name
                findings.lacks(source.product, source.name, name, "incomplete", str(error))
    return scenes


def file_in(source: Source, href: str) -> Path:
    """Return the local file an item's asset names, which must lie inside the source's folder.

    Raises:
        DamagedFileError: It does not exist or lies elsewhere.
    """
    root = _root(source)
    path = (root / href).resolve()
    if not path.is_relative_to(root.resolve()):
        raise DamagedFileError(f"names a file outside its source ({Path(href).name})")
    if not path.is_file():
        raise DamagedFileError(f"names a file that does not exist ({Path(href).name})")
    return path


def single_file(source: Source) -> Path:
    """Return the one vector file of a `districts` folder.

    Raises:
        InputDataError: None or several match the pattern.
    """
    hits = [path for path in _files(source) if source.pattern.fullmatch(path.name)]
    if len(hits) != 1:
        raise InputDataError(
            f"source {source.name} is not usable",
            f"expected one file named {source.pattern.pattern}, found {len(hits)}",
        )
    return hits[0]


def _root(source: Source) -> Path:
    if source.root is None:
        raise ValueError(f"source {source.name} is no folder")
    return source.root


def _files(source: Source, suffix: str = "") -> list[Path]:
    root = _root(source)
    if not root.is_dir():
        raise InputDataError(
            f"source {source.name} is not there",
            f"its folder {root} does not exist; make the data, or correct its `root`",
        )
    return sorted(
        path
        for path in root.iterdir()
        if path.name.endswith(suffix) and not path.name.startswith(".") and path.is_file()
    )


def _tile_from_raster(source: Source, path: Path, findings: Findings) -> Tile | None:
    hit = source.pattern.fullmatch(path.name)
    if hit is None:
        return None
    try:
        facts = inspect_raster(path)
    except DamagedFileError as error:
        findings.lacks(source.product, source.name, path.name, "corrupt", str(error))
        return None
    if facts.crs is not None and not same_crs(facts.crs, parse_crs(str(source.crs))):
        raise InputDataError(
            f"source {source.name} is not usable",
            f"{path.name} is in {facts.crs.name}, but the source says {source.crs}",
        )
    names = {key: value for key, value in hit.groupdict().items() if value is not None}
    left, bottom, right, top = (round(value, 6) for value in facts.bounds.as_tuple())
    return Tile(
        source=source,
        name=path.name,
        bounds=Bounds(left, bottom, right, top),
        key=None,
        year=int(names["year"]) if "year" in names else None,
        location=str(path),
        names=names,
    )


def _items(source: Source, path: Path, findings: Findings) -> list[dict[str, Any]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        findings.lacks(source.product, source.name, path.name, "corrupt", str(error))
        return []
    if not isinstance(document, dict):
        return []
    if document.get("type") == "FeatureCollection":
        return list(document.get("features") or [])
    return [document] if document.get("type") == "Feature" else []
