"""Choosing tiles.

Which nDOM tiles carry results, which serve as their surroundings, which images show an object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from processes.ingest.findings import Findings
from processes.ingest.reference_systems import parse_crs, same_crs
from processes.ingest.sources import Source
from processes.ingest.tiles import Key, Tile, grid_cells, note_newer, one_per_place, touching
from processes.stage import InputDataError

# One huge object can lack a state's worth of tiles; more names than these help nobody.
_MOST_NAMED = 1000

Lister = Callable[[Source], list[Tile]]


@dataclass(frozen=True)
class Choice:
    """Tiles to fetch: `core` carry results, `around` completes what reaches over their edges."""

    core: list[Tile]
    around: list[Tile]


def choose_surfaces(
    sources: Sequence[Source],
    listing: Lister,
    wanted: Sequence[BaseGeometry],
    crs: CRS,
    last_year: int,
    buffer: float,
    findings: Findings,
) -> Choice:
    """Choose the nDOM tiles that share ground with `wanted`, and those within `buffer` of them.

    Raises:
        InputDataError: No nDOM source, another CRS, or nothing where it is wanted.
    """
    if not sources:
        raise InputDataError(
            "no nDOM source chosen", "`sources` must name at least one source of product ndom"
        )
    tiles = _available(sources, listing, crs, last_year)
    core = touching(tiles, wanted)
    if not core:
        raise InputDataError(
            "area outside the data",
            f"no nDOM tile of {', '.join(source.name for source in sources)} touches the area, "
            f"which reaches from {_corner(wanted, 0)} to {_corner(wanted, 2)} in the run's `crs`"
            f"{_extent(tiles)}; check `area`, `crs` and `sources`",
        )
    _name_absent(sources, tiles, core, wanted, findings)
    note_newer(core, last_year, findings)
    grown = [shapely.box(*tile.bounds.grow(buffer).as_tuple()) for tile in core]
    inside = set(core)
    around = [tile for tile in touching(tiles, grown) if tile not in inside] if buffer > 0 else []
    return Choice(core, around)


def choose_images(
    sources: Sequence[Source],
    listing: Lister,
    objects: Sequence[BaseGeometry],
    margin: float,
    crs: CRS,
    last_year: int,
    findings: Findings,
) -> list[Tile]:
    """Choose the orthophoto tiles that show an object or lie within `margin` metres of one.

    Only those that an object itself touches are named when they are absent.

    Raises:
        InputDataError: A source has another CRS.
    """
    if not sources or not objects:
        return []
    tiles = _available(sources, listing, crs, last_year)
    chosen = touching(tiles, [geometry.buffer(margin) for geometry in objects])
    _name_absent(sources, tiles, chosen, objects, findings)
    note_newer(chosen, last_year, findings)
    return chosen


def _available(sources: Sequence[Source], listing: Lister, crs: CRS, last_year: int) -> list[Tile]:
    for source in sources:
        if not same_crs(parse_crs(str(source.crs)), crs):
            raise InputDataError(
                "source in another coordinate reference system",
                f"source {source.name} is in {source.crs}; run with `crs` {source.crs}, or choose "
                "sources in the run's own",
            )
    if len({source.tile_size for source in sources}) > 1:
        raise InputDataError(
            "sources do not fit together",
            f"{', '.join(source.name for source in sources)} have tiles of different sizes; "
            "choose those of one size",
        )
    return one_per_place([listing(source) for source in sources], last_year)


def _name_absent(
    sources: Sequence[Source],
    tiles: Sequence[Tile],
    chosen: Sequence[Tile],
    wanted: Sequence[BaseGeometry],
    findings: Findings,
) -> None:
    product, names = sources[0].product, ", ".join(source.name for source in sources)
    size = sources[0].tile_size
    have = {tile.key for tile in tiles}
    if size is not None and None not in have:
        absent = [key for key in grid_cells(size, wanted) if key not in have]
        for key in absent[:_MOST_NAMED]:
            findings.lacks(product, names, _tile_name(key, size, sources[0].unit), "not-in-source")
        if len(absent) > _MOST_NAMED:
            findings.lacks(
                *(product, names, f"{len(absent) - _MOST_NAMED} more tiles", "not-in-source"),
                "of this area or of an object that reaches far beyond it",
            )
        return
    ground = shapely.union_all([shapely.box(*tile.bounds.as_tuple()) for tile in chosen])
    whole = shapely.union_all(list(wanted))
    bare = whole.difference(ground).area
    if bare > 1e-6 * whole.area:
        findings.lacks(
            *(product, names, "part of the area", "not-in-source"),
            f"{bare:.0f} of {whole.area:.0f} m² have no file",
        )


def _tile_name(key: Key, size: float, unit: float) -> str:
    """Name a tile as file names do: its south-west corner in the source's unit."""
    return "_".join(f"{index * size / unit:.10g}" for index in key)


def _corner(geometries: Sequence[BaseGeometry], first: int) -> str:
    bounds = shapely.total_bounds(list(geometries))
    return f"({bounds[first]:.0f}, {bounds[first + 1]:.0f})"


def _extent(tiles: Sequence[Tile]) -> str:
    if not tiles:
        return ""
    bounds = shapely.total_bounds([shapely.box(*tile.bounds.as_tuple()) for tile in tiles])
    return (
        f"; the data reach from ({bounds[0]:.0f}, {bounds[1]:.0f}) "
        f"to ({bounds[2]:.0f}, {bounds[3]:.0f})"
    )
