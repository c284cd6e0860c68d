"""Deleting releases that nobody reads: neither the newest, nor needed by one that is kept.

A release names rasters of earlier ones instead of copying them (`docs/releases.md`), so what a kept
release names is kept, and what that one names. Rows go first, in a transaction that holds the
dataset's row, so that nothing that is being deleted can become current; then the folders.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, delete, func, select

from k8s_manager import schema
from k8s_manager.ledger import Ledger
from k8s_manager.records import version_text
from k8s_manager.workspace import Workspace, remove_tree

_releases = schema.releases.c
log = logging.getLogger(__name__)


def remove_old_releases(ledger: Ledger, workspace: Workspace, keep: int) -> None:
    """Delete all but the `keep` newest releases of each dataset, and what those need.

    Raises:
        LeaseLost: Another controller has taken over.
        StoreError: The database cannot be used now.
        OSError: A folder cannot be deleted; the next call tries again.
    """
    for folder in sorted((workspace.root / "releases").glob("*/")):
        dataset = folder.name
        if sum(1 for _ in _numbered(folder)) <= keep:
            continue
        with ledger.write() as connection:
            try:
                old = _not_needed(connection, workspace, dataset, keep)
            except ValueError as error:
                log.error("releases of %s: %s; none of them is deleted", dataset, error)
                continue
            if old:
                connection.execute(
                    delete(schema.releases).where(
                        _releases.dataset == dataset, _releases.version.in_(old)
                    )
                )
        for version in sorted(old):
            log.info("release %s of %s: deleted, %d are kept", version_text(version), dataset, keep)
        with ledger.write() as connection:
            orphans = _without_record(connection, folder, dataset)
        for orphan in orphans:
            remove_tree(orphan)


def _not_needed(connection: Connection, workspace: Workspace, dataset: str, keep: int) -> set[int]:
    """Return the versions that can be deleted.

    Raises:
        ValueError: A manifest cannot be understood, so nobody knows what it needs.
    """
    pointer = schema.datasets.c
    query = select(pointer.version).where(pointer.dataset == dataset).with_for_update()
    current = connection.execute(query).scalar()
    found = connection.execute(select(_releases.version).where(_releases.dataset == dataset))
    versions = sorted(found.scalars())
    rounds = schema.rounds.c
    bases = connection.execute(select(rounds.base).where(rounds.open, rounds.base.is_not(None)))
    left = [*versions[-keep:], *bases.scalars(), *([] if current is None else [current])]
    needed: set[int] = set()
    while left:
        version = left.pop()
        if version not in needed:
            needed.add(version)
            left += _named_by(workspace.release(dataset, version_text(version)) / "manifest.json")
    return set(versions) - needed


def _named_by(manifest: Path) -> Iterator[int]:
    """Yield the releases whose rasters a manifest names; a release need not have a manifest."""
    try:
        document = json.loads(manifest.read_bytes())
    except FileNotFoundError:
        return
    except ValueError as error:
        raise ValueError(f"{manifest} is no JSON document: {error}") from error
    try:
        for collection in document["collections"].values():
            for raster in collection.get("rasters", []):
                if raster["release"] is not None:
                    yield int(raster["release"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{manifest} is no manifest that is known here: {error!r}") from error


def _without_record(connection: Connection, folder: Path, dataset: str) -> list[Path]:
    """Return the folders of releases whose row is deleted; newer ones are just being made."""
    of_dataset = _releases.dataset == dataset
    known = set(connection.execute(select(_releases.version).where(of_dataset)).scalars())
    newest = connection.execute(select(func.max(_releases.version)).where(of_dataset)).scalar()
    return [
        path
        for path in _numbered(folder)
        if int(path.name) not in known and int(path.name) < (newest or 0)
    ]


def _numbered(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal())
