"""Tiles: reading their place and year out of names, and choosing which files a run needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from processes.grid import Bounds
from processes.ingest.findings import Findings
from processes.ingest.sources import Source
from processes.stage import InputDataError

# More tiles than any state has; an area beyond it is a mistake in its coordinates.
_MOST_TILES = 400_000

Key = tuple[int, int]


@dataclass(frozen=True)
class Tile:
    """One raster file of a source.

    Attributes:
        source: Where it comes from.
        name: File name.
        bounds: Its place, in the source's CRS.
        key: Absolute index (east, north) in its grid; None where tiles have no regular size
            or do not start at multiples of it.
        year: Year in its name, or None.
        location: Path or address.
        size: Size in bytes, if the source tells.
        checksum: (algorithm, hex digest), if the source tells.
        names: What the pattern's groups matched, for `Acquisition.campaign`.
        date: Day of its flight (ISO 8601), if known.
    """

    source: Source
    name: str
    bounds: Bounds
    key: Key | None
    year: int | None
    location: str
    size: int | None = None
    checksum: tuple[str, str] | None = None
    names: dict[str, str] = field(default_factory=dict, hash=False, compare=False)
    date: str | None = None

    @property
    def place(self) -> tuple[Any, ...]:
        """What tiles of the same ground have in common."""
        return self.key if self.key is not None else self.bounds.as_tuple()


def tile_from_name(source: Source, name: str, location: str) -> Tile | None:
    """Read a tile's place out of its name; None if the name is not of the source's pattern."""
    hit = source.pattern.fullmatch(name)
    if hit is None or source.tile_size is None:
        return None
    names = {key: value for key, value in hit.groupdict().items() if value is not None}
    left, bottom = int(names["east"]) * source.unit, int(names["north"]) * source.unit
    size = source.tile_size
    return Tile(
        source=source,
        name=name,
        bounds=Bounds(left, bottom, left + size, bottom + size),
        # Off the multiples of the size an index would stand for other ground than the tile's.
        key=None if left % size or bottom % size else (round(left / size), round(bottom / size)),
        year=int(names["year"]) if "year" in names else None,
        location=location,
        names=names,
    )


def one_per_place(listed: Sequence[Sequence[Tile]], last_year: int) -> list[Tile]:
    """Choose one file per tile.

    The first source in the request that has the tile wins; in it the newest year up to
    `last_year`, else the oldest one after it.

    Args:
        listed: Tiles of each source, in the order of the request.
        last_year: Year in which the run's period ends.
    """
    chosen: dict[tuple[Any, ...], Tile] = {}
    for tiles in listed:
        here: dict[tuple[Any, ...], list[Tile]] = {}
        for tile in tiles:
            here.setdefault(tile.place, []).append(tile)
        for place, candidates in here.items():
            if place not in chosen:
                chosen[place] = _newest(candidates, last_year)
    return sorted(chosen.values(), key=lambda tile: (tile.bounds, tile.name))


def note_newer(tiles: Sequence[Tile], last_year: int, findings: Findings) -> None:
    """Note the sources of which files newer than the period are used, as nothing older exists."""
    newer = [tile for tile in tiles if (tile.year or 0) > last_year]
    for source in sorted({tile.source.name for tile in newer}):
        own = [tile.name for tile in newer if tile.source.name == source]
        findings.note(
            f"{source}: files newer than the period used where nothing older exists ({len(own)}): "
            f"{', '.join(own[:3])}{', ...' if len(own) > 3 else ''}"
        )


def unique_names(tiles: Iterable[Tile], taken: set[str]) -> list[Tile]:
    """Return the tiles with names that occur once in the job (without ending: they become ids).

    A name that is taken gets the name of its source in front.
    """
    renamed = []
    for tile in tiles:
        clash = PurePosixPath(tile.name).stem in taken
        name = f"{tile.source.name}-{tile.name}" if clash else tile.name
        taken.add(PurePosixPath(name).stem)
        renamed.append(replace(tile, name=name))
    return renamed


def touching(tiles: Sequence[Tile], geometries: Sequence[BaseGeometry]) -> list[Tile]:
    """Return the tiles that share ground with one of the geometries."""
    if not tiles or not len(geometries):
        return []
    boxes = np.array([shapely.box(*tile.bounds.as_tuple()) for tile in tiles])
    hit = shares_ground(boxes, geometries)
    return [tile for tile, wanted in zip(tiles, hit, strict=True) if wanted]


def grid_cells(size: float, geometries: Sequence[BaseGeometry]) -> list[Key]:
    """Return the indexes (east, north) of all tiles of side `size` m that share their ground."""
    left, bottom, right, top = shapely.total_bounds(np.asarray(geometries, dtype=object))
    first_east, first_north = int(left // size), int(bottom // size)
    easts = np.arange(first_east, int(-(-right // size)))
    norths = np.arange(first_north, int(-(-top // size)))
    if easts.size * norths.size > _MOST_TILES:
        raise InputDataError(
            "area too large",
            f"it spans {easts.size * norths.size} tiles of {size:g} m; check its coordinates, "
            "or run it in parts",
        )
    grid = np.array([(east, north) for north in norths for east in easts], dtype=np.int64)
    corner = grid * size
    boxes = shapely.box(corner[:, 0], corner[:, 1], corner[:, 0] + size, corner[:, 1] + size)
    hits = grid[shares_ground(boxes, geometries)]
    return [(int(east), int(north)) for east, north in hits]


def shares_ground(boxes: NDArray[Any], geometries: Sequence[BaseGeometry]) -> NDArray[np.bool_]:
    """Tell for each box whether it shares more than an edge with one of the geometries."""
    tree = shapely.STRtree(boxes)
    hit = np.zeros(len(boxes), dtype=np.bool_)
    for geometry in geometries:
        shapely.prepare(geometry)
        near = tree.query(geometry, predicate="intersects")
        near = near[~hit[near]]
        hit[near[~shapely.touches(geometry, boxes[near])]] = True
    return hit


def _newest(candidates: list[Tile], last_year: int) -> Tile:
    ordered = sorted(candidates, key=lambda tile: (tile.year or 0, tile.name))
    in_time = [tile for tile in ordered if (tile.year or 0) <= last_year]
    return in_time[-1] if in_time else ordered[0]
