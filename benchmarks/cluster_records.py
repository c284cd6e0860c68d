"""What a long history costs the service: status requests, and memory of the web workers."""

from __future__ import annotations

import random
import statistics
import time

import uuid_utils
from cluster_place import Place, process
from cluster_server import Served, children, resident_mb, served
from figures import Figure, percentile, spread
from sqlalchemy import insert

from k8s_manager import schema

REQUESTS = 400
SEED = 1
BATCH = 2_000
PAGES = (
    *("/", "/processes", "/processes/trivial", "/jobs", "/jobs?limit=1000", "/collections"),
    *("/openapi", "/openapi?f=html", "/conformance"),
)


def records(place: Place, count: int) -> list[Figure]:
    """Ask for jobs of a store that holds `count` of them; nothing runs meanwhile."""
    with served(place, "records", controller=False) as server:
        ids = _fill(server, count)
        chosen = random.Random(SEED).choices(ids, k=REQUESTS)  # noqa: S311
        in_ms = [1000 * _timed(server, f"/jobs/{job}") for job in chosen]
        for page in PAGES:
            _timed(server, page)
            _timed(server, page)
        workers = [
            resident_mb(pid)[1]
            for pid, name in children(server.process.pid).items()
            if name == "cdi-web"
        ]
        return [
            Figure(f"status request with {count} job records, median",
                   statistics.median(in_ms), "ms", 10, beside=spread(in_ms, "ms"), values=in_ms),
            Figure("the same, 95th percentile", percentile(in_ms, 0.95), "ms", 10),
            Figure("memory of the largest web worker", max(workers), "MB", 200,
                   beside=f"highest ever, after {len(PAGES)} kinds of pages, two workers"),
        ]  # fmt: skip


def _fill(server: Served, count: int) -> list[str]:
    """Write finished jobs, as if they had run."""
    tool = process("trivial")
    described = tool.to_json()
    ids = []
    now = time.time()
    for first in range(0, count, BATCH):
        rows = [
            {
                "id": uuid_utils.uuid7().hex, "process_id": tool.id, "process_version": "1",
                "process": described, "request": {"values": {"pause": 0.0}}, "owner": "local",
                "status": "successful", "outcome": "successful", "created": now, "updated": now,
                "started": now, "finished": now, "progress": 100, "message": "done: 1 step",
                "results": {}, "dismiss_requested": False, "files_removed": False,
            }
            for _ in range(min(BATCH, count - first))
        ]  # fmt: skip
        with server.store.database.write() as connection:
            connection.execute(insert(schema.jobs), rows)
        ids += [str(row["id"]) for row in rows]
    return ids


def _timed(server: Served, path: str) -> float:
    """Return the seconds that a request takes, on a connection of its own."""
    connection = server.connection()
    begun = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    taken = time.perf_counter() - begun
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"GET {path} was answered {answer.status}")
    return taken
