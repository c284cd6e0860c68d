"""Giving a committed attempt's files a second place in another job's folder.

    jobs/<old>/<step>[/<index>]/<attempt>  ->  jobs/<new>/<step>[/<index>]/reused-<attempt>

Files get a second name (hard link) or are copied where there are no hard links. What lies in the
cache or is read in place stays where it is, after a look that it is still the same.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from k8s_manager.workspace import Workspace, link_file, remove_tree, sync_folder, write_whole

PREFIX = "reused-"
"""Distinguishes a copy from the attempts that a backend has started."""
_LOGS = ("stdout", "stderr", "progress.jsonl")
_CACHED = re.compile(r"cache:sha256/[0-9a-f]{64}")


class NotThereAnyMoreError(Exception):
    """A file of the attempt is gone or is not what it was."""


def copy_attempt(
    workspace: Workspace,
    source: str,
    parent: Path,
    document: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> tuple[Path, dict[str, Any]]:
    """Copy an attempt.

    Args:
        workspace: Where files lie.
        source: Location of the attempt's folder.
        parent: Folder that gets the copy.
        document: Its ``attempt.json``.
        outputs: Its output values.

    Returns:
        The copy's folder, and the document with outputs that lie in it; its ``job`` and
        ``attempt`` go on naming the attempt that ran.

    Raises:
        NotThereAnyMoreError: Something of it is gone; nothing remains of the copy.
        OSError: It cannot be copied.
    """
    old = workspace.path(source)
    new = parent / (PREFIX + old.name.removeprefix(PREFIX))
    copy = _Copy(workspace, old, new)
    (new / "outputs").mkdir(parents=True)
    try:
        moved = {name: copy.value(value) for name, value in outputs.items()}
        for name in _LOGS:
            if (old / name).is_file():
                link_file(old / name, new / name)
    except (FileNotFoundError, NotThereAnyMoreError) as error:
        remove_tree(new)
        raise NotThereAnyMoreError(str(error)) from error
    described = {**document, "outputs": moved}
    write_whole(new / "attempt.json", json.dumps(described).encode())
    for folder in (*copy.folders, new / "outputs", new, parent):
        sync_folder(folder)
    return new, described


def remove_copies(step_folder: Path) -> None:
    """Delete copies that a controller may have left half made.

    Raises:
        OSError: One cannot be deleted.
    """
    for pattern in (f"{PREFIX}*", f"*/{PREFIX}*"):
        for folder in step_folder.glob(pattern):
            remove_tree(folder)


class _Copy:
    """Output values on their way from one attempt's folder to another."""

    def __init__(self, workspace: Workspace, old: Path, new: Path) -> None:
        self._workspace = workspace
        self._old = old
        self._new = new
        self.folders: set[Path] = set()

    def value(self, value: Any) -> Any:
        """Return an output value with its files in the new folder."""
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        if value.get("class") not in ("File", "Directory"):
            return {name: self.value(item) for name, item in value.items()}
        location = str(value["location"])
        if location.startswith("workspace:"):
            return self._moved(value, self._place(self._workspace.path(location)))
        if _CACHED.fullmatch(location):
            path = self._workspace.path(location)
            os.utime(path)  # last use: it stays in the cache...
            path.stat()  # ...unless it was just being deleted
        else:
            _check_version(self._workspace.path(location), value)
        return dict(value)

    def _place(self, path: Path) -> Path:
        """Return where a file goes; inputs that were handed through get a folder of their own."""
        if path.is_relative_to(self._old):
            return self._new / path.relative_to(self._old)
        number = sum(1 for _ in (self._new / "outputs").glob(".given-*"))
        return self._new / "outputs" / f".given-{number}" / path.name

    def _moved(self, value: Mapping[str, Any], place: Path) -> dict[str, Any]:
        moved = {**value, "location": self._workspace.location(place)}
        if value["class"] == "Directory":
            place.mkdir(parents=True, exist_ok=True)
            self.folders.add(place)
            moved["listing"] = [
                self._moved(entry, place / entry["basename"]) for entry in value["listing"]
            ]
            return moved
        source = self._workspace.path(str(value["location"]))
        status = source.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != value["size"]:
            raise NotThereAnyMoreError(f"{source} is not what it was")
        place.parent.mkdir(parents=True, exist_ok=True)
        self.folders.add(place.parent)
        if not place.exists():  # two outputs may name one file
            link_file(source, place)
        return moved


def _check_version(path: Path, value: Mapping[str, Any]) -> None:
    """Find out whether a file that is read in place is the one it was."""
    status = path.stat()
    if value.get("checksum") != f"size-mtime${status.st_size}-{status.st_mtime_ns}":
        raise NotThereAnyMoreError(f"{path} has changed")
