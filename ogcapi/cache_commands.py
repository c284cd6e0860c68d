"""``cdi cache``: how large the input cache is, making room in it, proving that it is sound."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.table import Column, Table

from k8s_manager.errors import ConfigError
from k8s_manager.input_cache import CachedObject, InputCache, Needed, needed
from k8s_manager.settings import Settings
from k8s_manager.store import open_store
from k8s_manager.workspace import Workspace
from ogcapi.terminal import OUT, Config, complain

app = typer.Typer(help="Show, prune and verify the input cache.", no_args_is_help=True)
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_DAY_S = 86_400.0


@app.command()
def du(config: Config = None) -> None:
    """Show how much the cache holds, and how much of that is needed."""
    cache, bound, settings = _opened(config)
    objects = cache.objects()
    table = Table("", Column("Number", justify="right"), Column("Size", justify="right"), box=None)
    in_use = [item for item in objects if item in bound]
    free = [item for item in objects if item not in bound]
    for name, items in (("objects", objects), ("  in use", in_use), ("  free", free)):
        table.add_row(name, str(len(items)), _size(sum(item.size for item in items)))
    partials = [path.stat().st_size for path in cache.partials()]
    table.add_row("broken-off downloads", str(len(partials)), _size(sum(partials)))
    table.add_row("known origins", str(len(cache.records())), "")
    limit = settings.cache_limit_bytes
    table.add_row("limit", "", _size(limit) if limit else "none")
    OUT.print(table)


@app.command()
def prune(
    to: Annotated[
        str | None,
        typer.Option(help="Stop at this size, for example 20G. Default: CDI_CACHE_LIMIT_BYTES."),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            help="Only what was not used for so many days; with no --to, all of it.", min=0
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    config: Config = None,
) -> None:
    """Delete what was used least recently; never what a job needs that runs or is kept."""
    cache, bound, settings = _opened(config)
    limit = None if to is None else _bytes(to)
    if limit is None and older_than is None:
        limit = settings.cache_limit_bytes
        if not limit:
            raise ConfigError("the cache has no limit (CDI_CACHE_LIMIT_BYTES); give --to a size")
    done = cache.prune(bound, limit, (older_than or 0.0) * _DAY_S, dry_run=dry_run)
    verb = "Would delete" if dry_run else "Deleted"
    OUT.print(
        f"{verb} {done.objects} objects, {_size(done.size)}; {_size(done.left)} remain, "
        f"of which {_size(done.needed)} are in use.",
        highlight=False,
        soft_wrap=True,
    )
    if limit is not None and done.left > limit and older_than is None:
        complain(f"That is more than {_size(limit)}: the rest is in use.")
        raise typer.Exit(1)


@app.command()
def verify(
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete corrupt objects that are not in use.")
    ] = False,
    config: Config = None,
) -> None:
    """Read every object again and name those that are not what they were; exit code 1 if any."""
    cache, bound, _settings = _opened(config)
    count = wrong = 0
    for item, corrupt in cache.corrupt():
        count += 1
        if corrupt:
            wrong += 1
            complain(f"{item.path}: corrupt{_consequence(cache, bound, item) if delete else ''}")
    for path in cache.strangers():
        wrong += 1
        complain(f"{path}: is no object of the cache; look what it is and remove it")
    OUT.print(f"{count} objects read, {wrong} wrong.", highlight=False)
    if wrong:
        raise typer.Exit(1)


def _consequence(cache: InputCache, bound: Needed, item: CachedObject) -> str:
    if item in bound:
        return ", but in use: dismiss or remove the jobs that need it, then verify again"
    return ", deleted" if cache.delete(item) else ", but being used just now"


def _opened(config: Path | None) -> tuple[InputCache, Needed, Settings]:
    settings = Settings.load(config=config)
    store = open_store(settings.database_url, settings.workspace)
    return InputCache(Workspace(settings.workspace)), needed(store.database), settings


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMGT]?)B?", text)
    if match is None:
        raise ConfigError(f"--to {text!r}: expected bytes, or a number with k, M, G or T")
    return int(float(match.group(1)) * _UNITS[match.group(2)])


def _size(count: int) -> str:
    return decimal(count)
