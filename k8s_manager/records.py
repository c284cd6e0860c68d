"""What the job store hands out: plain values, so that nobody outside it needs to know its tables.

Times are ISO-8601 text in UTC with a final ``Z``; ids of jobs are UUIDv7 as 32 hex digits, so that
their order is the order of creation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ACCEPTED = "accepted"
RUNNING = "running"
SUCCESSFUL = "successful"
FAILED = "failed"
DISMISSED = "dismissed"

STATUSES = (ACCEPTED, RUNNING, SUCCESSFUL, FAILED, DISMISSED)
FINAL = (SUCCESSFUL, FAILED, DISMISSED)


@dataclass(frozen=True)
class NewJob:
    """A validated request, ready to become a job record."""

    process_id: str
    process_version: str
    process: dict[str, Any]
    """Snapshot of the process as it was accepted (`Process.to_json`)."""
    request: dict[str, Any]
    """``{"values": CWL values, "outputs": ..., "response": ..., "subscriber": ...}``."""
    owner: str = "local"
    retry_of: str | None = None
    """The job that this one tries again."""
    most_open: int = 0
    """Unfinished jobs that the owner may have, this one included; 0 for any number."""


@dataclass(frozen=True)
class Job:
    """A job record."""

    id: str
    process_id: str
    process_version: str
    process: dict[str, Any]
    status: str
    """One of `STATUSES`; ``dismissed`` only once everything of it is verified gone."""
    outcome: str | None
    """One of `FINAL` once the job has ended; never changes afterwards."""
    created: str
    started: str | None
    finished: str | None
    updated: str
    progress: int
    """Percent, never falls; 100 only when successful."""
    message: str
    owner: str
    request: dict[str, Any]
    results: dict[str, Any] | None
    """Output id -> CWL value, when successful."""
    error: dict[str, Any] | None
    """Problem (title, detail, status, step, index), when failed."""
    dismiss_requested: bool
    removed: str | None
    """When the results of the finished job were removed, else None."""
    retry_of: str | None = None
    """The job that this one tries again."""
    files_expired: str | None = None
    """When its inputs and outputs were deleted because of their age, else None."""
    logs_expired: str | None = None
    """When what its programs wrote to stdout and stderr was deleted because of its age."""
    has_callbacks: bool = True
    """False when nobody wants to be called back; lists do not look, and say True."""

    @property
    def finished_at_all(self) -> bool:
        """Whether the job has ended, in whatever way."""
        return self.outcome is not None

    @property
    def why_files_are_gone(self) -> str | None:
        """The reason, as a sentence, why the job's files are no longer there; None if they are."""
        if self.removed is not None:
            return f"job {self.id} was dismissed; its files were removed on {self.removed[:10]}"
        if self.files_expired is not None:
            return (
                f"the files of job {self.id} were deleted on {self.files_expired[:10]}: they are "
                f"kept for some days only; execute {self.process_id} again to have them made anew"
            )
        return None


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list; every given condition must hold."""

    process_ids: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    """As shown: a removed job counts as ``dismissed``."""
    created_from: float | None = None
    """Unix seconds, inclusive."""
    created_to: float | None = None
    """Unix seconds, inclusive."""
    min_duration_s: float | None = None
    """Seconds from start to finish, or until now for a running job."""
    max_duration_s: float | None = None
    owner: str | None = None


@dataclass(frozen=True)
class JobPage:
    """One page of jobs, newest first."""

    jobs: list[Job]
    next: str | None
    """Give this as `after` to get the page that follows; None on the last page."""
    matched: int
    """Jobs that match the filter, on all pages."""


@dataclass(frozen=True)
class StepRecord:
    """A step of a job: how far it is."""

    step: str
    position: int
    state: str
    """``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``."""
    total: int | None
    """Indexes of a scattered step (1 for others); None while that is not known."""
    done: int
    """Indexes with a committed attempt."""
    scattered: bool
    progress: float
    """0 to 1."""
    started: str | None
    finished: str | None


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt of a step that has ended, and what followed from it."""

    step: str
    index: int
    attempt: str
    round: int
    verdict: str
    """``commit``, ``fail``, ``again``, ``repeated``, ``more-memory``, ``lost``, ``superseded``;
    ``reused``: taken over from a job that this one retries (`document` says from which)."""
    folder: str
    """Location of the attempt's folder (``workspace:jobs/...``); logs lie in it."""
    document: dict[str, Any] | None
    """Its ``attempt.json``, or what is known of an attempt that went without a word."""
    judged: str


@dataclass(frozen=True)
class RoundRecord:
    """The controller's numbered try of a step, holding the indexes still open."""

    job: str
    step: str
    round: int
    name: str
    indexes: list[int]
    """Scatter index of each of the round's indexes."""
    ram_mb: int
    not_before: float
    """Unix seconds before which it does not start (back-off)."""
    base: int | None
    """Version of the dataset's release that a publishing step starts from."""
    open: bool
    code: str | None = None
    """What identifies the code that it runs (`Backend.code_of`)."""


@dataclass(frozen=True)
class Release:
    """A version of a dataset."""

    dataset: str
    version: str
    """Six digits."""
    path: str
    """Location of its folder: ``workspace:releases/<dataset>/<version>``."""
    created: str
    job: str
    previous: str | None
    current: bool = field(default=False, compare=False)


def iso(seconds: float) -> str:
    """Return Unix `seconds` as ISO-8601 text in UTC, with milliseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def version_text(version: int) -> str:
    """Return a release's number as it is written in names: six digits."""
    return f"{version:06d}"
