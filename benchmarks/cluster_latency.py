"""How long things take that have nothing to do but start: first line, chain, end shown, scatter.

Ours and the raw baseline take turns, so that both meet the same load of the machine; between two
measurements the cluster is empty again.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster_place import times
from cluster_server import Served, cpu_s
from figures import OUT, Figure, percentile, spread
from raw_jobs import COMPLETE, TERMINATED, RawClient
from sqlalchemy import select

from k8s_manager import schema

POLL_S = 0.01
"""Seconds between a user's questions for the status, where it matters when the end is shown."""
STEPS = 3
MANY = 50
"""Indexes beyond which the node's pods a minute are what is measured: no warming up then."""


def first_line(served: Served, raw: RawClient, pairs: int) -> list[Figure]:
    """From the request to the stage's first line, ours minus raw, pair by pair."""
    ours: list[float] = []
    theirs: list[float] = []
    parts: dict[str, list[float]] = defaultdict(list)

    def our_turn() -> None:
        job, sent = served.execute("trivial", {})
        served.follow(job, 0.2)
        (file,) = served.times_files(job)
        ours.append(times(file)[0] - sent)
        for name, seconds in _parts(served, job, sent, file):
            parts[name].append(seconds)
        served.settle()

    def raw_turn() -> None:
        made = raw.create()
        theirs.append(made.begun()[0] - made.created)
        raw.remove(made)

    _alternate(pairs, our_turn, raw_turn, warm_up=[ours, theirs])
    more = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    beside = f"ours {spread(ours)}; raw {spread(theirs)}"
    for name, values in parts.items():
        OUT.print(f"  {name}: {spread(values[-pairs:])}")
    return [
        Figure("POST to first line, more than raw, median", statistics.median(more), "s", 0.1,
               beside=beside, values=more),
        Figure("the same, 95th percentile", percentile(more, 0.95), "s", 0.3, beside=beside),
    ]  # fmt: skip


def chain(served: Served, raw: RawClient, rounds: int) -> list[Figure]:
    """From the end of a step's process to the next step's first line, and to success shown."""
    ours: list[float] = []
    shown: list[float] = []
    gaps: dict[str, list[float]] = {COMPLETE: [], TERMINATED: []}
    ends: dict[str, list[float]] = {COMPLETE: [], TERMINATED: []}

    def our_turn() -> None:
        job, _sent = served.execute("chain", {})
        seen = served.follow(job, POLL_S)
        steps = [times(file) for file in served.times_files(job)]
        ours.extend(_gaps(steps))
        shown.append(seen - steps[-1][1])
        served.settle()

    def raw_turn(sign: str) -> Callable[[], None]:
        def turn() -> None:
            jobs = raw.chain(STEPS, sign)
            steps = [(job.begun()[0], job.ended()[0]) for job in jobs]
            gaps[sign].extend(_gaps(steps))
            raw.remove(*jobs)

        return turn

    def raw_end() -> None:
        for sign in (COMPLETE, TERMINATED):
            made = raw.create()
            seen = raw.wait(made, sign)
            ends[sign].append(seen - made.ended()[0])
            raw.remove(made)

    turns = [our_turn, raw_turn(COMPLETE), raw_turn(TERMINATED), raw_end]
    _alternate(rounds, *turns, warm_up=[ours, shown, *gaps.values(), *ends.values()])
    named = "; ".join(f"raw, next on {sign}: {spread(gaps[sign])}" for sign in gaps)
    seen_raw = "; ".join(f"raw {sign} seen: {spread(ends[sign])}" for sign in ends)
    return [
        Figure("end of a step to the next one's first line, median", statistics.median(ours), "s",
               0.8, beside=f"ours {spread(ours)}; {named}", values=ours),
        Figure("end of the last step to success shown, median", statistics.median(shown), "s", 0.3,
               beside=f"ours {spread(shown)}; {seen_raw}", values=shown),
    ]  # fmt: skip


def scatter(served: Served, raw: RawClient, pairs: int, indexes: int) -> list[Figure]:
    """From the request to the first line of the last of some indexes, ours minus raw."""
    ours: list[float] = []
    theirs: list[float] = []
    cpu: list[float] = []
    controller = served.controller()

    def our_turn() -> None:
        before = cpu_s(controller)
        job, sent = served.execute("scatter", {"indexes": list(range(indexes))})
        served.follow(job, 0.2)
        cpu.append(1000 * (cpu_s(controller) - before) / indexes)
        ours.append(max(times(file)[0] for file in served.times_files(job)) - sent)
        served.settle()

    def raw_turn() -> None:
        made = raw.create(indexes)
        theirs.append(max(made.begun()) - made.created)
        raw.remove(made)

    lists = [ours, theirs, cpu]
    _alternate(pairs, our_turn, raw_turn, warm_up=lists if indexes <= MANY else [])
    more = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    of_all = [1000 * seconds / indexes for seconds in more]
    return [
        Figure(f"scatter of {indexes}: last one started, later than raw, median",
               statistics.median(more), "s", 0.3 if indexes <= MANY else None,
               beside=f"ours {spread(ours)}; raw {spread(theirs)}", values=more),
        Figure(f"the same for each of {indexes} indexes", statistics.median(of_all), "ms",
               beside=f"of it the controller's own CPU: {spread(cpu, 'ms')}", values=of_all),
    ]  # fmt: skip


def _alternate(rounds: int, *turns: Callable[[], None], warm_up: list[list[float]]) -> None:
    """Take turns, every other round in reverse order.

    A first round does not count: what it appended to the lists `warm_up` is dropped. Without lists
    there is no such round.
    """
    for number in range(0 if warm_up else 1, rounds + 1):
        for turn in turns if number % 2 else reversed(turns):
            turn()
        if number == 0:
            for values in warm_up:
                values.clear()


def _gaps(steps: list[tuple[float, float]]) -> list[float]:
    return [after[0] - before[1] for before, after in itertools.pairwise(steps)]


def _parts(served: Served, job: str, sent: float, file: Path) -> Iterator[tuple[str, float]]:
    """Say where the time of a job of one step went until its first line."""
    created = datetime.fromisoformat(served.store.job(job).created).timestamp()
    query = select(schema.rounds.c.created).where(schema.rounds.c.job_id == job)
    with served.store.database.read() as connection:
        opened = float(connection.execute(query).scalar_one())
    document: Any = served.store.attempts(job)[0].document
    runner = datetime.fromisoformat(document["started"]).timestamp()
    yield "request sent to job recorded", created - sent
    yield "job recorded to round recorded", opened - created
    yield "round recorded to runner started (Kubernetes)", runner - opened
    yield "runner started to program's first line", times(file)[0] - runner
