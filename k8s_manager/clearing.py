"""What a job leaves behind: committed outputs and everybody's logs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from k8s_manager.fault_points import reached
from k8s_manager.ledger import Ledger
from k8s_manager.releases import remove_staged
from k8s_manager.workspace import Workspace, remove_tree


def clear_up(ledger: Ledger, workspace: Workspace, job_id: str) -> None:
    """Delete the outputs of attempts that do not count, and half-written files of a killed one.

    Raises:
        OSError: Something cannot be deleted.
    """
    kept = ledger.committed_attempts(job_id)
    for step, index, folder in _attempts(workspace.job(job_id)):
        if (step, index, folder.name) in kept:
            continue
        for name in ("outputs", "inputs", "tmp"):
            remove_tree(folder / name)
        (folder / ".attempt.json.partial").unlink(missing_ok=True)
    for partial in workspace.job(job_id).glob("*/.task-*.partial"):
        partial.unlink(missing_ok=True)
    remove_staged(workspace, job_id)
    reached("cleared")


def _attempts(job: Path) -> Iterator[tuple[str, int, Path]]:
    """Yield step, index and folder of every attempt of a job."""
    for step in job.glob("*/"):
        if step.name == "inputs" or not step.is_dir():
            continue
        for entry in step.iterdir():
            if entry.name.isdecimal():
                yield from ((step.name, int(entry.name), item) for item in entry.iterdir())
            elif entry.is_dir():
                yield step.name, 0, entry
