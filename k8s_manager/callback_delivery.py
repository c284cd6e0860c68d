"""Calling subscribers back, beside the controller's other work and as slowly as they answer.

A message is sent at least once: a controller that dies after its message was taken and before that
is written down leaves it to the next one, which sends it again. Of one job one message is under way
at a time, so they arrive in order; a host that does not answer holds up only its own.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from k8s_manager import controller_metrics, records
from k8s_manager.callbacks import IN_PROGRESS, Due, due, is_owed, note
from k8s_manager.errors import AddressRefused, CdiError, LeaseLost, NoAnswer, StoreError
from k8s_manager.ledger import Ledger
from k8s_manager.outgoing import Guard
from k8s_manager.outside_settings import OutsideSettings
from k8s_manager.records import Job, iso
from k8s_manager.store import Store

AT_ONCE = 4
"""Messages that may be under way..."""
PER_HOST = 2
"""...and to one host."""
LOOK_S = 0.5
"""Seconds between looks for what is due."""
PAUSE_S = 10.0
"""Seconds without a look after the store could not be used: no message is sent of which nobody
could write down that it was."""
FIRST_PAUSE_S = 1.0
"""Seconds between the first and the second try; every further pause is twice as long, up to..."""
LONGEST_PAUSE_S = 600.0
ANSWER_BYTES = 4096
"""What is read of an answer's body; nobody looks at it."""
_MOST = 1000
_LATER = (408, 425, 429)
"""Answers of the 4xx kind that say "not now" instead of "no"."""

log = logging.getLogger(__name__)

Message = Callable[[str, Job], bytes]
"""Makes the JSON document that tells an event of a job; raises `CdiError` if it cannot be made."""


@dataclass(frozen=True)
class Outcome:
    """What a try came to."""

    status: int | None
    error: str | None
    """None when the message was taken."""
    final: bool
    """Whether another try would come to the same."""


