"""Several who ask the job store at the same moment, in each database: one of them gets it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from k8s_manager import releases
from k8s_manager.errors import LeaseLost
from k8s_manager.lease import Lease
from k8s_manager.ledger import Judged, Ledger
from k8s_manager.records import NewJob
from k8s_manager.store import Store
from tests.k8s_manager.installation import Installation

pytestmark = pytest.mark.every_store

NEW = NewJob("detect", "0.1.0", {}, {"values": {}})
AT_ONCE = 4
TIMES = 8


@pytest.fixture
def stores(database_url: str) -> Iterator[list[Store]]:
    """Stores with connections of their own, as several processes have them."""
    made = [Store(database_url) for _ in range(AT_ONCE)]
    for store in made:
        store.counts()  # connected
    yield made
    for store in made:
        store.close()


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Make calls at the same moment and return what they return, or raise."""
    barrier = threading.Barrier(len(calls))

    def call(one: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return one()
        except LeaseLost as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def ledger_of(store: Store) -> Ledger:
    lease = Lease(store.database, 100.0)
    assert lease.acquire()
    return Ledger(store.database, lease)


def test_one_gets_the_lease(stores: list[Store]) -> None:
    for time in range(1, TIMES + 1):
        leases = [Lease(store.database, 100.0) for store in stores]
        got = at_once([lease.acquire for lease in leases])
        assert sorted(got) == [False] * (AT_ONCE - 1) + [True]
        winner = leases[got.index(True)]
        assert winner.epoch == time
        winner.release()


def test_an_ending_and_a_request_to_dismiss_agree(stores: list[Store]) -> None:
    first, second = stores[:2]
    ledger = ledger_of(first)
    for _ in range(TIMES):
        job = first.create_job(NEW)
        ended, asked = at_once(
            [
                lambda job=job: ledger.finish(job.id, "successful", "", {}),
                lambda job=job: second.request_dismiss(job.id),
            ]
        )
        assert ended == (first.job(job.id).outcome == "successful")
        assert ended != asked.dismiss_requested


def test_a_job_ends_once(stores: list[Store]) -> None:
    ledger = ledger_of(stores[0])
    for _ in range(TIMES):
        job = stores[0].create_job(NEW)
        outcomes = ["successful", "failed", "dismissed", "failed"]
        ended = at_once(
            [lambda job=job, outcome=outcome: ledger.finish(job.id, outcome, "", {})
             for outcome in outcomes]
        )  # fmt: skip
        assert ended.count(True) == 1
        assert stores[0].job(job.id).outcome == outcomes[ended.index(True)]


def test_a_lease_that_changes_hands_counts_before_or_after_a_write(stores: list[Store]) -> None:
    for _ in range(TIMES):
        job = stores[0].create_job(NEW)
        old = ledger_of(stores[0])
        with stores[0].database.write() as connection:
            connection.exec_driver_sql("UPDATE lease SET expires = 0")
        new = Lease(stores[1].database, 100.0)
        wrote, took = at_once(
            [lambda old=old, job=job: old.finish(job.id, "failed", "old"), new.acquire]
        )
        assert took
        assert isinstance(wrote, LeaseLost) != (stores[0].job(job.id).message == "old")
        with pytest.raises(LeaseLost):
            old.finish(job.id, "failed", "later")
        new.release()


def test_an_index_is_committed_once(stores: list[Store]) -> None:
    ledger = ledger_of(stores[0])
    job = stores[0].create_job(NEW)
    ledger.plan(job.id, {"s": True})
    document = {"outputs": {}}
    calls = [
        lambda n=n: ledger.decide(
            job.id, [Judged("s", 0, f"a{n}", 1, "commit", "workspace:x", document)]
        )
        for n in range(AT_ONCE)
    ]
    at_once(calls)
    verdicts = sorted(item.verdict for item in stores[0].attempts(job.id))
    assert verdicts == ["commit"] + ["superseded"] * (AT_ONCE - 1)
    assert len(ledger.committed_attempts(job.id)) == 1


def test_a_rollback_beside_a_release_supersedes_it_or_comes_after(
    installation: Installation, stores: list[Store]
) -> None:
    for name in "ab":
        installation.run("release", {"name": name})
    ledger = ledger_of(stores[0])
    newest = 2
    for number in range(TIMES):
        job = stores[0].create_job(NEW)
        folder = installation.workspace.step(job.id, "release") / "r1-x" / "outputs" / "release"
        folder.mkdir(parents=True)
        written = {"location": installation.workspace.location(folder)}
        entry = Judged(
            "release", 0, "r1-x", 1, "commit", "workspace:x", {"outputs": {"release": written}}
        )
        base = releases.current_version(stores[0].database, "demo")
        switched, _ = at_once(
            [
                lambda base=base, job=job, entry=entry: releases.publish(
                    ledger, installation.workspace, "demo", base, job.id, entry
                ),
                lambda number=number: stores[1].rollback("demo", f"00000{1 + number % 2}"),
            ]
        )
        found = stores[0].releases("demo")
        newest += switched
        assert found[0].version == f"{newest:06}"
        (verdict,) = [item.verdict for item in stores[0].attempts(job.id)]
        assert verdict == ("commit" if switched else "superseded")
        assert [item.version for item in found if item.current] != []
