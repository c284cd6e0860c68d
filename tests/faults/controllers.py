"""Controllers as processes of their own, so that they can be killed and stopped like any other.

`controller` forks one from a process that has imported the command line already, which takes 0.05 s
instead of 1.5 s; `command` starts ``cdi controller`` as an administrator does. Both run the same
function.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import yaml

from k8s_manager import fault_points
from k8s_manager.records import Job
from k8s_manager.settings import Settings
from tests.k8s_manager.installation import Installation

_context = multiprocessing.get_context("forkserver")
_SETTINGS = ("local_slots", "lease_s", "poll_s", "retry_delays_s", "log_limit_bytes")
_PDEATHSIG = 1


def configured(settings: Settings, **sections: Any) -> Path:
    """Write the configuration file of an installation, with more `sections`, and return it."""
    manager = {name: getattr(settings, name) for name in _SETTINGS}
    datasets = {
        name: {"crs": item.crs, "writers": list(item.writers)}
        for name, item in settings.datasets.items()
    }
    manager |= {
        "name": "k8s_manager.manager.KubernetesManager",
        "connection": settings.database_url,
        "output_dir": str(settings.workspace),
        "home": str(settings.home),
        "retry_delays_s": list(settings.retry_delays_s),
        "datasets": datasets,
    }
    settings.config.write_text(yaml.safe_dump({"server": {"manager": manager}, **sections}))
    return settings.config


@contextmanager
def controller(installation: Installation, faults: str = "") -> Iterator[BaseProcess]:
    """Give a controller with faults ordered; it is ended, and continued if it was stopped."""
    config = configured(installation.settings)
    process = _context.Process(target=carry_out, args=(config, faults))
    process.start()
    try:
        yield process
    finally:
        if process.is_alive() and process.pid is not None:
            process.terminate()
            os.kill(process.pid, signal.SIGCONT)
        process.join(60)
        if process.is_alive():
            process.kill()
            process.join()


@contextmanager
def command(
    installation: Installation, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Give ``cdi controller``, started from its command line with more in its environment."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("CDI_")}
    config = configured(installation.settings)
    arguments = ["-m", "ogcapi.cli", "controller", "--config", str(config)]
    with (installation.settings.home / "controller.log").open("ab") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", sys.executable, *arguments],
            env={**own, **(env or {})}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.send_signal(signal.SIGCONT)
        process.wait(60)


def carry_out(config: Path, faults: str) -> None:
    """Be a controller until ended, in this process."""
    from ogcapi import cli

    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    for name in [name for name in os.environ if name.startswith("CDI_")]:
        del os.environ[name]
    log = os.open(config.with_name("controller.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    fault_points.order(faults)
    cli.controller(config)


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until a condition holds; the machine may be busy with other things."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.03)


def until_settled(installation: Installation, jobs: Sequence[Job]) -> None:
    """Wait until jobs have ended and nothing is left to be done for them."""
    store = installation.store
    until(lambda: all(store.job(job.id, whole=False).finished_at_all for job in jobs))
    until(lambda: not open_rounds(installation))


def open_rounds(installation: Installation) -> list[str]:
    """Return the names of rounds of which something may be running."""
    with installation.store.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, open FROM rounds")
        return [row.name for row in rows if row.open]


def log_of(installation: Installation) -> str:
    """Return what the controllers of an installation have said."""
    return (installation.settings.home / "controller.log").read_text()


def stopped(pid: int | None) -> bool:
    """Tell whether a process is stopped."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()[0] == "T"
