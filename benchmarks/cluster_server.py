"""The real thing to measure: `cdi serve` on loopback, running the benchmark's processes in Jobs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import yaml
from cluster_place import MAX_PODS, Place, wait_until

from k8s_manager.store import Store

ROOT = Path(__file__).parent.parent
START_S = 180.0
"""Seconds for a server to answer on a busy machine."""
FINAL = ("successful", "failed", "dismissed")


@dataclass
class Served:
    """A running server, its store and its workspace."""

    host: str
    port: int
    home: Path
    store: Store
    process: subprocess.Popen[bytes]
    place: Place

    @property
    def workspace(self) -> Path:
        """Return the folder of all jobs."""
        return self.home / "workspace"

    def connection(self) -> HTTPConnection:
        """Return a connection of its own."""
        return HTTPConnection(self.host, self.port, timeout=60)

    def execute(
        self, process: str, inputs: Mapping[str, Any], connection: HTTPConnection | None = None
    ) -> tuple[str, float]:
        """Execute a process; return the job's id and when the request was sent (Unix seconds)."""
        body = json.dumps({"inputs": dict(inputs)})
        headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
        used = connection or self.connection()
        sent = time.time()
        used.request("POST", f"/processes/{process}/execution", body, headers)
        answer = used.getresponse()
        document = json.loads(answer.read())
        if answer.status != 201:
            raise RuntimeError(f"POST {process} was answered {answer.status}: {document}")
        return document["jobID"], sent

    def follow(self, job: str, pause_s: float) -> float:
        """Poll a job until it is shown as ended; return when that was (Unix seconds).

        Raises:
            RuntimeError: It did not succeed.
        """
        connection = self.connection()
        until = time.monotonic() + 1800
        while time.monotonic() < until:
            connection.request("GET", f"/jobs/{job}")
            document = json.loads(connection.getresponse().read())
            if document["status"] in FINAL:
                if document["status"] != "successful":
                    raise RuntimeError(f"job {job}: {document}")
                return time.time()
            time.sleep(pause_s)
        raise RuntimeError(f"job {job} has not ended: {document}")

    def times_files(self, job: str) -> list[Path]:
        """Return what the steps of a job wrote, in the order of their attempts."""
        location = "workspace:"
        attempts = self.store.attempts(job)
        return [
            self.workspace / attempt.folder.removeprefix(location) / "outputs" / "times.json"
            for attempt in attempts
            if attempt.verdict == "commit"
        ]

    def controller(self) -> int:
        """Return the process id of the controller."""
        found = [
            pid for pid, name in children(self.process.pid).items() if name == "cdi-controller"
        ]
        if len(found) != 1:
            raise RuntimeError(f"expected one controller, found {found}")
        return found[0]

    def settle(self) -> None:
        """Wait until nothing is left in the cluster."""
        wait_until(self.place.empty, "no Job and no pod left")


@contextmanager
def served(
    place: Place,
    name: str,
    *,
    database_url: str = "",
    max_pods: int = MAX_PODS,
    controller: bool = True,
    env: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Serve the benchmark's processes from the folder `name` of the place."""
    home = place.folder / name
    home.mkdir(exist_ok=True)
    home.chmod(0o755)
    url = database_url or f"sqlite:///{home / 'cdi.db'}"
    environment = {**_environment(place, name, max_pods), "CDI_DATABASE_URL": url, **(env or {})}
    log = home / "serve.log"
    command = [sys.executable, "-m", "ogcapi.cli", "serve"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command if controller else [*command, "--no-controller"],
            env=environment, stdout=stream, stderr=stream,
        )  # fmt: skip
    store = Store(url)
    try:
        address = _address(process, log)
        yield Served(str(address.hostname), int(address.port or 0), home, store, process, place)
    finally:
        store.close()
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def children(pid: int) -> dict[int, str]:
    """Return the descendants of a process with their names."""
    found = psutil.Process(pid).children(recursive=True)
    return {child.pid: child.name() for child in found}


def resident_mb(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process and its highest ever, in MB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    now, peak = (re.search(rf"{name}:\s+(\d+) kB", text) for name in ("VmRSS", "VmHWM"))
    if now is None or peak is None:
        raise RuntimeError(f"process {pid} has ended")
    return int(now[1]) * 1024 / 1e6, int(peak[1]) * 1024 / 1e6


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _environment(place: Place, name: str, max_pods: int) -> dict[str, str]:
    home = place.folder / name
    settings = place.settings(name, max_pods)
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("CDI_")},
        "CDI_HOME": str(home),
        "CDI_WORKSPACE": str(home / "workspace"),
        "CDI_CONFIG": str(_config(home)),
        "CDI_BACKEND": "kubernetes",
        "CDI_PORT": str(20_000 + os.getpid() % 20_000),
        "CDI_KUBERNETES_NAMESPACE": settings.namespace,
        "CDI_KUBERNETES_INSTALLATION": settings.installation,
        "CDI_KUBERNETES_CLAIM": settings.claim,
        "CDI_KUBERNETES_CLAIM_PATH": settings.claim_path,
        "CDI_KUBERNETES_IMAGES": ",".join(f"{key}={ref}" for key, ref in settings.images.items()),
        "CDI_KUBERNETES_MAX_PODS": str(max_pods),
        "PYTHONUNBUFFERED": "1",
    }


def _config(home: Path) -> Path:
    """Write a configuration that serves the benchmark's processes."""
    config = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    folder = Path(__file__).parent / "cwl"
    config["resources"] = {
        name: {
            "type": "process",
            "processor": {
                "name": "k8s_manager.processor.CwlProcessor",
                "cwl": str(folder / f"{name}.cwl"),
            },
        }
        for name in ("trivial", "chain", "scatter")
    }
    path = home / "pygeoapi-config.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def _address(process: subprocess.Popen[bytes], log: Path) -> Any:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"Serving on (http://\S+)", log.read_text(errors="replace"))
        if found:
            address = urlsplit(found[1])
            connection = HTTPConnection(str(address.hostname), address.port, timeout=5)
            try:
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return address
            except OSError:
                pass
        time.sleep(0.1)
    raise RuntimeError("the server does not answer:\n" + log.read_text(errors="replace"))
