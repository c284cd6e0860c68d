"""A job that a test watches: what its record says while it waits, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from k8s_manager.records import Job
from tests.k8s_manager.installation import PROCESSES, Installation

WRITE = "open('result.txt', 'w').write('done')"


def process_file(
    folder: Path,
    *,
    name: str = "python",
    cores: float = 0.1,
    ram_mb: int = 64,
    time_limit_s: int = 250,
    network: bool = False,
) -> str:
    """Write a process that runs the Python code it is given; return the name to submit it by."""
    document: dict[str, Any] = yaml.safe_load((PROCESSES / "python.cwl").read_text())
    document["id"] = name
    document["requirements"] = {
        "ResourceRequirement": {"coresMin": cores, "ramMin": ram_mb, "ramMax": ram_mb},
        "ToolTimeLimit": {"timelimit": time_limit_s},
        "NetworkAccess": {"networkAccess": network},
    }
    path = folder / f"{name}.cwl"
    path.write_text(yaml.safe_dump(document))
    return str(path.with_suffix(""))


class Watched:
    """A job and the controller that carries it out."""

    def __init__(self, installation: Installation, process: str, values: Mapping[str, Any]) -> None:
        self.installation = installation
        self.job = installation.submit(process, values)
        self.controller = installation.controller()
        self._closed = False

    def says(self, *words: str, seconds: float = 120) -> str:
        """Wait until the message of the unfinished job holds all of `words`; return it."""
        deadline = time.monotonic() + seconds
        while True:
            self.controller.step()
            job = self.installation.store.job(self.job.id)
            assert job.outcome is None, f"{job.message}: {job.error}"
            if all(word in job.message for word in words):
                return job.message
            assert time.monotonic() < deadline, f"expected {words}, last: {job.message!r}"
            time.sleep(0.05)

    def ends(self, seconds: float = 200) -> Job:
        """Wait for the job's end, and until nothing is left of it in the cluster."""
        deadline = time.monotonic() + seconds
        while (job := self.installation.store.job(self.job.id)).outcome is None:
            assert time.monotonic() < deadline, f"not ended; last: {job.message!r}"
            self.controller.step()
            time.sleep(0.02)
        job = self.controller.run_until(self.job.id)
        self.close()
        return job

    def close(self) -> None:
        """Let go of the job; what was not ended by the test is dismissed."""
        if self._closed:
            return
        self._closed = True
        if self.installation.store.job(self.job.id).outcome is None:
            self.installation.store.request_dismiss(self.job.id)
            self.controller.run_until(self.job.id)
        self.controller.dispose()
        self.installation.store.database.close()

    def fails(self, title: str, *words: str) -> Job:
        """Wait for the job to fail with this title and a detail that holds all of `words`."""
        job = self.ends()
        assert job.outcome == "failed", job.message
        error = job.error or {}
        assert error["title"] == title, error
        assert job.message == f"failed: python: {title}"
        missing = [word for word in words if word not in error["detail"]]
        assert not missing, f"{missing} not in {error['detail']!r}"
        return job

    def cannot_start(self, code: str, *words: str) -> Job:
        """Wait for the job to fail because its step will never start."""
        return self.fails(f"the step cannot start: {code}", *words)

    def succeeds(self) -> Job:
        """Wait for the job to succeed."""
        job = self.ends()
        assert job.outcome == "successful", f"{job.message}: {job.error}"
        return job

    def is_dismissed(self) -> None:
        """Dismiss the job: what waits can always be dismissed."""
        self.installation.store.request_dismiss(self.job.id)
        assert self.ends().outcome == "dismissed"


Start = Callable[..., Watched]
"""What the fixture `start` gives: a job of Python code with settings of its own."""
