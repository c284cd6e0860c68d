"""Batches: rectangular blocks of tiles, the unit of scatter.

The cores of all batches together are the same set of tiles whatever the batch size, so results
cannot depend on it: a block that is not full is split into rectangles of whole tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processes.grid import Batch, Bounds
from processes.ingest.tiles import Key, Tile
from processes.stage import InputDataError

# Below this many tiles a batch is one tile: small areas finish soonest spread over all cores.
_SMALL_AREA = 25
# Larger areas take blocks of 4 x 4: some 20-40 s of work a step against 2 s of start-up, and a
# mosaic of 256 MB at 0.5 m, which bounds the memory of a step whatever the size of the area.
_BLOCK = 4


@dataclass(frozen=True)
class Rectangle:
    """Whole tiles from (`east`, `north`), `columns` x `rows`, in absolute indexes."""

    east: int
    north: int
    columns: int
    rows: int


def batch_side(wanted: int, tiles: int) -> int:
    """Return the tiles along one side of a batch; `wanted` 0 chooses by the number of tiles.

    Raises:
        InputDataError: `wanted` is negative.
    """
    if wanted < 0:
        raise InputDataError("batch_size not valid", f"expected 0 or more, got {wanted}")
    if wanted:
        return wanted
    return 1 if tiles < _SMALL_AREA else _BLOCK


def tile_batches(tiles: Sequence[Tile], wanted_side: int, buffer: float, crs: str) -> list[Batch]:
    """Group the tiles whose results are wanted into batches.

    Tiles of a regular grid form blocks by absolute index, named by their south-west tile. Tiles
    without one are a batch each, named by their south-west corner in whole metres.

    Raises:
        InputDataError: Tiles have different sizes, or irregular ones overlap.
    """
    if any(tile.key is None for tile in tiles):
        _refuse_overlap(tiles)
        return [
            Batch(f"b{int(t.bounds.left // 1)}_{int(t.bounds.bottom // 1)}", t.bounds, buffer, crs)
            for t in sorted(tiles, key=lambda tile: tile.bounds)
        ]
    sizes = {tile.source.tile_size for tile in tiles}
    size = sizes.pop()
    if sizes or size is None:
        raise InputDataError(
            "sources do not fit together",
            "the chosen nDOM sources have tiles of different sizes; choose one of them",
        )
    keys = {tile.key for tile in tiles if tile.key is not None}
    return [
        Batch(f"b{part.east}_{part.north}", _ground(part, size), buffer, crs)
        for part in rectangles(keys, batch_side(wanted_side, len(keys)))
    ]


def rectangles(keys: Iterable[Key], side: int) -> list[Rectangle]:
    """Split tiles into rectangles, none of which crosses a block of `side` x `side` tiles.

    Runs along a row are joined with an equal run in the row above. Ordered by block, then by place.
    """
    blocks: dict[Key, set[Key]] = {}
    for east, north in keys:
        blocks.setdefault((east // side, north // side), set()).add((east, north))
    return [part for block in sorted(blocks) for part in _split(blocks[block])]


def _split(keys: set[Key]) -> list[Rectangle]:
    done: list[Rectangle] = []
    growing: dict[tuple[int, int], Rectangle] = {}
    for north in range(min(n for _, n in keys), max(n for _, n in keys) + 1):
        runs = _runs(sorted(east for east, row in keys if row == north))
        still: dict[tuple[int, int], Rectangle] = {}
        for east, columns in runs:
            below = growing.pop((east, columns), None)
            start, rows = (below.north, below.rows + 1) if below else (north, 1)
            still[(east, columns)] = Rectangle(east, start, columns, rows)
        done.extend(growing.values())
        growing = still
    done.extend(growing.values())
    return sorted(done, key=lambda part: (part.east, part.north))


def _runs(easts: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for east in easts:
        if runs and east == runs[-1][0] + runs[-1][1]:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((east, 1))
    return runs


def _ground(part: Rectangle, size: float) -> Bounds:
    return Bounds(
        part.east * size,
        part.north * size,
        (part.east + part.columns) * size,
        (part.north + part.rows) * size,
    )


def _refuse_overlap(tiles: Sequence[Tile]) -> None:
    ordered = sorted(tiles, key=lambda tile: tile.bounds)
    for index, tile in enumerate(ordered):
        for other in ordered[index + 1 :]:
            if tile.bounds.intersects(other.bounds):
                raise InputDataError(
                    "rasters overlap",
                    f"{tile.name} and {other.name} cover the same ground, so trees there would "
                    "count twice; cut them apart, or name them by place and give `tile_size`",
                )
