"""How quickly the service starts, answers, and starts what it is asked for.

    python benchmarks/service.py            # all of it
    python benchmarks/service.py --pages    # only the pages

A server of its own, as `cdi serve` starts it, on an empty home that first gets one release (the
sample `rural`). Printed are medians, with the worst of the tries beside them:

- start: from the command to the first answer;
- GET of the lists and of pages (HTML), over one kept connection; for a page also the CPU time that
  all processes of the server took, which other work on the machine does not lengthen;
- from sending an execute request for the chain to the birth of its first stage's process.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from machine import machine
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
REQUEST = ROOT / "openapi" / "examples" / "orchard-monitoring.json"
CHAIN = "/processes/orchard-monitoring/execution"
FIRST_STAGE = "processes.ingest"
LISTS = ("/processes", "/jobs", "/collections")
PAGES = (
    *("/", "/processes", "/processes/orchard-monitoring", "/processes/assess", "/jobs"),
    *("/jobs/{job}", "/collections", "/collections/{objects}", "/collections/{objects}/items"),
    *("/openapi", "/no/such/page"),
)
HTML = {"Accept": "text/html"}
CDI = [sys.executable, "-m", "ogcapi.cli"]
OUT = Console(width=100)
FINAL = ("successful", "failed", "dismissed")


def main() -> int:
    """Run the benchmark; returns the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--times", type=int, default=5, help="starts, and executions")
    arguments.add_argument("--requests", type=int, default=100, help="of each list")
    arguments.add_argument("--pages", action="store_true", help="time nothing but pages")
    options = arguments.parse_args()
    OUT.print(machine())
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("CDI_")},
            "CDI_HOME": folder,
            "CDI_CONFIG": str(ROOT / "pygeoapi-config.yml"),
            "CDI_PORT": str(_free_port()),
        }
        sample = str(ROOT / "samples" / "rural" / "job.json")
        command = [*CDI, "run", "orchard-monitoring", "--inputs", sample]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        table = Table("Figure", "Median", "Worst", "Tries", "Aim", box=None)
        starts = []
        for _ in range(0 if options.pages else options.times - 1):
            with _serving(environment) as (_, _, seconds):
                starts.append(seconds)
        with _serving(environment) as (process, client, seconds):
            pages = _pages(process, client, options.requests)
            if not options.pages:
                _row(table, "server start to first answer", [*starts, seconds], "3 s", 1, "s")
                for path in LISTS:
                    taken = _gets(client, path, options.requests)
                    _row(table, f"GET {path}", taken, "20 ms", 1000, "ms")
                births = [_execute(process, client) for _ in range(options.times)]
                _row(table, "POST to first stage's process", births, "0.5 s", 1, "s")
        for path, (taken, cpu) in pages.items():
            _row(table, f"page {path} (CPU {1000 * cpu:.1f} ms)", taken, "15 ms", 1000, "ms")
        OUT.print(table)
    return 0


def _pages(
    server: subprocess.Popen[bytes], client: httpx.Client, requests: int
) -> dict[str, tuple[list[float], float]]:
    """Return by path the seconds that each request takes, and the mean CPU seconds of the server.

    The sample's job and one of its collections are among the pages.
    """
    job = client.get("/jobs").json()["jobs"][0]["jobID"]
    collections = [entry["id"] for entry in client.get("/collections").json()["collections"]]
    objects = next(name for name in collections if name.endswith("-objects"))
    paths = [path.format(job=job, objects=objects) for path in PAGES]
    found = {}
    for path in paths:
        _get(client, path, HTML)  # warms up
        before = _cpu(server)
        taken = _gets(client, path, requests, HTML)
        found[path] = (taken, (_cpu(server) - before) / (requests + 1))
    return found


def _cpu(server: subprocess.Popen[bytes]) -> float:
    """Return the CPU seconds that a server and what it started have taken until now."""
    root = psutil.Process(server.pid)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return sum(entry.user + entry.system for entry in times)


def _gets(
    client: httpx.Client, path: str, requests: int, headers: dict[str, str] | None = None
) -> list[float]:
    return [_get(client, path, headers) for _ in range(requests + 1)][1:]  # the first warms up


def _row(table: Table, name: str, taken: list[float], aim: str, factor: float, unit: str) -> None:
    middle, worst = factor * statistics.median(taken), factor * max(taken)
    table.add_row(name, f"{middle:.2f} {unit}", f"{worst:.2f} {unit}", str(len(taken)), aim)


@contextmanager
def _serving(
    environment: dict[str, str],
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client, float]]:
    """Start a server; gives it, a client of it, and the seconds until its first answer."""
    started = time.monotonic()
    process = subprocess.Popen([*CDI, "serve"], env=environment, stdout=subprocess.DEVNULL)
    client = httpx.Client(base_url=f"http://127.0.0.1:{environment['CDI_PORT']}", timeout=60)
    try:
        while not _answers(client):
            if process.poll() is not None or time.monotonic() > started + 120:
                raise SystemExit("the server does not answer")
            time.sleep(0.01)
        yield process, client, time.monotonic() - started
    finally:
        client.close()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _get(client: httpx.Client, path: str, headers: dict[str, str] | None = None) -> float:
    started = time.perf_counter()
    answer = client.get(path, headers=headers)
    taken = time.perf_counter() - started
    if answer.status_code != httpx.codes.NOT_FOUND:  # which is a page as well
        answer.raise_for_status()
    return taken


def _execute(server: subprocess.Popen[bytes], client: httpx.Client) -> float:
    """Execute the chain; returns the seconds from sending to the first stage's birth."""
    body = json.loads(REQUEST.read_text(encoding="utf-8"))
    sent = time.clock_gettime(time.CLOCK_BOOTTIME)
    answer = client.post(CHAIN, json=body, headers={"Prefer": "respond-async"})
    answer.raise_for_status()
    born = _first_stage(server.pid) - sent
    address = f"/jobs/{answer.json()['jobID']}"
    client.delete(address).raise_for_status()
    while client.get(address).json()["status"] not in FINAL:
        time.sleep(0.1)
    return born


def _first_stage(server: int) -> float:
    """Wait for the first stage's process among the server's; returns its birth, s since boot."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for process in psutil.Process(server).children(recursive=True):
            try:
                if FIRST_STAGE in process.cmdline():
                    return _born(process.pid)
            except (psutil.Error, OSError):  # it has ended meanwhile
                continue
        time.sleep(0.01)
    raise SystemExit("the first stage was not started within 60 s")


def _born(pid: int) -> float:
    """Return the start of a process in seconds since boot, to a clock tick (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    raise SystemExit(main())
