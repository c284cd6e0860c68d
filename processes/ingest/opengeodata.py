"""Sources that are folders of the state's open data on the web; ``index.json`` names all files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urljoin

from processes.ingest.checksum import ALGORITHMS
from processes.ingest.sources import Source
from processes.ingest.tiles import Tile, tile_from_name
from processes.ingest.transfer import DeniedError, NotThereError, Transfer
from processes.stage import InputDataError


def list_tiles(source: Source, downloader: Transfer) -> list[Tile]:
    """List the tiles that the index names.

    Raises:
        InputDataError: No index there, or not understood.
        TemporaryError: The server does not answer.
    """
    tiles = []
    for entry in _index(source, downloader):
        name = str(entry.get("name", ""))
        if PurePosixPath(name).name != name or name.startswith("."):
            continue
        tile = tile_from_name(source, name, urljoin(str(source.url), quote(name)))
        if tile is not None:
            tiles.append(replace(tile, size=_size(entry), checksum=_checksum(entry)))
    return tiles


def newest_file(source: Source, downloader: Transfer) -> tuple[str, int | None]:
    """Return address and size of the last file (by name) that matches the source's pattern.

    Raises:
        InputDataError: None matches.
        TemporaryError: The server does not answer.
    """
    entries = {str(entry.get("name", "")): entry for entry in _index(source, downloader)}
    names = sorted(name for name in entries if source.pattern.fullmatch(name) and "/" not in name)
    if not names:
        raise InputDataError(
            f"source {source.name} is not usable",
            f"{source.url}index.json lists no file named {source.pattern.pattern}",
        )
    return urljoin(str(source.url), quote(names[-1])), _size(entries[names[-1]])


def _index(source: Source, downloader: Transfer) -> list[dict[str, Any]]:
    url = urljoin(str(source.url), "index.json")
    try:
        document = downloader.json(url)
        files = [entry for dataset in document["datasets"] for entry in dataset["files"]]
        if not all(isinstance(entry, dict) for entry in files):
            raise TypeError("a file is no object")
    except (NotThereError, DeniedError) as error:
        raise InputDataError(f"source {source.name} is not there", f"{url}: {error}") from error
    except (KeyError, TypeError) as error:
        raise InputDataError(
            f"source {source.name} is not usable",
            f"{url} is not laid out as datasets[].files[].name ({error})",
        ) from error
    return files


def _size(entry: dict[str, Any]) -> int | None:
    text = str(entry.get("size", ""))
    return int(text) if text.isdigit() and int(text) > 0 else None


def _checksum(entry: dict[str, Any]) -> tuple[str, str] | None:
    for key, algorithm in ALGORITHMS.items():
        value = entry.get(key)
        if isinstance(value, str) and value:
            return algorithm, value.lower()
    return None
