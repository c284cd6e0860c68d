"""What is deleted of a finished job's folder by age: its data and its logs, each at its time.

Harmless when done twice: a controller may be killed in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from k8s_manager.workspace import remove_tree

_DATA = ("outputs", "inputs", "tmp")
_LOGS = ("stdout", "stderr", "progress.jsonl", "runner.log")


def remove_data(job: Path) -> None:
    """Delete inputs, outputs and task files of a job; logs and ``attempt.json`` stay.

    Raises:
        OSError: Something cannot be deleted.
    """
    (job / "inputs.json").unlink(missing_ok=True)  # first: it vouches for the others
    remove_tree(job / "inputs")
    for step in _folders(job):
        for task in step.glob("task-r*.json"):
            task.unlink(missing_ok=True)
    for attempt in attempts(job):
        for name in _DATA:
            remove_tree(attempt / name)


def remove_logs(job: Path) -> None:
    """Delete what the programs of a job wrote to stdout and stderr, and their progress.

    Raises:
        OSError: Something cannot be deleted.
    """
    for attempt in attempts(job):
        for name in _LOGS:
            (attempt / name).unlink(missing_ok=True)


def attempts(job: Path) -> Iterator[Path]:
    """Yield the folders of a job's attempts; those of a scattered step lie one level deeper."""
    for step in _folders(job):
        for entry in _folders(step):
            if entry.name.isdecimal():
                yield from _folders(entry)
            else:
                yield entry


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, apart from a job's own inputs."""
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.is_symlink() and entry.name != "inputs"
    )
