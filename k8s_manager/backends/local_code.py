"""What identifies the code of a local step: the stages, what they depend on, and the program.

Read from the files as they are now, so that a stage that was mended while the controller runs is
another code. Of a program that is not one of the stages the file that the command names and the
versions of all installed distributions are looked at, not the modules that it imports.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def local_code(words: Sequence[str]) -> str:
    """Return the SHA-256 (hex) of what a command runs on this machine.

    Raises:
        OSError: A file of it cannot be read.
    """
    digest = hashlib.sha256(sys.version.encode())
    for name in sorted(_distributions()):
        digest.update(f"\0{name}".encode())
    for path in (*_stages(), *_programs(words)):
        status = path.stat()
        content = _content(str(path), status.st_mtime_ns, status.st_size)
        digest.update(f"\0{path.name} {content}".encode())
    return digest.hexdigest()


def _distributions() -> set[str]:
    """Return name and version of each installed distribution, from the names of its folder."""
    found = set()
    for folder in {path for path in sys.path if path.endswith("-packages")}:
        if Path(folder).is_dir():
            found |= {name for name in os.listdir(folder) if name.endswith(".dist-info")}  # noqa: PTH208
    return found


def _stages() -> Iterator[Path]:
    """Yield the files of the package `processes`, in an order that does not change."""
    spec = importlib.util.find_spec("processes")
    for root in sorted(spec.submodule_search_locations or []) if spec is not None else []:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            yield from (Path(folder, name) for name in sorted(names))


def _programs(words: Sequence[str]) -> Iterator[Path]:
    """Yield the files that a command names: the program, and scripts by their whole path."""
    own = Path(sys.executable).parent
    program = shutil.which(words[0], path=f"{own}:{os.environ.get('PATH', os.defpath)}")
    if program is not None:
        yield Path(program)
    for word in words[1:]:
        if word.startswith("/") and "\0" not in word and len(word) < 4096 and Path(word).is_file():
            yield Path(word)


@functools.lru_cache(maxsize=4096)
def _content(path: str, _modified: int, _size: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
