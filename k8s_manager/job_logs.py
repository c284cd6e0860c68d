"""The logs of a job: what its programs wrote, as the step runner keeps it in the workspace.

    jobs/<job>/<step>[/<index>]/<attempt>/{stdout,stderr,runner.log}

They are read where they lie, while the programs run as well as long after their processes or pods
are gone. The files only ever grow; whoever reads them decides once how much is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from k8s_manager import schema
from k8s_manager.cwl import Process
from k8s_manager.errors import FilesExpired, JobGone, NoSuchLog
from k8s_manager.plain_files import file_in, folder, folders_in
from k8s_manager.plan import plan_of
from k8s_manager.records import Job, StepRecord
from k8s_manager.store import Store
from k8s_manager.workspace import Workspace

FILES = {"stdout": "stdout", "stderr": "stderr", "runner": "runner.log"}
"""Stream -> its file; ``runner`` is what the step runner says of itself, mostly nothing."""


@dataclass(frozen=True)
class Selection:
    """Which logs are wanted; what is None does not matter."""

    step: str | None = None
    index: int | None = None
    attempt: str | None = None
    stream: str | None = None


@dataclass(frozen=True)
class AttemptFolder:
    """The folder of one attempt."""

    step: str
    index: int
    attempt: str
    scattered: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The folders that lead to it from the job's folder."""
        return (self.step, *((str(self.index),) if self.scattered else ()), self.attempt)


@dataclass(frozen=True)
class Part:
    """One stream of one attempt, as long as it was when it was looked at."""

    of: AttemptFolder
    stream: str
    size: int
    """Bytes; never 0."""
    modified_ns: int

    @property
    def names(self) -> tuple[str, ...]:
        """The way from the job's folder to the file."""
        return (*self.of.names, FILES[self.stream])

    @property
    def title(self) -> str:
        """Which part this is, in words."""
        index = f", index {self.of.index}" if self.of.scattered else ""
        return f"step {self.of.step}{index}, attempt {self.of.attempt}, {self.stream}"


class JobLogs:
    """The logs of one job."""

    def __init__(
        self,
        root: Path,
        steps: Sequence[StepRecord],
        ended: Mapping[tuple[str, int, str], float],
    ) -> None:
        """Keep what is known of the job; nothing is looked up yet.

        Args:
            root: The job's folder.
            steps: Its steps in the order of the workflow.
            ended: Step, index and name of each attempt that has ended, and when.
        """
        self.root = root
        self._steps = steps
        self._ended = ended

    @classmethod
    def of(cls, store: Store, workspace: Workspace, job: Job, wanted: Selection) -> JobLogs:
        """Return the logs of a job that has what is wanted of it, or will have it.

        Raises:
            JobGone: They were removed.
            NoSuchLog: The job has no such step, index or attempt.
        """
        if job.removed:
            raise JobGone(f"the results and logs of job {job.id} were removed")
        steps = store.steps(job.id)
        logs = cls(workspace.job(job.id), steps, _ended(store, job.id))
        names = [step.step for step in steps]
        if wanted.step is not None and not names:
            names = list(plan_of(Process.from_json(store.job(job.id).process)).steps)
        if wanted.step not in (None, *names):
            known = ", ".join(names)
            raise NoSuchLog(f"job {job.id} has no step {wanted.step!r}; its steps: {known}")
        totals = [step.total for step in steps if wanted.step in (None, step.step)]
        if wanted.index is not None and not any(
            total is None or wanted.index < total for total in totals or [None]
        ):
            raise NoSuchLog(f"job {job.id} has no index {wanted.index} there")
        if wanted.attempt is not None and next(logs.attempts(wanted), None) is None:
            raise NoSuchLog(f"job {job.id} has no attempt {wanted.attempt!r} there")
        return logs

    def attempts(self, wanted: Selection) -> Iterator[AttemptFolder]:
        """Yield the attempts of a selection: by step and index, and within these by their age."""
        for found, _descriptor in self._attempts(wanted):
            yield found

    def parts(self, wanted: Selection) -> list[Part]:
        """Return what a selection holds now; streams without a word are left out."""
        parts = []
        for found, descriptor in self._attempts(wanted):
            for stream, name in FILES.items():
                state = file_in(name, descriptor) if wanted.stream in (None, stream) else None
                if state is not None and state.st_size > 0:
                    parts.append(Part(found, stream, state.st_size, state.st_mtime_ns))
        return parts

    def _attempts(self, wanted: Selection) -> Iterator[tuple[AttemptFolder, int]]:
        """Yield each attempt with a descriptor of its folder, valid until the next one."""
        with folder(self.root) as job:
            for step in self._steps:
                if job is not None and wanted.step in (None, step.step):
                    with folder(step.step, job) as descriptor:
                        yield from self._of_step(step, descriptor, wanted)

    def _of_step(
        self, step: StepRecord, descriptor: int | None, wanted: Selection
    ) -> Iterator[tuple[AttemptFolder, int]]:
        if descriptor is None:
            return
        if not step.scattered:
            if wanted.index in (None, 0):
                yield from self._of_index(step, 0, descriptor, wanted)
            return
        for index in sorted(int(name) for name in folders_in(descriptor) if name.isdecimal()):
            if wanted.index in (None, index):
                with folder(str(index), descriptor) as below:
                    yield from self._of_index(step, index, below, wanted)

    def _of_index(
        self, step: StepRecord, index: int, descriptor: int | None, wanted: Selection
    ) -> Iterator[tuple[AttemptFolder, int]]:
        def age(name: str) -> tuple[float, str]:
            return self._ended.get((step.step, index, name), float("inf")), name

        names = folders_in(descriptor) if descriptor is not None else []
        for name in sorted(names, key=age):
            if wanted.attempt in (None, name):
                with folder(name, descriptor) as below:
                    if below is not None:
                        yield AttemptFolder(step.step, index, name, step.scattered), below


def refuse_expired(job: Job) -> None:
    """Make sure that the logs of a job have not been deleted because of their age.

    Raises:
        FilesExpired: They have; what is known of its attempts otherwise is still there.
    """
    if job.logs_expired is not None:
        raise FilesExpired(
            f"the logs of job {job.id} were deleted on {job.logs_expired[:10]}: they are kept for "
            "some days only"
        )


def _ended(store: Store, job_id: str) -> dict[tuple[str, int, str], float]:
    """Return when each ended attempt of a job was judged, by step, index and name."""
    table = schema.attempts.c
    query = select(table.step, table.idx, table.attempt, table.judged)
    with store.database.read() as connection:
        rows = connection.execute(query.where(table.job_id == job_id))
        return {(row.step, row.idx, row.attempt): row.judged for row in rows}


def state_of(parts: Sequence[Part]) -> str:
    """Return a text that is another one whenever one of the parts is."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.title}\0{part.size}\0{part.modified_ns}\n".encode())
    return digest.hexdigest()[:32]
