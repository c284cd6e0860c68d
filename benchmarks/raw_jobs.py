"""What anybody can have without us: Jobs made directly with the `kubernetes` client.

The pods are the ones that our backend makes (same image, volumes, mounts, security), except that
they run the stage's program itself and not the step runner around it. A chain is a loop that
creates the next Job when it sees, in a watch, that the last one is over.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_place import IMAGE_NAME, MAX_PODS, Place, process, times, wait_until
from kubernetes import client, config, watch

from k8s_manager import command
from k8s_manager.backends import job_manifest
from k8s_manager.backends.base import Round

NAME = "raw"
COMPLETE = "Complete"
TERMINATED = "container terminated"


@dataclass(frozen=True)
class RawJob:
    """A Job that was created, and when the call was made (Unix seconds)."""

    name: str
    created: float
    files: tuple[Path, ...]
    """What its pods write, by index."""

    def begun(self) -> list[float]:
        """Return when each index began; waits for it."""
        return [times(file)[0] for file in self._written()]

    def ended(self) -> list[float]:
        """Return when each index ended; waits for it."""
        return [times(file)[1] for file in self._written()]

    def _written(self) -> tuple[Path, ...]:
        wait_until(lambda: all(map(_whole, self.files)), f"{self.name} has run")
        return self.files


class RawClient:
    """The plain client of one namespace, with a connection that is open already."""

    def __init__(self, place: Place) -> None:
        config.load_kube_config()
        self._batch, self._core = client.BatchV1Api(), client.CoreV1Api()
        self._place = place
        self._workspace = place.folder / NAME / "workspace"
        self._settings = place.settings(NAME)
        (self._workspace / "cache").mkdir(parents=True, exist_ok=True)
        self._batch.list_namespaced_job(place.api.namespace)

    def create(self, count: int = 1) -> RawJob:
        """Create a Job with `count` indexes that run at once, as far as allowed."""
        job = secrets.token_hex(16)
        folder = self._workspace / "jobs" / job / "step"
        folder.mkdir(parents=True)
        os.chown(folder, self._settings.run_as_user, self._settings.run_as_user)
        tool = process("trivial")
        assert tool.tool is not None  # noqa: S101  it is one
        round_ = Round(
            job, "step", 1, 1, tuple(range(count)), False, folder,
            cores=tool.tool.resources.cores_min, ram_mb=tool.tool.resources.ram_min,
            time_limit_s=tool.tool.time_limit_s, image=IMAGE_NAME, process="trivial",
        )  # fmt: skip
        body = job_manifest.manifest(round_, {"indexes": []}, min(count, MAX_PODS), self._settings)
        values = {"pause": 0.0, "after": None, "index": None}
        argv = list(command.build(tool, values, cores=round_.cores, ram_mb=round_.ram_mb).argv)
        inside = f"{job_manifest.WORKSPACE}/jobs/{job}/step"
        argv[argv.index("times.json")] = f"{inside}/$(JOB_COMPLETION_INDEX).json"
        body["spec"]["template"]["spec"]["containers"][0]["command"] = argv
        created = time.time()
        self._batch.create_namespaced_job(self._place.api.namespace, body)
        return RawJob(round_.name, created, tuple(folder / f"{n}.json" for n in range(count)))

    def wait(self, job: RawJob, sign: str) -> float:
        """Return when a watch tells of `sign` (Unix seconds); a Job has one pod here."""
        for event in self._events(job, sign):
            status = event["object"].status
            if sign == COMPLETE:
                conditions = status.conditions or []
                if any(item.type == COMPLETE and item.status == "True" for item in conditions):
                    return time.time()
            elif any(item.state.terminated for item in status.container_statuses or []):
                return time.time()
        raise RuntimeError(f"{job.name}: the watch ended before '{sign}'")

    def chain(self, steps: int, sign: str) -> list[RawJob]:
        """Run Jobs one after the other, each as soon as the last one shows `sign`."""
        jobs = []
        for number in itertools.count(1):
            jobs.append(self.create())
            self.wait(jobs[-1], sign)
            if number == steps:
                return jobs
        raise AssertionError("not reached")

    def remove(self, *jobs: RawJob) -> None:
        """Delete Jobs and wait until nothing is left in the cluster."""
        for job in jobs:
            self._batch.delete_namespaced_job(
                job.name, self._place.api.namespace, propagation_policy="Background"
            )
        wait_until(self._place.empty, "no Job and no pod left")

    def _events(self, job: RawJob, sign: str) -> Iterator[Any]:
        namespace = self._place.api.namespace
        if sign == COMPLETE:
            query: Any = self._batch.list_namespaced_job
            only = {"field_selector": f"metadata.name={job.name}"}
        else:
            query = self._core.list_namespaced_pod
            only = {"label_selector": f"batch.kubernetes.io/job-name={job.name}"}
        yield from watch.Watch().stream(query, namespace, timeout_seconds=300, **only)


def _whole(file: Path) -> bool:
    try:
        return file.read_bytes().endswith(b"}")
    except OSError:
        return False
