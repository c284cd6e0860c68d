"""A controller is woken by what others write to the store, not only by its clock."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from k8s_manager.database import Database
from k8s_manager.doorbell import Doorbell
from tests.k8s_manager.installation import Installation

LONG_S = 200.0


def test_every_commit_of_somebody_else_rings(installation: Installation) -> None:
    rung = threading.Event()
    installation.store.wake()
    bell = Doorbell(installation.store.database.file, rung.set)
    for count in (1, 2, 3):
        # The bell hears what comes after its first look, so the first commit may be before it.
        while not rung.wait(0.1):
            installation.submit("python", {"code": "pass"})
        assert installation.store.counts()["accepted"] >= count
        rung.clear()
    bell.close()


def test_a_job_that_comes_while_the_controller_sleeps_begins_at_once(
    installation: Installation,
) -> None:
    sleepy = replace(installation, settings=replace(installation.settings, poll_s=LONG_S))
    controller, stop = sleepy.controller(), threading.Event()
    loop = threading.Thread(target=controller.run, args=(stop,))
    loop.start()
    try:
        # The first jobs may come before the controller has gone to sleep; the last one does not.
        for _ in range(3):
            job = sleepy.submit("python", {"code": "open('result.txt', 'w').write('done')"})
            assert ended_within(sleepy, job.id, LONG_S / 4) == "successful"
    finally:
        stop.set()
        controller.wake()
        loop.join()
        controller.dispose()


def test_a_database_without_a_file_has_no_bell(installation: Installation) -> None:
    assert installation.store.database.file is not None
    assert Database("postgresql://cdi@localhost/cdi").file is None
    before = threading.active_count()
    bell = Doorbell(None, lambda: None)
    assert threading.active_count() <= before
    bell.close()


def test_a_database_that_cannot_be_opened_is_no_reason_to_stop(tmp_path: Path) -> None:
    bell = Doorbell(tmp_path / "not" / "there.db", lambda: None)
    for thread in threading.enumerate():
        if thread.name == "doorbell":
            thread.join(10)
            assert not thread.is_alive()
    bell.close()


def ended_within(installation: Installation, job_id: str, seconds: float) -> str | None:
    pause = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if outcome := installation.store.job(job_id).outcome:
            return outcome
        pause.wait(0.1)
    return None
