"""Controllers as an administrator starts them, `cdi controller`, to be stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from k8s_manager.database import Database
from k8s_manager.errors import StoreError
from tests.cluster.evidence import epoch
from tests.k8s_manager.installation import Installation, eventually


@dataclass
class ControllerProcess:
    """A running `cdi controller`."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it at once, without a chance to tidy up."""
        self.process.kill()
        self.process.wait()

    def pause(self, installation: Installation) -> None:
        """Stop it, though not while it writes to SQLite: there it would hold up everybody."""
        database = Database(installation.settings.database_url, busy_timeout_s=0.5)
        while True:
            self.process.send_signal(signal.SIGSTOP)
            try:
                with database.write():
                    break
            except StoreError:
                self.go_on()
        database.close()

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def says(self, text: str) -> bool:
        return text in self.log.read_text(errors="replace")


@contextmanager
def controlling(installation: Installation, name: str = "a") -> Iterator[ControllerProcess]:
    """Start a controller; end it in the end, if it still lives."""
    _write_config(installation)
    log = installation.settings.home / f"controller-{name}.log"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CDI_")}
    environment = kept | {
        "CDI_HOME": str(installation.settings.home),
        "CDI_CONFIG": str(installation.settings.config),
    }
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "ogcapi.cli", "controller"],
            env=environment,
            stdout=stream,
            stderr=stream,
        )
    started = ControllerProcess(process, log)
    try:
        yield started
    finally:
        if started.alive:
            started.go_on()
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()


def takes_over(installation: Installation, before: int) -> None:
    """Wait until a controller has the right to control that was not there at epoch `before`."""
    taken = eventually(lambda: epoch(installation) > before, 120)
    assert taken, f"no controller took over after epoch {before}"


def _write_config(installation: Installation) -> None:
    settings = installation.settings
    manager = {
        "backend": settings.backend,
        "lease_s": settings.lease_s,
        "kubernetes": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(settings.kubernetes).items()
        },
    }
    settings.config.write_text(yaml.safe_dump({"server": {"manager": manager}}))


def finish(installation: Installation, jobs: Iterable[str]) -> None:
    """Wait until jobs have ended, whoever carries them out."""
    for job_id in jobs:
        ended = eventually(lambda job_id=job_id: finished(installation, job_id), 240)
        assert ended, f"{job_id} has not ended: {installation.store.job(job_id).message}"


def finished(installation: Installation, job_id: str) -> bool:
    """Tell whether a job has ended."""
    return installation.store.job(job_id, whole=False).finished_at_all
