"""Subscribers are called back: in time, again if need be, and without holding up anybody."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete

from k8s_manager import callback_delivery, schema
from k8s_manager.backends.local import LocalBackend
from k8s_manager.callbacks import Callback, callbacks_of
from k8s_manager.controller import Controller
from k8s_manager.controller_metrics import REGISTRY
from k8s_manager.errors import JobGone
from k8s_manager.outside_settings import OutsideSettings
from k8s_manager.records import Job, NewJob
from tests.k8s_manager.installation import Installation, process_of
from tests.loopback import Loopback, loopback

HERE = ("127.0.0.1",)
OUTSIDE = OutsideSettings(
    callback_hosts=HERE, http_hosts=HERE, private_hosts=HERE, callback_progress_s=0.3
)


DONE = "open('result.txt', 'w').write('done')"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback_delivery, "LOOK_S", 0.02)
    monkeypatch.setattr(callback_delivery, "FIRST_PAUSE_S", 0.05)


@pytest.fixture
def here(installation: Installation) -> Installation:
    return replace(installation, settings=replace(installation.settings, outside=OUTSIDE))


@pytest.fixture
def subscriber() -> Iterator[Loopback]:
    with loopback() as server:
        yield server


def message(event: str, job: Job) -> bytes:
    return json.dumps({"event": event, "job": job.id, "status": job.status}).encode()


def controller(here: Installation, **outside: Any) -> Controller:
    settings = replace(here.settings, outside=replace(here.settings.outside, **outside))
    return Controller(settings, here.store, LocalBackend(settings), message)


def submit(here: Installation, success: str, failed: str = "", code: str = DONE) -> Job:
    process = process_of("python")
    uris = {"successUri": success, "failedUri": failed}
    subscriber = {member: uri for member, uri in uris.items() if uri}
    request = {"values": {"code": code}, "subscriber": subscriber}
    return here.store.create_job(NewJob(process.id, process.version, process.to_json(), request))


def drive(at_work: Controller, until: Callable[[], object], seconds: float = 60.0) -> None:
    """Let a controller work until something holds."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it does not come to that"
        at_work.step()
        time.sleep(0.005)


def told(here: Installation, job: Job, event: str = "success") -> Callback:
    return {item.event: item for item in callbacks_of(here.store.database, job.id)}[event]


def settled(here: Installation, job: Job) -> Callable[[], bool]:
    return lambda: not any(item.open for item in callbacks_of(here.store.database, job.id))


def see_through(here: Installation, job: Job, **outside: Any) -> None:
    at_work = controller(here, **outside)
    try:
        drive(at_work, settled(here, job))
    finally:
        at_work.dispose()


def test_success_is_told_once_and_the_failure_never(
    here: Installation, subscriber: Loopback
) -> None:
    job = submit(here, f"{subscriber.url}/status/200/yes", failed=f"{subscriber.url}/status/200/no")
    see_through(here, job)
    [received] = subscriber.received
    assert (received.method, received.media_type) == ("POST", "application/json")
    assert json.loads(received.body) == {"event": "success", "job": job.id, "status": "successful"}
    success, failed = told(here, job), told(here, job, "failed")
    assert (success.tries, success.status, success.error) == (1, 200, None)
    assert success.delivered is not None
    assert (failed.tries, failed.delivered) == (0, None)


def test_a_message_that_cannot_be_made_holds_up_no_other(
    here: Installation, subscriber: Loopback
) -> None:
    uri = f"{subscriber.url}/status/200"
    bad = [submit(here, uri) for _ in range(5)]

    def some(event: str, job: Job) -> bytes:
        if job.id in {item.id for item in bad}:
            raise ValueError("a result that no document can hold")
        return message(event, job)

    good = submit(here, uri)
    at_work = Controller(here.settings, here.store, LocalBackend(here.settings), some)
    try:
        drive(at_work, settled(here, good))
        drive(at_work, lambda: all(settled(here, item)() for item in bad))
    finally:
        at_work.dispose()
    assert told(here, good).delivered is not None
    assert [json.loads(item.body)["job"] for item in subscriber.received] == [good.id]
    assert {told(here, item).error for item in bad} == {"the message cannot be made"}


@pytest.mark.parametrize("end", ["failed", "dismissed"])
def test_failure_and_dismissal_are_told_to_the_same_address(
    here: Installation, subscriber: Loopback, end: str
) -> None:
    code = "raise SystemExit(65)" if end == "failed" else "import time; time.sleep(200)"
    uri = f"{subscriber.url}/status/204"
    job = submit(here, f"{subscriber.url}/status/200", failed=uri, code=code)
    if end == "dismissed":
        here.store.request_dismiss(job.id)
    see_through(here, job)
    [received] = subscriber.received
    assert json.loads(received.body) == {"event": "failed", "job": job.id, "status": end}


def test_progress_is_told_at_a_bounded_rate_and_before_the_end(
    here: Installation, subscriber: Loopback
) -> None:
    process = process_of("chain")
    uris = {"successUri": "/status/200/end", "inProgressUri": "/status/200/on"}
    request = {
        "values": {"count": 6, "code": "import time; time.sleep(0.5)"},
        "subscriber": {member: subscriber.url + path for member, path in uris.items()},
    }
    job = here.store.create_job(NewJob(process.id, process.version, process.to_json(), request))
    see_through(here, job)
    times = [item.at for item in subscriber.on("/status/200/on")]
    assert len(times) >= 2
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert min(pauses) > OUTSIDE.callback_progress_s * 0.9
    assert subscriber.paths()[-1] == "/status/200/end"
    assert told(here, job, "inProgress").tries == len(times)


