"""The one loop: look at what should be and at what is, act on the difference, sleep or be woken.

It talks to the job store and a backend and remembers nothing that it could not read again. Of
several controllers the one that holds the lease acts; the others wait for it to end. It never dies
of what a single job, a full disk or a database that is away does to it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from k8s_manager import controller_metrics, obstacles
from k8s_manager.backends.base import Backend, Observation
from k8s_manager.callback_delivery import Delivery, Message
from k8s_manager.clearing import clear_up
from k8s_manager.doorbell import Doorbell
from k8s_manager.errors import CdiError, LeaseLost, StoreError
from k8s_manager.execution import Execution
from k8s_manager.lease import Lease
from k8s_manager.ledger import Ledger
from k8s_manager.records import Job
from k8s_manager.retention import Retention
from k8s_manager.rounds import Means
from k8s_manager.settings import Settings
from k8s_manager.store import Store
from k8s_manager.workspace import Workspace

LOOK_S = 5.0
"""Seconds between looks at all unfinished jobs even if nobody asked for one."""
PAUSE_S = 1.0
"""Seconds before going on after the store or the workspace could not be used."""
SETTLE_S = 20.0
"""Seconds that a controller of one job stays for the last of its processes or pods to go."""

log = logging.getLogger(__name__)


class Controller:
    """Carries out the jobs of a store on a backend."""

    def __init__(
        self, settings: Settings, store: Store, backend: Backend, message: Message | None = None
    ) -> None:
        """Make a controller; without `message` it leaves callbacks to one that can make them."""
        self._settings = settings
        self._store = store
        self._backend = backend
        self._lease = Lease(store.database, settings.lease_s)
        self._ledger = Ledger(store.database, self._lease)
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="inputs")  # threads at first use
        self._means = Means(
            settings, store, self._ledger, Workspace(settings.workspace), backend, self._pool
        )
        self._retention = Retention(self._means)
        self._delivery = Delivery(settings.outside, store, self._ledger, message)
        self._executions: dict[str, Execution] = {}
        self._paused: dict[str, float] = {}
        self._awaited: str | None = None
        self._wake = -1
        self._look_at = 0.0
        self._try_lease_at = 0.0
        backend.may_start = self._lease.certain

    @property
    def active(self) -> bool:
        """Whether this controller holds the lease."""
        return self._lease.epoch is not None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; what runs then goes on and is found by the next controller."""
        bell = Doorbell(self._store.database.file, self.wake)
        while not stop.is_set():
            self.step()
            self._backend.wait(self._pause())
        bell.close()
        self.close()

    def run_until(self, job_id: str, on_update: Callable[[Job], None] | None = None) -> Job:
        """Work, or watch another controller work, until a job has ended; return it.

        That job fails where only a person can help; `run` lets jobs wait for the person.

        Raises:
            NoSuchJob: There is none of that id.
        """
        job, shown = self._store.job(job_id, whole=False), ("", "")
        self._awaited = job_id
        try:
            while True:
                [seen] = self._store.queue.shown([job])
                if on_update is not None and (seen.updated, seen.message) != shown:
                    on_update(seen)
                    shown = (seen.updated, seen.message)
                if job.finished_at_all:
                    self._settle_down(job_id)
                    return self._store.job(job_id)
                self.step()
                self._backend.wait(self._pause())
                job = self._store.job(job_id, whole=False)
        finally:
            self.close()

    def step(self) -> None:
        """Look once and do what can be done now."""
        try:
            if self._hold_lease():
                with controller_metrics.looking():
                    observation = self._backend.observe()
                    controller_metrics.observed(observation)
                    self._look(observation)
                    self._advance(observation)
                    self._retention.tend()
                    self._delivery.tend()
        except LeaseLost:
            log.warning("another controller has taken over")
            self._let_go()
        except StoreError as error:
            log.error("%s; trying again", error)
            self._start_over()
        except Exception:
            # The controller must not die of anything: jobs would stand still without a word.
            log.exception("this is a fault of the program; trying again")
            self._start_over()
        controller_metrics.turned(lease_held=self.active)

    def wake(self) -> None:
        """Make a waiting controller look now; may be called from any thread."""
        self._backend.wake()

    def close(self) -> None:
        """Give the lease up at once. Running steps go on."""
        self._executions.clear()
        self._backend.forget()
        self._try_lease_at = 0.0
        try:
            self._lease.release()
        except StoreError as error:
            log.error("%s; the lease runs out by itself", error)

    def dispose(self) -> None:
        """Give up the lease and all that controller and backend hold; the end of both."""
        self.close()
        self._pool.shutdown()
        self._delivery.close()
        self._backend.close()

    def _settle_down(self, job_id: str) -> None:
        """Stay until nothing is left of finished jobs, if it is us who looks after them."""
        until = time.monotonic() + SETTLE_S
        while self.active and time.monotonic() < until:
            if not self._ledger.rounds_left() and not self._delivery.owes(job_id):
                return
            self._look_at = 0.0
            self.step()
            self._backend.wait(0.02)

    def _hold_lease(self) -> bool:
        if self._lease.epoch is not None:
            self._lease.keep()
            return True
        if time.monotonic() < self._try_lease_at:
            return False
        self._try_lease_at = time.monotonic() + min(1.0, self._settings.lease_s / 5)
        if not self._lease.acquire():
            return False
        self._wake = -1
        return True

    def _let_go(self) -> None:
        self._lease.epoch = None
        self._executions.clear()
        self._backend.forget()

    def _start_over(self) -> None:
        """Forget what may be wrong and read it again, after a pause."""
        self._executions.clear()
        self._wake = -1
        time.sleep(PAUSE_S)

    def _look(self, observation: Observation) -> None:
        """Find new jobs, requests to dismiss, and what is left of finished jobs."""
        wake = self._store.wake()
        if wake == self._wake and time.monotonic() < self._look_at:
            return
        waiting = []
        for found in self._ledger.unfinished():
            execution = self._executions.get(found.id)
            if execution is not None:
                execution.dismissing |= found.dismiss_requested
            elif found.begun or found.dismiss_requested:
                self._adopt(found.id)
            else:
                waiting.append(found.id)
        self._adopt_waiting(waiting)
        self._wake = wake
        self._look_at = time.monotonic() + LOOK_S
        self._tidy(observation)

    def _adopt_waiting(self, waiting: list[str]) -> None:
        """Let those jobs begin whose turn it is, while there is room for more."""
        room = self._settings.active_jobs - len(self._executions)
        if 0 < room < len(waiting):  # only then does it matter whose turn it is
            in_order = self._ledger.next_jobs(self._settings.active_jobs)
            waiting = [job_id for job_id in in_order if job_id not in self._executions]
        for job_id in waiting[: max(0, room)]:
            self._adopt(job_id)

    def _adopt(self, job_id: str) -> None:
        try:
            self._executions[job_id] = Execution(self._means, *self._ledger.load(job_id))
        except (StoreError, LeaseLost):
            raise
        except Exception as error:  # a record that makes no sense must not hold up the others
            log.exception("job %s cannot be read", job_id)
            problem = {"title": "the job cannot be read", "detail": str(error), "status": 500}
            self._ledger.abandon(job_id, problem)

    def _advance(self, observation: Observation) -> None:
        ended = [
            job_id
            for job_id, execution in list(self._executions.items())
            if self._paused.get(job_id, 0.0) <= time.monotonic()
            and self._advance_one(execution, observation)
        ]
        for job_id in ended:
            self._executions.pop(job_id, None)
            self._paused.pop(job_id, None)
        if ended:
            self._look_at = 0.0

    def _advance_one(self, execution: Execution, observation: Observation) -> bool:
        """Advance one job; whatever goes wrong with it stays with it."""
        job_id = execution.job.id
        try:
            return execution.advance(observation)
        except (LeaseLost, StoreError):
            raise
        except OSError as error:
            log.error("job %s: %s; trying again", job_id, error)
            self._paused[job_id] = time.monotonic() + PAUSE_S
            del self._executions[job_id]
            self._look_at = 0.0
            problem = obstacles.problem(error, self._settings.workspace)
            if job_id == self._awaited and problem is not None:
                self._ledger.abandon(job_id, problem)
            else:
                execution.show(obstacles.waiting(error, "the workspace cannot be used"))
        except CdiError as error:
            execution.fail({"title": "the job cannot go on", "detail": str(error), "status": 500})
        except Exception as error:
            log.exception("job %s", job_id)
            self._paused[job_id] = time.monotonic() + PAUSE_S
            title = f"internal error: {type(error).__name__}"
            detail = f"{error}. This is a fault of the program, not of your data."
            execution.fail({"title": title, "detail": detail, "status": 500})
        return False

    def _tidy(self, observation: Observation) -> None:
        """Stop what is left of finished jobs, delete the files of removed ones."""
        for name in self._ledger.not_open(observation.strays):
            if not self._backend.cancel(name):
                self._look_at = 0.0
        busy = set()
        for job_id, name in self._ledger.rounds_left():
            if self._backend.cancel(name) and self._clear_up(job_id):
                self._ledger.close_rounds(job_id, [name])
            else:
                busy.add(job_id)
                self._look_at = 0.0
        for job_id in self._ledger.to_remove():
            if job_id in busy:
                continue  # with its files would go what its processes are known by
            try:
                self._means.workspace.remove_job(job_id)
            except OSError as error:
                log.error("job %s: %s; trying again", job_id, error)
                continue
            self._ledger.files_removed(job_id)

    def _clear_up(self, job_id: str) -> bool:
        """Delete what a finished job must not leave; False when that has to be tried again."""
        try:
            clear_up(self._ledger, self._means.workspace, job_id)
        except OSError as error:
            log.error("job %s: %s; trying again", job_id, error)
            return False
        return True

    def _pause(self) -> float:
        """Return the seconds until something has to be looked at."""
        pause = self._settings.poll_s
        if self._executions:
            soonest = min(execution.next_start for execution in self._executions.values())
            pause = min(pause, max(0.0, soonest - time.monotonic()))
        return pause