class Delivery:
    """The callbacks of an installation; `tend` is called again and again."""

    def __init__(
        self, settings: OutsideSettings, store: Store, ledger: Ledger, message: Message | None
    ) -> None:
        self._settings = settings
        self._store = store
        self._ledger = ledger
        self._message = message
        self._pool = ThreadPoolExecutor(AT_ONCE + 1, thread_name_prefix="callbacks")
        self._looking: Future[list[Due]] | None = None
        self._next_look = 0.0
        self._sending: dict[str, tuple[str, Future[None]]] = {}

    def tend(self) -> None:
        """Start what is due; returns at once."""
        if self._message is None:
            return
        if self._looking is not None:
            if not self._looking.done():
                return
            looked, self._looking = self._looking, None
            if self._notice(looked):
                self._start(looked.result())
        # Only now: what was under way while somebody looked may have looked due, and be done.
        for job_id, (_, sent) in list(self._sending.items()):
            if sent.done():
                del self._sending[job_id]
                self._notice(sent)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_S
            self._looking = self._pool.submit(self._look)

    def owes(self, job_id: str) -> bool:
        """Tell whether a job that has ended still waits for its first callback.

        Raises:
            StoreError: The database cannot be used now.
        """
        return self._message is not None and is_owed(self._store.database, job_id)

    def close(self) -> None:
        """Wait for what is under way; the rest is found by the next controller."""
        self._pool.shutdown(cancel_futures=True)

    def _look(self) -> list[Due]:
        """Return what has to be told; what never has to be is closed."""
        with self._store.database.read() as connection:
            found = due(connection, time.time(), _MOST)
        if unwanted := [item for item in found if not item.wanted]:
            with self._ledger.write() as connection:
                for item in unwanted:
                    note(connection, item, open=False)
        return [item for item in found if item.wanted]

    def _start(self, found: list[Due]) -> None:
        hosts = Counter(host for host, _ in self._sending.values())
        for item in found:
            host = urlsplit(item.uri).netloc
            if len(self._sending) == AT_ONCE:
                return
            if item.job not in self._sending and hosts[host] < PER_HOST:
                self._sending[item.job] = host, self._pool.submit(self._tell, item)
                hosts[host] += 1

    def _notice(self, done: Future[list[Due]] | Future[None]) -> bool:
        """Tell whether something succeeded; what went wrong is logged."""
        try:
            done.result()
        except LeaseLost:
            return False  # the controller notices by itself
        except StoreError as error:
            log.error("callbacks: %s; trying again", error)
        except Exception:
            log.exception("callbacks: a fault of the program")
        else:
            return True
        self._next_look = time.monotonic() + PAUSE_S
        return False

    def _tell(self, item: Due) -> None:
        """Send a message, and write down what became of it."""
        assert self._message is not None  # noqa: S101  asked before
        job = self._store.job(item.job)
        now = time.time()
        if item.event == IN_PROGRESS and (
            job.status != records.RUNNING
            or (item.last_try is not None and job.updated <= iso(item.last_try))
        ):
            self._write(item, next_try=now + self._settings.callback_progress_s)  # nothing new
            return
        try:
            body = self._message(item.event, job)
        except StoreError:
            raise  # it can be made later
        except Exception as error:
            if not isinstance(error, CdiError):
                log.exception("job %s: callback %s: a fault of the program", item.job, item.event)
            reason = str(error) if isinstance(error, CdiError) else "the message cannot be made"
            self._write(item, open=False, error=reason)
            controller_metrics.called_back(item.event, "given-up")
            return
        outcome = post(
            Guard.of_callbacks(self._settings), item.uri, body, self._settings.callback_wait_s
        )
        self._conclude(item, now, outcome)

    def _conclude(self, item: Due, began: float, outcome: Outcome) -> None:
        now, first = time.time(), item.first_try or began
        values = {
            "tries": item.tries + 1, "status": outcome.status, "error": outcome.error,
            "first_try": first, "last_try": began,
        }  # fmt: skip
        progress_s = self._settings.callback_progress_s if item.event == IN_PROGRESS else 0.0
        if outcome.error is None:
            goes_on, pause = item.event == IN_PROGRESS, progress_s
            values |= {"delivered": now, "failures": 0}
        else:
            pause = min(FIRST_PAUSE_S * 2.0 ** min(item.failures, 30), LONGEST_PAUSE_S)
            pause = max(pause, progress_s)
            in_time = now + pause <= first + self._settings.callback_retry_s
            goes_on = not outcome.final and (in_time or item.event == IN_PROGRESS)
            values["failures"] = item.failures + 1
        self._write(item, **values, open=goes_on, next_try=now + pause)
        word = "delivered" if outcome.error is None else "again" if goes_on else "given-up"
        controller_metrics.called_back(item.event, word)
        if word == "given-up":
            log.warning("job %s: callback %s given up: %s", item.job, item.event, outcome.error)

    def _write(self, item: Due, **values: object) -> None:
        with self._ledger.write() as connection:
            note(connection, item, **values)


def post(guard: Guard, uri: str, body: bytes, limit_s: float) -> Outcome:
    """Send a message and tell what came of it; redirects are not followed."""
    headers = {"Content-Type": "application/json"}
    try:
        with guard.ask(
            "POST", uri, limit_s=limit_s, wait_s=limit_s, body=body, headers=headers
        ) as answer:
            status = answer.status
            with contextlib.suppress(NoAnswer):  # the status is all that matters
                left = ANSWER_BYTES
                for data in answer.chunks:
                    left -= len(data)
                    if left <= 0:
                        break
    except AddressRefused as error:
        return Outcome(None, str(error), final=True)
    except NoAnswer as error:
        return Outcome(None, str(error), final=False)
    if 200 <= status < 300:
        return Outcome(status, None, final=True)
    if 300 <= status < 400:
        return Outcome(status, f"answers {status}; redirects are not followed", final=True)
    return Outcome(status, f"answers {status}", final=status < 500 and status not in _LATER)
