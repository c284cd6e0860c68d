"""A whole installation for a test: store, workspace and controller in a folder of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k8s_manager.backends.base import Backend
from k8s_manager.backends.local import LocalBackend
from k8s_manager.controller import Controller
from k8s_manager.cwl import Process, load_process
from k8s_manager.dataset_settings import Dataset
from k8s_manager.records import Job, NewJob
from k8s_manager.settings import Settings
from k8s_manager.store import Store, open_store
from k8s_manager.workspace import Workspace

PROCESSES = Path(__file__).parents[1] / "data" / "processes"


@dataclass
class Installation:
    """Store, workspace and settings in one folder."""

    settings: Settings
    store: Store
    backend: Callable[[Settings], Backend] = LocalBackend

    @classmethod
    def at(cls, home: Path, template: Path | None = None, **changes: Any) -> Installation:
        settings = Settings(
            config=home / "pygeoapi-config.yml",
            home=home,
            database_url=f"sqlite:///{home / 'cdi.db'}",
            workspace=home / "workspace",
            local_slots=2,
            lease_s=2.0,
            poll_s=0.05,
            retry_delays_s=(0.05, 0.1),
            datasets={
                "demo": Dataset(
                    "demo", area=None, crs="EPSG:25832", writers=("release", "published")
                ),
                "other": Dataset("other", area=None, crs="EPSG:25832", writers=("chain",)),
            },
        )
        settings = replace(settings, **changes)
        if template is not None:
            home.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(template, home / "cdi.db")
        return cls(settings, open_store(settings.database_url, settings.workspace))

    def on(self, backend: Callable[[Settings], Backend]) -> Installation:
        """Return the same installation with another backend."""
        return replace(self, backend=backend)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.settings.workspace)

    def controller(self) -> Controller:
        return Controller(self.settings, self.store, self.backend(self.settings))

    def narrow(self, places: int) -> Installation:
        """Return the same installation with room for so many steps at once."""
        kubernetes = replace(self.settings.kubernetes, max_pods=places)
        settings = replace(self.settings, local_slots=places, kubernetes=kubernetes)
        return replace(self, settings=settings)

    def submit(self, name: str, values: Mapping[str, Any], owner: str = "local") -> Job:
        process = process_of(name)
        request = {"values": dict(values)}
        return self.store.create_job(
            NewJob(process.id, process.version, process.to_json(), request, owner)
        )

    def run(self, name: str, values: Mapping[str, Any]) -> Job:
        """Run a job to its end with a controller in this process."""
        return self.finish(self.submit(name, values))

    def finish(self, job: Job) -> Job:
        controller = self.controller()
        try:
            return controller.run_until(job.id)
        finally:
            controller.dispose()

    def verdicts(self, job: Job) -> list[tuple[str, int, str]]:
        return [(item.step, item.index, item.verdict) for item in self.store.attempts(job.id)]

    def text(self, value: Mapping[str, Any]) -> str:
        return self.workspace.path(value["location"]).read_text()


def process_of(name: str) -> Process:
    path = PROCESSES / name / "process.cwl"
    return load_process(path if path.exists() else PROCESSES / f"{name}.cwl")


def waiting_for(marker: Path) -> str:
    """Return code for a program that goes on when the marker is there."""
    return f"import os, time\nwhile not os.path.exists({str(marker)!r}): time.sleep(0.02)"


def processes_below(folder: Path) -> list[int]:
    """Return the processes that belong to attempts below a folder."""
    mark = f"{folder}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            progress = any(word.startswith(b"CDI_PROGRESS=" + mark) for word in words)
            if progress or (b"--lock-fd" in command and mark in command):
                found.append(int(entry.name))
    return found


def eventually(condition: Any, seconds: float = 60) -> bool:
    """Wait until a condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
