"""Where everything lies: the one place that turns locations in records into paths on this machine.

    cache/sha256/ab/abcd...                           inputs, shared by all jobs
    jobs/<job>/inputs/<input>/<basename>              inputs that came with the request
    jobs/<job>/<step>[/<index>]/<attempt>/            one attempt
    releases/<dataset>/<version>/

Records hold locations (``workspace:jobs/...``, ``cache:sha256/<hex>``, ``file:///...``), never
paths, so that the workspace can move and pods can mount it elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote

from k8s_manager.errors import JobGone

_CACHED = re.compile(r"cache:sha256/([0-9a-f]{64})")


class Workspace:
    """The directory tree at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))

    def path(self, location: str) -> Path:
        """Return where `location` lies on this machine, whether or not it exists.

        Raises:
            JobGone: It is no location that a record of ours can hold.
        """
        if match := _CACHED.fullmatch(location):
            return self.cached(match.group(1))
        if location.startswith("file:///"):
            return Path(unquote(location.removeprefix("file://")))
        if location.startswith("workspace:"):
            path = Path(os.path.normpath(self.root / location.removeprefix("workspace:")))
            if path.is_relative_to(self.root):
                return path
        raise JobGone(f"{location!r} is not in the workspace")

    def relative(self, location: str) -> str:
        """Return `location` as the runner reads it: relative to the workspace, or absolute."""
        path = self.path(location)
        if location.startswith("file://"):
            return str(path)
        return str(path.relative_to(self.root))

    def location(self, path: Path) -> str:
        """Return the location of a path in the workspace."""
        return f"workspace:{path.relative_to(self.root)}"

    def cached(self, digest: str) -> Path:
        """Return where the cache keeps content of that SHA-256 (hex)."""
        return self.root / "cache" / "sha256" / digest[:2] / digest

    def job(self, job_id: str) -> Path:
        """Return the folder of a job."""
        return self.root / "jobs" / job_id

    def step(self, job_id: str, step: str) -> Path:
        """Return the folder of a job's step."""
        return self.job(job_id) / step

    def index(self, job_id: str, step: str, index: int, scattered: bool) -> Path:
        """Return the folder that holds the attempts of one index of a step."""
        folder = self.step(job_id, step)
        return folder / str(index) if scattered else folder

    def release(self, dataset: str, version: str) -> Path:
        """Return the folder of a release."""
        return self.root / "releases" / dataset / version

    def remove_job(self, job_id: str) -> None:
        """Delete the folder of a job; releases made from it do not need it.

        Raises:
            OSError: Something of it cannot be deleted.
        """
        remove_tree(self.job(job_id))


def size(path: Path) -> int:
    """Return the bytes that a file, or all files below a folder, hold; links count as nothing."""
    if path.is_symlink():
        return 0
    if path.is_file():
        return path.stat().st_size
    return sum(
        (Path(folder) / name).lstat().st_size
        for folder, _folders, names in os.walk(path)
        for name in names
        if not (Path(folder) / name).is_symlink()
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it exists complete and on disk, or not at all.

    Raises:
        OSError: It cannot be written; nothing remains of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_beside(path)
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def partial_beside(path: Path) -> Path:
    """Return a name beside `path` that nobody else writes to, here or in another process."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder by hard links, or by content where the file system has none.

    Raises:
        OSError: It cannot be copied; what was copied remains.
    """
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.is_symlink():
            raise OSError(f"{entry} is a link")
        if entry.is_dir():
            copy_tree(entry, target / entry.name)
            continue
        link_file(entry, target / entry.name)


def link_file(source: Path, target: Path) -> None:
    """Give a file that never changes a second name, or copy it where there are no hard links.

    Raises:
        OSError: It cannot be done.
    """
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
        with target.open("rb") as stream:
            os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder survive a power cut.

    Raises:
        OSError: The disk does not take them.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Delete a folder and all in it, also where a program took away its own permissions.

    Raises:
        OSError: Something of it cannot be deleted.
    """
    if not folder.exists():
        return
    for parent, _folders, _names in os.walk(folder):
        if not os.access(parent, os.W_OK | os.X_OK):
            Path(parent).chmod(0o700)
    shutil.rmtree(folder)
