"""Days of flights out of the table that the state publishes beside its tiles.

The year in a tile's name is not enough: whether trees had leaves, and which of two inputs is newer,
depends on the day. The table is semicolon-separated text with some lines above its header.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin

from processes.ingest.findings import Findings
from processes.ingest.sources import Acquisition, Source
from processes.ingest.tiles import Tile
from processes.ingest.transfer import DeniedError, NotThereError, Transfer
from processes.ingest.whole_raster import DamagedFileError


def dated(
    source: Source, tiles: Sequence[Tile], downloader: Transfer | None, findings: Findings
) -> list[Tile]:
    """Return the tiles with the days of their flights, as far as source or table tell them."""
    about = source.acquisition
    if about.date is not None:
        return [replace(tile, date=about.date.format_map(tile.names)) for tile in tiles]
    if about.table is None or not tiles:
        return list(tiles)
    try:
        days = read_table(_table(source, about.table, downloader), about)
    except (NotThereError, DeniedError, DamagedFileError, OSError) as error:
        findings.note(
            f"{source.name}: no table of flight dates ({about.table}: "
            f"{type(error).__name__}); only the years are known"
        )
        return list(tiles)
    return [replace(tile, date=days.get(PurePosixPath(tile.name).stem)) for tile in tiles]


def read_table(path: Path, about: Acquisition) -> dict[str, str]:
    """Read file name (without ending) -> ISO date; rows without a full date are left out.

    Raises:
        DamagedFileError: Neither a CSV with the two columns nor a ZIP holding one.
    """
    for text in _texts(path):
        rows = list(csv.reader(io.StringIO(text), delimiter=";"))
        for number, row in enumerate(rows):
            header = [cell.strip() for cell in row]
            if about.table_name in header and about.table_date in header:
                name, day = header.index(about.table_name), header.index(about.table_date)
                return _days(rows[number + 1 :], name, day)
    raise DamagedFileError(f"has no columns {about.table_name} and {about.table_date}")


def _days(rows: list[list[str]], name: int, day: int) -> dict[str, str]:
    days = {}
    for row in rows:
        if len(row) <= max(name, day):
            continue
        try:
            days[PurePosixPath(row[name].strip()).stem] = date.fromisoformat(
                row[day].strip()[:10]
            ).isoformat()
        except ValueError:
            continue
    return days


def _texts(path: Path) -> list[str]:
    if not zipfile.is_zipfile(path):
        return [_decoded(path.read_bytes())]
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.lower().endswith(".csv"))
            return [_decoded(archive.read(name)) for name in names]
    except zipfile.BadZipFile as error:
        raise DamagedFileError(str(error)) from error


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _table(source: Source, table: str, downloader: Transfer | None) -> Path:
    if source.root is not None:
        return source.root / table
    if downloader is None:
        raise NotThereError("nobody to fetch it")
    return downloader.fetch(urljoin(str(source.url), table), lambda path: None, reuse=False).path
