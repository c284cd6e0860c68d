"""One table of a GeoPackage, opened read-only: what it holds, which rows match, its rows.

No SQLite extension is needed: boxes are found through the R-tree, geometries are read by shapely.
A file that is served never changes, so its description and the ids that match a search are kept;
a deep page then costs as much as the first.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import shapely
from numpy.typing import NDArray

ENVELOPE_BYTES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}  # GeoPackage 1.3, table "flags"
KEPT_SEARCHES = 32  # at most some MB each, for a million features
ROWS_PER_QUERY = 500  # bound variables of one statement
KINDS = {
    **dict.fromkeys(("INTEGER", "INT", "MEDIUMINT", "SMALLINT", "TINYINT"), "integer"),
    **dict.fromkeys(("REAL", "DOUBLE", "FLOAT"), "number"),
    **dict.fromkeys(("TEXT", "DATE", "DATETIME"), "string"),
    "BOOLEAN": "boolean",
}


class GeoPackageError(Exception):
    """The file is no GeoPackage, or lacks the table."""


@dataclass(frozen=True)
class Table:
    """A feature table and what is known about it."""

    path: Path
    name: str
    key: str
    geometry: str
    columns: tuple[tuple[str, str], ...]
    """Names and JSON kinds of the columns other than key and geometry."""
    rtree: str | None
    unique: frozenset[str]
    """Columns with a unique index."""
    first: int
    """Smallest key."""
    count: int
    contiguous: bool
    """Whether the keys are `first`, `first` + 1, ... without a gap."""
    bounds: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class Search:
    """Which rows, in which order: a box in x, y, equal values, and columns to sort by."""

    box: tuple[float, float, float, float] | None = None
    equal: tuple[tuple[str, Any], ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    """Columns and whether they descend; the key decides what they leave open."""


def open_table(path: Path, name: str) -> Table:
    """Describe a table; read anew only when the file is another one.

    Raises:
        GeoPackageError: The file is missing, no GeoPackage, or lacks the table.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise GeoPackageError(f"{path.name} is not there") from error
    return _described(path, name, state.st_mtime_ns, state.st_size)


def page(
    table: Table, search: Search, offset: int, limit: int, columns: Sequence[str], shapes: bool
) -> tuple[int, list[sqlite3.Row]]:
    """Return the number of rows that match and the rows of one page.

    Args:
        table: The table.
        search: Which rows.
        offset: Rows to leave out at the start.
        limit: Most rows to return; with 0 only the number is found.
        columns: Columns to read besides the key.
        shapes: Whether to read the geometry.
    """
    names = [table.key, *columns, *([table.geometry] if shapes else [])]
    select = f"SELECT {', '.join(map(_quoted, names))} FROM {_quoted(table.name)}"  # noqa: S608
    key = _quoted(table.key)
    if search.box and table.bounds and _covers(search.box, table.bounds):
        search = Search(None, search.equal, search.order)
    if search == Search() and table.contiguous:
        start = table.first - 1 + min(offset, table.count)
        with connect(table.path) as connection:
            sql = f"{select} WHERE {key} > ? ORDER BY {key} LIMIT ?"
            return table.count, connection.execute(sql, (start, limit)).fetchall()
    keys = _matching(table, search)
    wanted = keys[offset : offset + limit].tolist()
    rows: dict[int, sqlite3.Row] = {}
    with connect(table.path) as connection:
        for start in range(0, len(wanted), ROWS_PER_QUERY):
            part = wanted[start : start + ROWS_PER_QUERY]
            sql = f"{select} WHERE {key} IN ({', '.join('?' * len(part))})"
            rows |= {row[0]: row for row in connection.execute(sql, part)}
    return len(keys), [rows[number] for number in wanted]


def one(table: Table, column: str, value: Any) -> sqlite3.Row | None:
    """Return the row whose `column` equals `value`, with all columns; None without one."""
    names = [table.key, *(name for name, _ in table.columns), table.geometry]
    sql = (
        f"SELECT {', '.join(map(_quoted, names))} FROM {_quoted(table.name)} "  # noqa: S608
        f"WHERE {_quoted(column)} = ?"
    )
    with connect(table.path) as connection:
        row: sqlite3.Row | None = connection.execute(sql, (value,)).fetchone()
        return row


