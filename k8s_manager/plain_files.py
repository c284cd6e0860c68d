"""Reading what programs left in their folders, without being led out of them.

A program may write whatever it likes into the folder of its attempt: also a link, or a pipe that
never ends. So every name on the way is opened below the folder before it, and links are refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def folder(name: str | Path, parent: int | None = None) -> Iterator[int | None]:
    """Give a descriptor of a folder in the folder of descriptor `parent`.

    It is None when there is none of that name, or when the name is a file's or a link's.

    Raises:
        OSError: The folder is there and cannot be opened.
    """
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def folders_in(parent: int) -> list[str]:
    """Return the names of the folders, links left out, in the folder of descriptor `parent`."""
    with os.scandir(parent) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def file_in(name: str, parent: int) -> os.stat_result | None:
    """Return the state of a plain file; None for what is none, or has a second name elsewhere."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if _is_plain(found) else None


def open_file(root: Path, names: Sequence[str]) -> BinaryIO:
    """Open the plain file that is reached from `root` by folders and at last a file's name.

    Raises:
        OSError: There is no such file, or something on the way is a link.
    """
    *folders, name = names
    parent = os.open(root, _FOLDER)
    try:
        for step in folders:
            below = os.open(step, _FOLDER, dir_fd=parent)
            os.close(parent)
            parent = below
        descriptor = os.open(name, _FILE, dir_fd=parent)
    finally:
        os.close(parent)
    if not _is_plain(os.fstat(descriptor)):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no plain file", name)
    return os.fdopen(descriptor, "rb", buffering=0)


def _is_plain(state: os.stat_result) -> bool:
    return stat.S_ISREG(state.st_mode) and state.st_nlink == 1
