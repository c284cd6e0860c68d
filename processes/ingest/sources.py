"""The configured sources: the one place that says where input data come from.

A request names sources and nothing else, so that nobody can make the service read a path or call
an address that its operator did not write down.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from processes.stage import InputDataError

PRODUCTS = ("ndom", "dop", "sentinel-2-l2a", "districts")
TYPES = ("folder", "opengeodata", "stac")
GROUPS = {"ndom": "surface", "dop": "image", "sentinel-2-l2a": "sentinel2", "districts": ""}
DEFAULT_FILE = Path(__file__).with_name("sources.yml")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Acquisition:
    """What makes two files evidence of their own: files with equal `campaign` count once.

    Attributes:
        group: Kind of sensor: surface, image or sentinel2.
        campaign: Flight or point cloud; ``{year}`` and other groups of the pattern are filled in.
        date: Day of the flight (ISO 8601), or None when the file name or a table tells it.
        table: Table of flight dates beside the files (CSV, or a ZIP holding one), or None.
        table_name: Its column with the file name, without ending.
        table_date: Its column with the date.
    """

    group: str
    campaign: str
    date: str | None = None
    table: str | None = None
    table_name: str = "Kachelname"
    table_date: str = "Aktualitaet"


@dataclass(frozen=True)
class Source:
    """One configured source.

    Attributes:
        name: How requests name it.
        type: folder, opengeodata or stac.
        product: ndom, dop, sentinel-2-l2a or districts.
        root: Folder of a `folder` source.
        url: Address of the folder with ``index.json`` or of the STAC API.
        pattern: Whole file name; named groups ``east``, ``north`` (south-west corner in `unit`)
            and ``year`` where names carry them.
        crs: CRS of tiles.
        tile_size: Side of a tile in metres; None: each raster's own bounds are its tile.
        unit: Metres per unit of the numbers in names.
        collection: STAC collection.
        member: File inside a ZIP (districts).
        copy: Copy files into the cache, or read them where they are.
        test_bench: The data are made up; every result says so.
        bands: Bands of an orthophoto in the order of its files, when that is not R, G, B, NIR.
        secret: File in CDI_SECRETS_DIR that holds a bearer token.
        max_parallel: Transfers at a time.
        timeout_s: Longest wait for a connection or the next bytes.
        attempts: Tries per file before giving up.
        backoff_s: Wait after the first failure; doubled each time.
    """

    name: str
    type: str
    product: str
    root: Path | None
    url: str | None
    pattern: re.Pattern[str]
    crs: str | None
    tile_size: float | None
    unit: float
    licence: str
    attribution: str
    acquisition: Acquisition
    collection: str = "sentinel-2-l2a"
    member: str | None = None
    copy: bool = True
    test_bench: bool = False
    bands: tuple[str, ...] = ()
    secret: str | None = None
    max_parallel: int = 4
    timeout_s: float = 60.0
    attempts: int = 5
    backoff_s: float = 1.0
    keys: tuple[str, ...] = field(default=("AGS", "KN", "RS"))


def load_sources(path: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Source]:
    """Read a source file; ``${VAR:-default}`` is filled in, relative roots start at its folder.

    Raises:
        InputDataError: The file is missing or not valid; names the source and the field.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputDataError("source file cannot be read", f"{path.name}: {error}") from error
    entries = document.get("sources") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise InputDataError(
            "source file not valid", f"{path.name}: expected a list under the key `sources`"
        )
    found: dict[str, Source] = {}
    for entry in entries:
        source = _source(_expand(entry, environment), path)
        if source.name in found:
            raise InputDataError("source file not valid", f"`{source.name}` stands there twice")
        found[source.name] = source
    return found


def choose(sources: Mapping[str, Source], names: Sequence[str]) -> list[Source]:
    """Return the named sources in the order of the request.

    Raises:
        InputDataError: A name is unknown; lists the known ones.
    """
    unknown = [name for name in names if name not in sources]
    if unknown or not names:
        raise InputDataError(
            f"unknown source {', '.join(unknown)}" if unknown else "no source chosen",
            f"`sources` takes names of configured sources: {', '.join(sorted(sources))}",
        )
    return [sources[name] for name in dict.fromkeys(names)]


def _expand(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda hit: environment.get(hit[1]) or hit[2] or "", value)
    if isinstance(value, list):
        return [_expand(item, environment) for item in value]
    if isinstance(value, dict):
        return {key: _expand(item, environment) for key, item in value.items()}
    return value


def _source(entry: Any, path: Path) -> Source:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputDataError(
            "source file not valid", f"a source's `name` is a-z, 0-9 and -, got {name!r}"
        )
    fields = dict(entry)
    try:
        source = _read_fields(fields, path)
    except (KeyError, TypeError, ValueError, re.error) as error:
        what = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
        raise InputDataError("source file not valid", f"source `{name}`: {what}") from error
    if fields:
        raise InputDataError(
            "source file not valid", f"source `{name}`: unknown field {', '.join(sorted(fields))}"
        )
    return source


def _read_fields(fields: dict[str, Any], path: Path) -> Source:
    kind = _one_of("type", fields.pop("type"), TYPES)
    product = _one_of("product", fields.pop("product"), PRODUCTS)
    root = (path.parent / str(fields.pop("root"))).resolve() if kind == "folder" else None
    url = str(fields.pop("url")) if kind != "folder" else None
    if url is not None and not url.startswith(("https://", "http://")):
        raise ValueError(f"`url` must start with https://, got {url}")
    acquisition = fields.pop("acquisition", None) or {}
    size = fields.pop("tile_size", None)
    settings: dict[str, Any] = {
        key: fields.pop(key)
        for key in (
            *("collection", "member", "copy", "test_bench", "secret"),
            *("max_parallel", "timeout_s", "attempts", "backoff_s"),
        )
        if key in fields
    }
    for key in {"keys", "bands"} & set(fields):
        settings[key] = tuple(str(part) for part in fields.pop(key))
    name = str(fields.pop("name"))
    source = Source(
        name=name,
        type=kind,
        product=product,
        root=root,
        url=url if url is None or kind == "stac" else url.rstrip("/") + "/",
        pattern=re.compile(str(fields.pop("pattern", r".+"))),
        crs=fields.pop("crs", None),
        tile_size=None if size is None else float(size),
        unit=float(fields.pop("unit", 1)),
        licence=str(fields.pop("licence")),
        attribution=str(fields.pop("attribution")),
        acquisition=_acquisition(acquisition, product, name),
        **settings,
    )
    _check_tiling(source)
    return source


def _acquisition(fields: dict[str, Any], product: str, name: str) -> Acquisition:
    date = fields.get("date")
    return Acquisition(
        **{
            "group": GROUPS[product],
            "campaign": name,
            **fields,
            "date": None if date is None else str(date),
        }
    )


def _check_tiling(source: Source) -> None:
    groups = set(source.pattern.groupindex)
    if source.tile_size is not None and not {"east", "north"} <= groups:
        raise ValueError("`tile_size` needs the groups `east` and `north` in `pattern`")
    if source.product in ("ndom", "dop"):
        if source.tile_size is None and source.type != "folder":
            raise ValueError("`tile_size` is missing: only a folder's rasters can be asked")
        if source.crs is None:
            raise ValueError("`crs` is missing")
    if source.tile_size is not None and source.tile_size <= 0:
        raise ValueError(f"`tile_size` must be more than 0 m, got {source.tile_size}")


def _one_of(field_name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"`{field_name}` must be one of {', '.join(allowed)}, got {value!r}")
    return str(value)
