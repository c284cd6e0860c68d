"""What the folder of a local attempt says about it: whether it runs, how it ended, what is left."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from k8s_manager.backends.base import Round

LOCK = ".lock"
RUNNER_LOG = "runner.log"
LEFTOVERS_S = 0.5
"""Seconds to wait for killed processes to go; one that the kernel holds may take longer."""
_EXPECTED = {"exit_code", "signal", "reason", "outputs", "error"}


def is_locked(folder: Path) -> bool:
    """Tell whether the attempt's runner is alive."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def document_of(folder: Path) -> dict[str, Any] | None:
    """Return what the runner wrote; None when it wrote nothing, or what is there is not its."""
    try:
        document = json.loads((folder / "attempt.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    valid = isinstance(document, dict) and set(document) >= _EXPECTED
    return document if valid else None


def runner_pid(folder: Path) -> int | None:
    """Return the id of the runner; None when it has not come so far as to write it."""
    try:
        text = (folder / LOCK).read_text(encoding="ascii")
    except OSError:
        return None
    return int(text) if text.endswith("\n") else None


def attempts_on_disk(round_: Round, index: int) -> list[Path]:
    """Return the folders of a round's attempts of one index."""
    return sorted(round_.index_folder(index).glob(f"r{round_.number}-*"))


def last_words(folder: Path) -> str:
    """Return why a runner died, if it said so."""
    try:
        lines = (folder / RUNNER_LOG).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return f"its runner failed: {lines[-1][:300]}" if lines else "it ended without a word"


def never_started(folder: Path) -> bool:
    """Tell whether a controller died between making the folder and starting the runner."""
    if is_locked(folder) or runner_pid(folder) is not None or (folder / "attempt.json").exists():
        return False
    return remove_unstarted(folder)


def remove_unstarted(folder: Path) -> bool:
    """Remove the folder of an attempt whose runner never ran; True when it is gone."""
    try:
        for name in (LOCK, RUNNER_LOG):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        return False
    return True


def take_back(runner: int, folder: Path) -> None:
    """Kill a runner that this process has started, unless it has done something already.

    Another controller may have found the attempt and counted it, so what it wrote stays.
    """
    _kill(runner)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(runner, 0)
    kill_leftovers([folder])
    never_started(folder)


def kill_leftovers(folders: Iterable[Path]) -> bool:
    """Kill what a runner that was killed itself has left running; True when it is gone.

    The program dies with its runner by a signal from the kernel; what the program had started in
    turn is known by the variable that every descendant inherits.
    """
    marks = {f"CDI_PROGRESS={folder}/progress.jsonl".encode() for folder in folders}
    deadline = time.monotonic() + LEFTOVERS_S
    while marks:
        found = [pid for pid, words in _environments() if not marks.isdisjoint(words)]
        if not found:
            break
        if time.monotonic() > deadline:
            return False
        for pid in found:
            _kill(pid)
        time.sleep(0.01)
    return True


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
                yield int(folder.name), (folder / "environ").read_bytes().split(b"\0")
