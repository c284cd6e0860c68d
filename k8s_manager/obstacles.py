"""What an error of the operating system means for a job: to wait until it is mended, or to fail."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from k8s_manager.backends.base import Waiting

_STAYS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
}
"""Errors that time does not mend, unlike a full disk or a share that is away."""


def waiting(error: OSError, what: str) -> Waiting:
    """Return why a job waits; the folder is not named, for clients read it.

    Args:
        error: What happened.
        what: What cannot be done, as the beginning of a sentence.
    """
    place = "workspace" if error.filename is not None else "machine"
    return Waiting(place, f"{what}: {error.strerror}")


def problem(error: OSError, workspace: Path) -> dict[str, Any] | None:
    """Return why a job that somebody waits for cannot go on; None where waiting may help."""
    if error.errno not in _STAYS or error.filename is None:
        return None
    place = Path(os.fsdecode(error.filename))
    inside = place.is_relative_to(os.path.realpath(workspace)) or place.is_relative_to(workspace)
    advice = f"let user {os.geteuid()} read it"
    if inside:
        advice = (
            f"let user {os.geteuid()} write to the folder {workspace}, "
            "or name another folder in CDI_WORKSPACE"
        )
    return {
        "title": "the workspace cannot be used" if inside else "a file cannot be used",
        "detail": f"{place}: {error.strerror}; {advice}",
        "status": 500,
    }
