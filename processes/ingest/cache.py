"""The input cache: files by content, shared by all jobs, never half there.

``sha256/ab/abcd...`` holds whole files; ``by-url/<hash of the origin>.json`` says which content an
origin had. A file is written beside its place, flushed, checked and only then renamed. One lock
file per origin keeps two jobs from fetching the same thing.

Somebody may make room here meanwhile (``cdi cache prune``, the controller): files go whose time of
change says that they were not used since the oldest job that runs was accepted. So every use sets
that time first and looks then whether the file is there. Whoever deletes moves the file aside,
looks at the time and puts back one that was used. This needs no lock between machines, which some
sandboxes do not have.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from processes.stage import InputDataError, write_json

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Stored:
    """A whole local file: where it lies, its content hash (hex) and size in bytes.

    `in_place` tells that it is a file of a source, read where it lies.
    """

    path: Path
    sha256: str
    size: int
    in_place: bool = False


class Cache:
    """The cache under one folder; safe for several processes and threads.

    Args:
        root: Folder; made when missing.
        verify: Read and hash every file again before it is reused.

    Raises:
        InputDataError: The folder cannot be made or written.
    """

    def __init__(self, root: Path, *, verify: bool = False) -> None:
        self._root = root.resolve()
        self._verify = verify
        try:
            (self._root / "sha256").mkdir(parents=True, exist_ok=True)
            (self._root / "by-url").mkdir(exist_ok=True)
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise InputDataError(
                "cache cannot be written",
                f"{self._root}: {error.strerror}; CDI_CACHE must name a folder this user may write",
            ) from error

    @contextmanager
    def reserved(self, origin: str) -> Iterator[None]:
        """Keep everybody else from fetching `origin` meanwhile."""
        with FileLock(self._record(origin).with_suffix(".lock")):
            yield

    def find(self, origin: str, **expected: Any) -> Stored | None:
        """Return the file that `origin` had, if it is whole and was recorded with `expected`."""
        record = self.about(origin)
        if not record or any(record.get(key) != value for key, value in expected.items()):
            return None
        path = self._object(record["sha256"])
        try:
            os.utime(path)
            whole = path.stat().st_size == record["size"]
            sound = whole and (not self._verify or digest_of(path) == record["sha256"])
        except FileNotFoundError:
            return None
        if not sound:
            if whole:
                path.unlink(missing_ok=True)
            return None
        return Stored(path, record["sha256"], record["size"])

    def about(self, origin: str) -> dict[str, Any]:
        """Return what is recorded about `origin`: sha256, size and what else was given."""
        try:
            record = json.loads(self._record(origin).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        whole = isinstance(record, dict) and {"sha256", "size"} <= set(record)
        return record if whole else {}

    def remember(self, origin: str, stored: Stored, **details: Any) -> None:
        """Record the content of `origin`."""
        record = {"origin": origin, "sha256": stored.sha256, "size": stored.size, **details}
        write_json(self._record(origin), record)

    def partial(self, origin: str) -> Path:
        """Return the path beside the cache's files where `origin` is written while it arrives."""
        return self._record(origin).with_suffix(".part")

    def keep(self, origin: str, partial: Path, sha256: str, **details: Any) -> Stored:
        """Move a complete, checked file into the cache."""
        size = partial.stat().st_size
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        path = self._object(sha256)
        path.parent.mkdir(exist_ok=True)
        partial.chmod(0o444)
        stored = Stored(path, sha256, size)
        os.utime(partial)
        partial.replace(path)
        self.remember(origin, stored, **details)
        return stored

    def copy(self, path: Path, check: Callable[[Path], object]) -> Stored:
        """Take a copy of a local file, unless its content is known by size and time of change.

        Raises:
            Whatever `check` raises for a damaged file; nothing of it stays.
        """
        origin, version = _local(path)
        with self.reserved(origin):
            known = self.find(origin, **version)
            if known:
                return known
            partial = self.partial(origin)
            try:
                sha256 = _copy(path, partial)
                check(partial)
                return self.keep(origin, partial, sha256, **version)
            finally:
                partial.unlink(missing_ok=True)

    def in_place(self, path: Path, check: Callable[[Path], object]) -> Stored:
        """Hash a local file where it lies, unless its hash is known by size and time of change."""
        origin, version = _local(path)
        with self.reserved(origin):
            record = self.about(origin)
            if not self._verify and record and all(record.get(k) == v for k, v in version.items()):
                return Stored(path, record["sha256"], record["size"], in_place=True)
            check(path)
            stored = Stored(path, digest_of(path), version["size"], in_place=True)
            self.remember(origin, stored, **version)
            return stored

    def _record(self, origin: str) -> Path:
        name = hashlib.sha256(origin.encode()).hexdigest()
        return self._root / "by-url" / f"{name}.json"

    def _object(self, sha256: str) -> Path:
        return self._root / "sha256" / sha256[:2] / sha256


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _local(path: Path) -> tuple[str, dict[str, Any]]:
    status = path.stat()
    return path.resolve().as_uri(), {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _copy(path: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source, target.open("wb") as sink:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            sink.write(chunk)
    return digest.hexdigest()
