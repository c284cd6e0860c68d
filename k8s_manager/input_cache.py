"""The input cache as the manager sees it: how large it is, what of it is needed, making room.

``cache/sha256/ab/abcd...`` are objects, ``cache/by-url/*.json`` say which content an origin had,
``*.part`` beside them are downloads that were broken off. The stage `ingest` writes all of them.
Whatever it needs for a run it marks first, by setting the object's time of change, and looks then
whether the object is there. An object that was marked since the oldest unfinished job was accepted
is never deleted: so none goes that a running job has looked up and not yet committed. One that is
to go is moved to ``cache/aside``, looked at once more, and put back if it was marked meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Text, cast, func, select

from k8s_manager import schema
from k8s_manager.database import Database
from k8s_manager.workspace import Workspace

MARGIN_S = 3600.0
"""Seconds for which a used object counts as needed besides: clocks differ, and a stage that
somebody runs by hand with the cache is no job."""
_ABANDONED_S = 86_400.0
"""Seconds after which nobody goes on with a download that was broken off."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LOCATION = re.compile(r"cache:sha256/([0-9a-f]{64})")


@dataclass(frozen=True)
class CachedObject:
    """A file of the cache."""

    path: Path
    sha256: str
    size: int
    used_ns: int
    """Last use, Unix nanoseconds."""
    inode: int

    @property
    def used(self) -> float:
        """Last use, Unix seconds."""
        return self.used_ns / 1e9


@dataclass(frozen=True)
class Needed:
    """What of the cache must stay."""

    digests: frozenset[str]
    """Named by outputs that count in jobs whose files are kept, running ones included."""
    since: float
    """Unix seconds; what was used later may be needed by something that runs."""

    def __contains__(self, item: CachedObject) -> bool:
        return item.sha256 in self.digests or item.used >= self.since


@dataclass(frozen=True)
class Pruned:
    """What making room has come to, or would come to."""

    objects: int
    size: int
    """Bytes that were deleted."""
    left: int
    """Bytes that remain."""
    needed: int
    """Bytes of what remains that must not be deleted."""


def needed(database: Database) -> Needed:
    """Return what must stay in the cache now. Releases hold copies of their own and need nothing.

    Raises:
        StoreError: The database cannot be used now.
    """
    jobs, outputs = schema.jobs.c, cast(schema.commits.c.outputs, Text)
    query = (
        select(outputs)
        .select_from(schema.commits.join(schema.jobs, jobs.id == schema.commits.c.job_id))
        .where(jobs.removed.is_(None), jobs.files_expired.is_(None))
        .where(outputs.contains("cache:sha256/"))
    )
    with database.read() as connection:
        now = time.time()
        oldest = select(func.min(jobs.created)).where(jobs.outcome.is_(None))
        begun = connection.execute(oldest).scalar()  # first: what ends now is seen below
        digests = {
            digest
            for text in connection.execute(query).scalars()
            for digest in _LOCATION.findall(text)
        }
    since = min(now, now if begun is None else begun) - MARGIN_S
    return Needed(frozenset(digests), since)


class InputCache:
    """The cache of a workspace; it need not exist."""

    def __init__(self, workspace: Workspace) -> None:
        self._root = workspace.root / "cache"
        self._aside = self._root / "aside"

    def objects(self) -> list[CachedObject]:
        """Return all objects, those that were used least recently first."""
        found = []
        for path in self._files():
            if _DIGEST.fullmatch(path.name) and path.parent.name == path.name[:2]:
                with contextlib.suppress(FileNotFoundError):
                    found.append(_object(path))
        return sorted(found, key=lambda item: item.used_ns)

    def strangers(self) -> list[Path]:
        """Return what lies among the objects and is none."""
        known = {item.path for item in self.objects()}
        return sorted(path for path in self._files() if path not in known)

    def records(self) -> list[Path]:
        """Return the files that say which content an origin had."""
        return sorted((self._root / "by-url").glob("*.json"))

    def partials(self) -> list[Path]:
        """Return the downloads that were broken off or are under way."""
        return sorted((self._root / "by-url").glob("*.part"))

    def prune(
        self,
        needed: Needed,
        to: int | None = None,
        older_than_s: float = 0.0,
        most: int | None = None,
        dry_run: bool = False,
    ) -> Pruned:
        """Delete objects that nobody needs, those that were used least recently first.

        Args:
            needed: What must stay.
            to: Stop when at most so many bytes are left; None deletes all that may go.
            older_than_s: Only what was not used for so many seconds.
            most: Stop after so many objects.
            dry_run: Only say what would go.

        Raises:
            OSError: Something cannot be deleted.
        """
        self._put_back()
        objects = self.objects()
        left = sum(item.size for item in objects)
        bound = sum(item.size for item in objects if item in needed)
        latest = time.time() - older_than_s
        gone: list[CachedObject] = []
        for item in objects:
            enough = (to is not None and left <= to) or len(gone) == most
            if enough or item.used > latest:
                break
            if item not in needed and (dry_run or self.delete(item)):
                gone.append(item)
                left -= item.size
        if not dry_run:
            self._tidy_up({item.sha256 for item in gone})
        return Pruned(len(gone), sum(item.size for item in gone), left, bound)

    def delete(self, item: CachedObject) -> bool:
        """Delete an object unless it was used since it was looked at; True when it is gone."""
        aside = self._aside / item.sha256
        aside.parent.mkdir(exist_ok=True)
        try:
            item.path.rename(aside)
            now = replace(_object(aside), path=item.path)
        except FileNotFoundError:
            return False  # somebody else was quicker
        if now != item:
            aside.rename(item.path)
            return False
        aside.unlink(missing_ok=True)
        return True

    def corrupt(self) -> Iterator[tuple[CachedObject, bool]]:
        """Yield every object, and whether its content is not what its name says."""
        for item in self.objects():
            with contextlib.suppress(FileNotFoundError), item.path.open("rb") as stream:
                yield item, hashlib.file_digest(stream, "sha256").hexdigest() != item.sha256

    def _files(self) -> Iterator[Path]:
        return (path for path in (self._root / "sha256").glob("*/*") if not path.is_dir())

    def _put_back(self) -> None:
        """Put back what somebody who was killed has left aside: it may be needed."""
        for aside in self._aside.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                aside.rename(self._root / "sha256" / aside.name[:2] / aside.name)

    def _tidy_up(self, digests: set[str]) -> None:
        """Delete what spoke of objects that are gone, and downloads that nobody goes on with."""
        for record in self.records() if digests else []:
            if _content_of(record) in digests:
                with _reserved(record) as ours:
                    # Under the lock that every job takes before it fetches or looks up this origin.
                    digest = _content_of(record)
                    place = self._root / "sha256" / digest[:2] / digest
                    if ours and digest in digests and not place.exists():
                        record.unlink(missing_ok=True)
        for partial in self.partials():
            with _reserved(partial) as ours, contextlib.suppress(FileNotFoundError):
                if ours and time.time() - partial.stat().st_mtime > _ABANDONED_S:
                    partial.unlink()
                    partial.with_suffix(".part-of").unlink(missing_ok=True)


@contextmanager
def _reserved(path: Path) -> Iterator[bool]:
    """Hold the lock of an origin; False when somebody else has it."""
    lock = FileLock(path.with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _object(path: Path) -> CachedObject:
    status = path.lstat()
    return CachedObject(path, path.name, status.st_size, status.st_mtime_ns, status.st_ino)


def _content_of(record: Path) -> str:
    try:
        return str(json.loads(record.read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
