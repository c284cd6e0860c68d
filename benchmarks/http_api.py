"""How quickly the API answers, with stock pygeoapi beside it in the same run.

    python benchmarks/http_api.py                      # everything, about three minutes
    python benchmarks/http_api.py --seconds 10         # a shorter crowd

Both servers run on loopback with one worker of as many threads (gunicorn); requests go in turn to
one and the other, and for the rate to a bare Flask application as well, which is the floor of both.
The crowd, which executes and polls, meets ours alone with its default of two
workers, while jobs run on the same machine. Nothing else should run meanwhile. The exit code is 1
when a demand is not met.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

from figures import OUT, Figure, percentile, show, spread, write
from http_clients import HTML, JSON, Crowd, crowd, finished, job_of, throughput, timed
from http_servers import Peer, bare_flask, ours, stock
from machine import machine

WORKERS = 2
ASKING = 8
"""Clients that ask for a status without a pause, for the rates."""
TURN = 20
"""Requests to one server before the other has its turn; also jobs of each before that."""
MANY = 1000
"""Jobs in each store for the second comparison of rates: a few weeks' work."""


def main() -> int:
    """Measure and print; return the exit code."""
    options = _parser().parse_args()
    before = machine()
    OUT.print(before)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        for part in ("ours", "stock", "flask", "crowd"):
            (folder / part).mkdir()
        peers = (
            stack.enter_context(ours(folder / "ours", 1)),
            stack.enter_context(stock(folder / "stock")),
        )
        floor = stack.enter_context(bare_flask(folder / "flask"))
        figures = [*_answers(peers, options.requests), _rate(peers, floor, options, TURN)]
        for peer in peers:
            peer.more_jobs(MANY - TURN)
        figures.append(_rate(peers, floor, options, MANY))
        stack.close()
        with ours(folder / "crowd", WORKERS) as server:
            figures += _crowd(crowd(server, options.clients, options.seconds), options.clients)
    show(figures)
    if options.json:
        write(figures, before, options.json)
    return int(any(item.met is False for item in figures))


def _answers(peers: tuple[Peer, Peer], requests: int) -> list[Figure]:
    """Time lists, descriptions, status documents, their pages, and executions."""
    connections = [peer.connection() for peer in peers]
    jobs, posts = [], []
    for peer, connection in zip(peers, connections, strict=True):
        taken = []
        for number in range(TURN):
            job, seconds = job_of(peer, connection, f"text {number}")
            taken.append(seconds)
            if finished(connection, job) != "successful":
                raise RuntimeError(f"{peer.name}: {job} failed")
        jobs.append(job)
        posts.append(taken)
    figures = []
    for kind, headers, query, aim in (("JSON", JSON, "json", 5), ("HTML", HTML, "html", 15)):
        for label in ("/processes", "/processes/{id}", "/jobs/{id}"):
            paths = []
            for peer, job in zip(peers, jobs, strict=True):
                path = label if label.startswith("/processes") else job
                paths.append(path.replace("{id}", peer.process) + f"?f={query}")
            measured = _in_turn(connections, paths, headers, requests)
            figures.append(_figure(f"GET {label}, {kind}", measured, aim))
    figures.append(_figure("POST execution, asynchronous", posts, 10))
    return figures


def _in_turn(
    connections: list[HTTPConnection], paths: list[str], headers: dict[str, str], requests: int
) -> list[list[float]]:
    measured: list[list[float]] = [[], []]
    for _ in range(max(1, requests // TURN)):
        for connection, path, values in zip(connections, paths, measured, strict=True):
            timed(connection, "GET", path, None, headers)  # warms up
            values += [timed(connection, "GET", path, None, headers)[0] for _ in range(TURN)]
    return measured


def _figure(name: str, measured: list[list[float]], aim: float) -> Figure:
    milliseconds = [[1000 * value for value in values] for values in measured]
    middle = statistics.median(milliseconds[0])
    return Figure(
        name, middle, "ms", aim, beside=spread(milliseconds[1], "ms"), values=milliseconds[0]
    )


def _rate(
    peers: tuple[Peer, Peer], floor: Peer, options: argparse.Namespace, recorded: int
) -> Figure:
    """Compare the status requests per second, in turn and twice, with so many jobs recorded."""
    rates: list[list[float]] = [[], [], []]
    jobs = []
    for peer in peers:
        connection = peer.connection()
        job, _ = job_of(peer, connection, "text")
        finished(connection, job)
        jobs.append(job)
        connection.close()
    for _ in range(2):
        for peer, job, values in zip((*peers, floor), (*jobs, "/"), rates, strict=True):
            values.append(throughput(peer, job, ASKING, options.rate_seconds))
    mine, other, bare = (statistics.mean(values) for values in rates)
    beside = (
        f"{mine:.0f} per s against {other:.0f} per s with {ASKING} clients; "
        f"bare Flask {bare:.0f} per s"
    )
    name = f"status requests, {recorded} jobs recorded, times stock"
    return Figure(name, mine / other, "x", 3, at_least=True, beside=beside)


def _crowd(seen: Crowd, clients: int) -> list[Figure]:
    for problem in seen.problems[:10]:
        OUT.print(problem)
    statuses = [1000 * value for value in seen.statuses]
    posts = [1000 * value for value in seen.posts]
    name = f"{clients} clients"
    return [
        Figure(f"{name}: wrong or failed", len(seen.problems), "answers", 0),
        Figure(
            f"{name}: p99 of status", percentile(statuses, 0.99), "ms", 50,
            beside=spread(statuses, "ms"), values=statuses,
        ),
        Figure(
            f"{name}: p99 of POST", percentile(posts, 0.99), "ms",
            beside=f"{spread(posts, 'ms')}; {seen.ended} jobs ended", values=posts,
        ),
    ]  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=200, help="of each kind to each server")
    parser.add_argument("--rate-seconds", type=float, default=5, help="of each rate, twice")
    parser.add_argument("--clients", type=int, default=50, help="of the crowd")
    parser.add_argument("--seconds", type=float, default=60, help="that the crowd stays")
    parser.add_argument("--json", type=Path, help="write all values to this file")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
