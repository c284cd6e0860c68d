"""Clients of an OGC API - Processes server that note how long each answer takes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection

from http_servers import Peer

from k8s_manager.records import FINAL

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}
POLL_S = 0.5


def timed(
    connection: HTTPConnection, method: str, path: str, body: str | None, headers: dict[str, str]
) -> tuple[float, bytes, str]:
    """Ask; return seconds, body and Location.

    Raises:
        RuntimeError: The answer is no success.
    """
    started = time.perf_counter()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    seconds = time.perf_counter() - started
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path} was answered {answer.status}: {content[:500]!r}")
    return seconds, content, answer.headers.get("Location", "")


def job_of(peer: Peer, connection: HTTPConnection, text: str) -> tuple[str, float]:
    """Execute asynchronously; return the path of the job and the seconds until the answer."""
    seconds, _, location = timed(connection, *peer.execution(text))
    return "/jobs/" + location.partition("?")[0].rpartition("/")[2], seconds


def finished(connection: HTTPConnection, job: str) -> str:
    """Wait for the end of a job; return its status."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        document = json.loads(timed(connection, "GET", job, None, JSON)[1])
        if document["status"] in FINAL:
            return str(document["status"])
        time.sleep(POLL_S)
    raise RuntimeError(f"{job} has not ended")


def throughput(peer: Peer, job: str, clients: int, seconds: float) -> float:
    """Return the status requests answered per second, each client asking without a pause."""
    end = time.monotonic() + seconds
    counts = [0] * clients

    def ask(number: int) -> None:
        connection = peer.connection()
        while time.monotonic() < end:
            timed(connection, "GET", job, None, JSON)
            counts[number] += 1
        connection.close()

    started = time.monotonic()
    _together(threading.Thread(target=ask, args=(number,)) for number in range(clients))
    return sum(counts) / (time.monotonic() - started)


@dataclass
class Crowd:
    """What many clients saw that execute and poll at the same time."""

    statuses: list[float] = field(default_factory=list)
    """Seconds of each status request."""
    posts: list[float] = field(default_factory=list)
    """Seconds of each execute request."""
    ended: int = 0
    """Jobs followed to their end."""
    problems: list[str] = field(default_factory=list)


def crowd(peer: Peer, clients: int, seconds: float) -> Crowd:
    """Let clients execute, poll and compare the results with what they sent, again and again."""
    seen = Crowd()
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        connection = peer.connection()
        turn = 0
        try:
            while time.monotonic() < end:
                turn += 1
                _cycle(peer, connection, f"client {number} turn {turn}", seen, end)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            seen.problems.append(f"client {number}: {error!r}")
        finally:
            connection.close()

    _together(threading.Thread(target=work, args=(number,)) for number in range(clients))
    return seen


def _cycle(peer: Peer, connection: HTTPConnection, text: str, seen: Crowd, end: float) -> None:
    job, taken = job_of(peer, connection, text)
    seen.posts.append(taken)
    while time.monotonic() < end:
        taken, content, _ = timed(connection, "GET", job, None, JSON)
        seen.statuses.append(taken)
        document = json.loads(content)
        if document["processID"] != peer.process or not job.endswith(document["jobID"]):
            seen.problems.append(f"{job} was answered with {document}")
        if document["status"] in FINAL:
            seen.ended += 1
            results = timed(connection, "GET", f"{job}/results", None, JSON)[1]
            if text.encode() not in results:
                seen.problems.append(f"{job}: expected {text!r} in {results[:300]!r}")
            return
        time.sleep(POLL_S)


def _together(threads: Iterator[threading.Thread]) -> None:
    started = list(threads)
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
