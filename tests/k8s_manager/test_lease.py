"""Of several controllers one acts, and one that lost the right can change nothing."""

from __future__ import annotations

import logging
import time

import pytest

from k8s_manager import schema
from k8s_manager.errors import LeaseLost
from k8s_manager.lease import Lease, guard
from k8s_manager.ledger import Failure, Ledger
from tests.k8s_manager.installation import Installation

pytestmark = pytest.mark.every_store


def leases(installation: Installation, ttl_s: float) -> tuple[Lease, Lease]:
    database = installation.store.database
    return Lease(database, ttl_s), Lease(database, ttl_s)


def test_only_one_holds_it(installation: Installation) -> None:
    first, second = leases(installation, 10)
    assert first.acquire()
    assert first.certain()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    assert (first.epoch, second.epoch) == (None, 2)


def test_who_waits_says_for_whom_and_says_it_once(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = leases(installation, 10)
    with caplog.at_level(logging.INFO, logger="k8s_manager.lease"):
        first.acquire()
        second.acquire()
        second.acquire()
    assert caplog.messages == [
        "in control (epoch 1)",
        f"another controller is at work ({first.holder}); waiting until it ends",
    ]


def test_it_runs_out(installation: Installation) -> None:
    first, second = leases(installation, 0.2)
    assert first.acquire()
    time.sleep(0.25)
    assert not first.certain()
    assert second.acquire()
    with pytest.raises(LeaseLost):
        first.keep()


def test_keeping_it_renews_it(installation: Installation) -> None:
    first, second = leases(installation, 2.0)
    first.acquire()
    for _ in range(3):
        time.sleep(1.0)
        first.keep()
        assert not second.acquire()


def test_one_that_died_on_this_machine_is_followed_at_once(installation: Installation) -> None:
    first, second = leases(installation, 1000)
    dead = first.holder.split("/")
    dead[-2] = "1"  # a process that started one tick after the machine did
    first.holder = "/".join(dead)
    assert first.acquire()
    assert second.acquire()


def test_one_of_another_machine_is_waited_for(installation: Installation) -> None:
    first, second = leases(installation, 1000)
    first.holder = "elsewhere" + first.holder
    first.acquire()
    assert not second.acquire()


def test_a_stale_controller_can_write_nothing(installation: Installation) -> None:
    job = installation.submit("python", {"code": "pass"})
    first, second = leases(installation, 0.1)
    first.acquire()
    stale = Ledger(installation.store.database, first)
    time.sleep(0.15)
    second.acquire()
    writes = [
        lambda: stale.finish(job.id, "failed", "x"),
        lambda: stale.plan(job.id, {"s": False}),
        lambda: stale.report(job.id, "running", 5, "x", {}),
        lambda: stale.decide(job.id, (), failure=Failure({"title": "x"})),
        lambda: stale.end_step(job.id, "s", 1),
        lambda: stale.close_rounds(job.id, ["x"]),
        lambda: stale.files_removed(job.id),
    ]
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    assert installation.store.job(job.id) == job
    assert installation.store.steps(job.id) == []


def test_the_epoch_is_checked_in_the_transaction_itself(installation: Installation) -> None:
    first, _second = leases(installation, 10)
    first.acquire()

    def write_under_a_wrong_epoch() -> None:
        with installation.store.database.write() as connection:
            connection.execute(schema.counters.update().values(value=99))
            guard(connection, 7)

    with pytest.raises(LeaseLost):
        write_under_a_wrong_epoch()
    assert installation.store.generation() == 0


def test_a_job_ends_once(installation: Installation) -> None:
    job = installation.submit("python", {"code": "pass"})
    lease, _ = leases(installation, 10)
    lease.acquire()
    ledger = Ledger(installation.store.database, lease)
    assert ledger.finish(job.id, "failed", "failed: x: y")
    for outcome in ("successful", "dismissed", "failed"):
        assert not ledger.finish(job.id, outcome, "again")
    assert installation.store.job(job.id).message == "failed: x: y"


def test_a_job_that_shall_be_dismissed_cannot_succeed(installation: Installation) -> None:
    job = installation.submit("python", {"code": "pass"})
    lease, _ = leases(installation, 10)
    lease.acquire()
    ledger = Ledger(installation.store.database, lease)
    installation.store.request_dismiss(job.id)
    assert not ledger.finish(job.id, "successful", "", {})
    assert ledger.finish(job.id, "dismissed", "")
