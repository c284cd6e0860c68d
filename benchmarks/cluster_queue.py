"""What many waiting jobs cost: accepting them, holding them, looking at them, asking the cluster.

One job occupies the only pod that is allowed, so that all others stay where they are.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.request import urlopen

from cluster_place import Place, wait_until
from cluster_server import Served, resident_mb, served
from figures import OUT, Figure

CLIENTS = 8
"""Connections that submit jobs at once."""
WATCHED_S = 60.0
"""Seconds over which a controller with nothing new to do is watched."""
METRICS_PORT = 19_464


def queue(place: Place, jobs: int) -> list[Figure]:
    """Submit `jobs` twice while nothing can run; look at what that does to the controller."""
    limits = {"CDI_OPEN_JOBS_PER_OWNER": "0"}  # all jobs are one owner's
    with served(place, "queue", max_pods=1, env=_metrics() | limits) as server:
        occupier, _sent = server.execute("trivial", {"pause": 7000})
        wait_until(lambda: server.store.job(occupier).status == "running", "the first job runs")
        rate = _submit(server, jobs)
        OUT.print(f"  second thousand: {_submit(server, jobs):.0f} jobs a second")
        controller = server.controller()
        wait_until(lambda: _counters().looks > 0, "the controller has looked")
        time.sleep(10)
        before = _counters()
        time.sleep(WATCHED_S)
        after = _counters()
        memory, peak = resident_mb(controller)
        looks = after.looks - before.looks
        mean = (after.looking_s - before.looking_s) / looks
        calls = (after.calls - before.calls) * 60 / WATCHED_S
        records = 2 * jobs
        beside = f"mean of {looks:.0f} looks {1000 * mean:.1f} ms; of {after.looks:.0f} ever, "
        slow = after.looks - after.within_1s
        return [
            Figure(f"{jobs} queued jobs, accepted", rate, "jobs/s", 100, at_least=True,
                   beside=f"{CLIENTS} clients at once, each job committed durably"),
            Figure(f"controller memory with {records} unfinished jobs", peak, "MB", 150,
                   beside=f"highest ever; now {memory:.0f} MB"),
            Figure(f"reconcile rounds longer than 1 s with {records} records", slow, "rounds", 0,
                   beside=f"{beside}{slow:.0f} longer than 1 s"),
            Figure(f"API calls a minute while {records} jobs wait", calls, "calls",
                   beside="for all jobs together: watches that are renewed"),
        ]  # fmt: skip


def api_calls(place: Place, jobs: int) -> list[Figure]:
    """Run `jobs` jobs of one step at once, and count the calls that this takes."""
    with served(place, "calls", max_pods=4, env=_metrics()) as server:
        wait_until(lambda: _counters().looks > 0, "the controller has looked")
        before = _counters()
        begun = time.monotonic()
        ids = [server.execute("trivial", {})[0] for _ in range(jobs)]
        for job in ids:
            server.follow(job, 0.2)
        server.settle()
        minutes = (time.monotonic() - begun) / 60
        calls = _counters().calls - before.calls
        return [
            Figure("API calls of a whole job of one step", calls / jobs, "calls",
                   beside=f"{jobs} jobs in {minutes:.1f} minutes: create, delete, verify gone, "
                   "events while waiting"),
        ]  # fmt: skip


@dataclass(frozen=True)
class Counters:
    """What the controller tells a monitoring system."""

    looks: float
    looking_s: float
    within_1s: float
    calls: float


def _metrics() -> dict[str, str]:
    return {"CDI_METRICS_PORT": str(METRICS_PORT)}


def _counters() -> Counters:
    try:
        with urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:  # it has only just been started
        return Counters(0, 0, 0, 0)

    def total(pattern: str) -> float:
        return sum(float(value) for value in re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE))

    return Counters(
        looks=total("cdi_reconcile_seconds_count"),
        looking_s=total("cdi_reconcile_seconds_sum"),
        within_1s=total(r'cdi_reconcile_seconds_bucket\{le="1.0"\}'),
        calls=total(r"cdi_backend_calls_total\{.*\}"),
    )


def _submit(server: Served, jobs: int) -> float:
    """Submit jobs over a few connections at once; return how many were accepted a second."""
    shares = [len(range(number, jobs, CLIENTS)) for number in range(CLIENTS)]

    def submit(share: int) -> None:
        connection = server.connection()
        for _ in range(share):
            server.execute("trivial", {}, connection)

    begun = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(submit, shares))
    return jobs / (time.monotonic() - begun)