def shapes_of(blobs: Sequence[bytes | None]) -> NDArray[Any]:
    """Return the geometries of GeoPackage blobs (header, optional envelope, WKB)."""
    return np.asarray(
        shapely.from_wkb(
            [
                None if blob is None else blob[8 + ENVELOPE_BYTES[blob[3] >> 1 & 7] :]
                for blob in blobs
            ]
        )
    )


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file for reading only; SQLite neither locks nor writes it."""
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


@functools.lru_cache(maxsize=64)
def _described(path: Path, name: str, _modified: int, _size: int) -> Table:
    try:
        with connect(path) as connection:
            return _describe(connection, path, name)
    except sqlite3.DatabaseError as error:
        raise GeoPackageError(f"{path.name} is no GeoPackage: {error}") from error


def _describe(connection: sqlite3.Connection, path: Path, name: str) -> Table:
    found = connection.execute(
        "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (name,)
    ).fetchone()
    if found is None:
        raise GeoPackageError(f"{path.name} has no feature table {name!r}")
    geometry = found[0]
    info = connection.execute("SELECT * FROM pragma_table_info(?)", (name,)).fetchall()
    key = next((row["name"] for row in info if row["pk"]), None)
    if key is None:
        raise GeoPackageError(f"table {name!r} of {path.name} has no primary key")
    kinds = [(row["name"], KINDS.get(row["type"].split("(")[0].upper())) for row in info]
    columns = tuple((column, kind) for column, kind in kinds if kind and column != key)
    rtree = f"rtree_{name}_{geometry}"
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (rtree,)).fetchone()
    sql = f"SELECT count(*), min({_quoted(key)}), max({_quoted(key)}) FROM {_quoted(name)}"  # noqa: S608
    count, first, last = connection.execute(sql).fetchone()
    bounds = None
    if there and count:
        sql = f"SELECT min(minx), min(miny), max(maxx), max(maxy) FROM {_quoted(rtree)}"  # noqa: S608
        bounds = tuple(connection.execute(sql).fetchone())
    return Table(
        path=path,
        name=name,
        key=key,
        geometry=geometry,
        columns=columns,
        rtree=rtree if there else None,
        unique=_unique_columns(connection, name),
        first=first or 0,
        count=count,
        contiguous=count > 0 and last - first + 1 == count,
        bounds=bounds if bounds and None not in bounds else None,
    )


def _unique_columns(connection: sqlite3.Connection, name: str) -> frozenset[str]:
    found = set()
    for index in connection.execute("SELECT * FROM pragma_index_list(?)", (name,)).fetchall():
        info = "SELECT * FROM pragma_index_info(?)"
        columns = [row["name"] for row in connection.execute(info, (index["name"],))]
        if index["unique"] and not index["partial"] and len(columns) == 1:
            found.add(columns[0])
    return frozenset(found)


@functools.lru_cache(maxsize=KEPT_SEARCHES)
def _matching(table: Table, search: Search) -> NDArray[np.int64]:
    """Return the keys of all rows that match, in the order wanted."""
    order = [f"{_quoted(name)} {'DESC' if down else 'ASC'}" for name, down in search.order]
    sql = f"SELECT {_quoted(table.key)} FROM {_quoted(table.name)}"  # noqa: S608
    if search.equal:
        sql += " WHERE " + " AND ".join(f"{_quoted(name)} = ?" for name, _ in search.equal)
    sql += " ORDER BY " + ", ".join([*order, _quoted(table.key)])
    with connect(table.path) as connection:
        boxed = None if search.box is None else _in_box(connection, table, search.box)
        if boxed is not None and not search.equal and not search.order:
            return boxed
        rows = connection.execute(sql, [value for _, value in search.equal])
        keys = np.fromiter((row[0] for row in rows), dtype=np.int64)
    return keys if boxed is None else keys[np.isin(keys, boxed)]


def _in_box(
    connection: sqlite3.Connection, table: Table, box: tuple[float, float, float, float]
) -> NDArray[np.int64]:
    """Return the keys, ascending, of rows whose geometry meets the box (not only its envelope)."""
    if table.rtree is None:
        sql = f"SELECT {_quoted(table.key)} FROM {_quoted(table.name)} ORDER BY 1"  # noqa: S608
        keys = np.fromiter((row[0] for row in connection.execute(sql)), dtype=np.int64)
        return keys[_meets(connection, table, keys, box)]
    sql = (
        f"SELECT id, minx, miny, maxx, maxy FROM {_quoted(table.rtree)} "  # noqa: S608
        "WHERE minx <= ? AND maxx >= ? AND miny <= ? AND maxy >= ?"
    )
    cursor = connection.execute(sql, (box[2], box[0], box[3], box[1]))
    cursor.row_factory = None
    found = np.array(cursor.fetchall(), dtype=float).reshape(-1, 5)
    keys = found[:, 0].astype(np.int64)
    inside = (found[:, 1] >= box[0]) & (found[:, 2] >= box[1])
    inside &= (found[:, 3] <= box[2]) & (found[:, 4] <= box[3])
    inside[~inside] = _meets(connection, table, keys[~inside], box)
    return np.sort(keys[inside])


def _meets(
    connection: sqlite3.Connection,
    table: Table,
    keys: NDArray[np.int64],
    box: tuple[float, float, float, float],
) -> NDArray[np.bool_]:
    blobs: dict[int, bytes | None] = {}
    for start in range(0, len(keys), ROWS_PER_QUERY):
        part = keys[start : start + ROWS_PER_QUERY].tolist()
        sql = (
            f"SELECT {_quoted(table.key)}, {_quoted(table.geometry)} "  # noqa: S608
            f"FROM {_quoted(table.name)} "
            f"WHERE {_quoted(table.key)} IN ({', '.join('?' * len(part))})"
        )
        blobs |= {row[0]: row[1] for row in connection.execute(sql, part)}
    shapes = shapes_of([blobs[key] for key in keys.tolist()])
    return np.asarray(shapely.intersects(shapes, shapely.box(*box)), dtype=bool)


def _covers(box: Sequence[float], bounds: Sequence[float]) -> bool:
    return (
        box[0] <= bounds[0] and box[1] <= bounds[1] and box[2] >= bounds[2] and box[3] >= bounds[3]
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