def test_what_is_not_taken_is_sent_again(here: Installation, subscriber: Loopback) -> None:
    job = submit(here, f"{subscriber.url}/status/500,503,429,200")
    see_through(here, job)
    assert len(subscriber.received) == 4
    pauses = [later.at - earlier.at for earlier, later in pairwise(subscriber.received)]
    assert pauses[1] >= 0.1  # twice the first pause...
    assert pauses[2] >= 0.2  # ...and twice that
    success = told(here, job)
    assert (success.tries, success.status, success.error) == (4, 200, None)


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/status/404", 404, "answers 404"),
        ("/status/410", 410, "answers 410"),
        ("/redirect?to=/status/200", 302, "redirects are not followed"),
    ],
)
def test_a_no_is_final(
    here: Installation, subscriber: Loopback, path: str, status: int, error: str
) -> None:
    job = submit(here, subscriber.url + path)
    see_through(here, job)
    assert subscriber.paths() == [path]
    success = told(here, job)
    assert (success.tries, success.status, success.delivered) == (1, status, None)
    assert error in str(success.error)


def test_trying_again_ends(here: Installation, subscriber: Loopback) -> None:
    job = submit(here, f"{subscriber.url}/status/500")
    labels = {"event": "success", "outcome": "given-up"}
    before = REGISTRY.get_sample_value("cdi_callbacks_total", labels) or 0
    see_through(here, job, callback_retry_s=3.0)
    success = told(here, job)
    assert success.tries == len(subscriber.received) >= 2
    assert (success.error, success.next_try) == ("answers 500", None)
    assert REGISTRY.get_sample_value("cdi_callbacks_total", labels) == before + 1


def test_an_answer_without_end_counts_by_its_status(
    here: Installation, subscriber: Loopback
) -> None:
    job = submit(here, f"{subscriber.url}/endless")
    see_through(here, job)
    assert told(here, job).status == 200


def test_a_subscriber_that_does_not_answer_is_left_after_a_while(
    here: Installation, subscriber: Loopback
) -> None:
    job = submit(here, f"{subscriber.url}/drip")
    see_through(here, job, callback_wait_s=2.0, callback_retry_s=0.0)
    success = told(here, job)
    assert (success.tries, success.status) == (1, None)
    assert "takes too long" in str(success.error)


def test_a_slow_subscriber_holds_up_neither_jobs_nor_other_subscribers(
    here: Installation, subscriber: Loopback
) -> None:
    slow = [submit(here, f"{subscriber.url}/slow") for _ in range(4)]
    at_work = controller(here, callback_wait_s=60.0)
    try:
        drive(at_work, lambda: len(subscriber.received) == callback_delivery.PER_HOST)
        with loopback() as second:
            job = submit(here, f"{second.url}/status/200")
            drive(at_work, settled(here, job))
        assert told(here, job).delivered is not None
        assert all(told(here, item).open for item in slow)
        subscriber.release.set()
        drive(at_work, lambda: all(settled(here, item)() for item in slow))
    finally:
        at_work.dispose()


def test_another_controller_goes_on_where_one_has_stopped(
    here: Installation, subscriber: Loopback
) -> None:
    job = submit(here, f"{subscriber.url}/status/503,200")
    first = controller(here)
    try:
        drive(first, lambda: told(here, job).tries == 1)
    finally:
        first.dispose()
    see_through(here, job)
    assert told(here, job).tries == len(subscriber.received) == 2


def test_a_job_that_ended_while_nobody_could_tell_is_told_later(
    here: Installation, subscriber: Loopback
) -> None:
    job = submit(here, f"{subscriber.url}/status/200")
    here.finish(job)  # by a controller that makes no messages
    assert told(here, job).open
    see_through(here, job)
    assert told(here, job).delivered is not None


def test_who_waits_for_a_job_waits_for_its_first_callback(
    here: Installation, subscriber: Loopback
) -> None:
    job = submit(here, f"{subscriber.url}/status/200")
    at_work = controller(here)
    try:
        at_work.run_until(job.id)
    finally:
        at_work.dispose()
    assert told(here, job).delivered is not None


def test_a_host_that_is_no_longer_allowed_is_not_called(
    here: Installation, subscriber: Loopback
) -> None:
    job = submit(here, f"{subscriber.url}/status/200")
    see_through(here, job, callback_hosts=("example.org",))
    assert subscriber.received == []
    assert "expected an address at example.org" in str(told(here, job).error)


def test_results_that_are_gone_are_not_told(here: Installation, subscriber: Loopback) -> None:
    def gone(_event: str, job: Job) -> bytes:
        raise JobGone(f"the results of {job.id} were removed")

    job = submit(here, f"{subscriber.url}/status/200")
    at_work = Controller(here.settings, here.store, LocalBackend(here.settings), gone)
    try:
        drive(at_work, settled(here, job))
    finally:
        at_work.dispose()
    assert subscriber.received == []
    assert "were removed" in str(told(here, job).error)


@pytest.mark.every_store
def test_a_job_takes_its_callbacks_along(here: Installation) -> None:
    job = submit(here, "https://127.0.0.1/a", failed="https://127.0.0.1/b")
    found = callbacks_of(here.store.database, job.id)
    assert [(item.event, item.uri, item.open, item.tries) for item in found] == [
        ("failed", "https://127.0.0.1/b", True, 0),
        ("success", "https://127.0.0.1/a", True, 0),
    ]
    with here.store.database.write() as connection:
        connection.execute(delete(schema.jobs).where(schema.jobs.c.id == job.id))
    assert callbacks_of(here.store.database, job.id) == []
