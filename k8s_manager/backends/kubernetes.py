"""Runs every round as one Indexed Job of Kubernetes; records and logs outlive the Jobs.

What counts is ``attempt.json`` in the workspace: the controller goes on from there one to three
seconds before Kubernetes reports the same. Kubernetes is asked why pods wait and why they ended
without a word. Writing to the API is done beside, so that a server that hangs holds up nothing.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from k8s_manager.backends import job_manifest, pod_reasons
from k8s_manager.backends.base import Attempt, Observation, Round, RoundState, Waiting
from k8s_manager.backends.kubernetes_api import JOBS, Api, ApiError
from k8s_manager.backends.kubernetes_removal import Removal
from k8s_manager.backends.kubernetes_view import JobView, PodView, View
from k8s_manager.backends.kubernetes_warnings import Warnings
from k8s_manager.backends.pod_attempts import PodAttempts
from k8s_manager.errors import BackendError, CdiError
from k8s_manager.settings import Settings

LOOK_S = 0.02
"""Seconds between looks for ``attempt.json`` of what runs: a look at 50 pods takes 0.1 ms."""
AGAIN_S = 2.0
"""Seconds before a Job that could not be created is tried again."""

log = logging.getLogger(__name__)


@dataclass
class _Submitted:
    round: Round
    image: str = ""
    parallelism: int = 0
    """Pods at once; 0 until it was decided to start."""
    creating: Future[None] | None = None
    created_at: float = 0.0
    """When its Job was created or found, 0 before."""
    again_at: float = 0.0
    obstacle: Waiting | None = None
    failure: Waiting | None = None
    attempts: PodAttempts = field(init=False)

    def __post_init__(self) -> None:
        self.attempts = PodAttempts(self.round)


class KubernetesBackend:
    """Steps as Jobs in one namespace, at most `KubernetesSettings.max_pods` pods at once."""

    def __init__(self, settings: Settings) -> None:
        self.may_start: Callable[[], bool] = lambda: True
        self._settings = settings.kubernetes
        self._workspace = Path(os.path.realpath(settings.workspace))
        self._woken = threading.Event()
        self._api = Api(self._settings.namespace)
        selector = job_manifest.selector(self._settings)
        self._view = View(self._api, selector, self._woken.set)
        self._warnings = Warnings(self._api)
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="kubernetes")
        self._rounds: dict[str, _Submitted] = {}
        self._removals: dict[str, Removal] = {}
        self._awaited: list[str] = []

    def submit(self, round_: Round) -> None:
        """Make the round's Job as soon as there is room; one that exists is taken over."""
        if round_.name not in self._rounds:
            self._rounds[round_.name] = _Submitted(round_)
            self._start_pending()

    def observe(self) -> Observation:
        """Say how all rounds are, and start what there is room for."""
        jobs, pods = self._view.read()
        for submitted in self._rounds.values():
            self._take_note(submitted)
        self._start_pending()
        states = {
            name: self._state(submitted, jobs.get(name), pods.get(name, []))
            for name, submitted in self._rounds.items()
        }
        awaited = (path for item in self._rounds.values() for path in item.attempts.awaited)
        # What is there already and does not count (a program may write there too) is not awaited.
        self._awaited = [str(path) for path in awaited if not path.exists()]
        known = self._rounds.keys() | self._removals.keys()
        obstacles = {
            name: pod_reasons.unusable(removal.problem, self._api.namespace).waiting
            for name, removal in self._removals.items()
            if removal.problem is not None
        }
        strays = tuple(sorted((jobs.keys() | pods.keys()) - known))
        return Observation(states, strays, obstacles)

    def cancel(self, name: str) -> bool:
        """Delete a round's Job; True once it and all its pods are verified gone."""
        submitted = self._rounds.get(name)
        if submitted is not None and submitted.creating is not None:
            if not submitted.creating.done():
                return False  # what is being created would come after the deletion
            submitted.creating = None
        self._rounds.pop(name, None)
        removal = self._removals.get(name)
        if removal is None:
            removal = self._removals[name] = Removal(
                self._api, self._view, self._pool, name, self._settings.node_lost_s
            )
        if not removal.advance():
            return False
        del self._removals[name]
        return True

    def code_of(self, image: str | None, words: Sequence[str]) -> str | None:
        """Return the digest of the image that runs; a tag may be another image tomorrow."""
        return job_manifest.digest_of(image, self._settings)

    def wait(self, timeout_s: float) -> None:
        """Return when the cluster or an ``attempt.json`` has news, or after `timeout_s`."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            pause = min(left, LOOK_S) if self._awaited else left
            if self._woken.wait(pause) or any(map(os.path.exists, self._awaited)):
                break
        self._woken.clear()

    def wake(self) -> None:
        """Make `wait` return."""
        self._woken.set()

    def forget(self) -> None:
        """Let go of all rounds; their Jobs go on and the next controller finds them."""
        self._rounds.clear()
        self._removals.clear()
        self._awaited = []

    def close(self) -> None:
        """Let go of all rounds and of the connections."""
        self.forget()
        self._view.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start_pending(self) -> None:
        """Create Jobs while there is room: owners with the fewest pods first, then the oldest."""
        now = time.monotonic()
        waiting = [
            item
            for item in self._rounds.values()
            if not item.parallelism and not item.failure and item.again_at <= now
        ]
        while waiting:
            in_use = self._in_use()
            room = self._settings.max_pods - in_use.total()
            if room <= 0 or not self.may_start():
                return
            owners = {item.round.owner for item in waiting} | {*in_use.keys()}
            share = math.ceil(self._settings.max_pods / len(owners))
            chosen = min(waiting, key=lambda item: in_use[item.round.owner])
            waiting.remove(chosen)
            chosen.parallelism = max(1, min(len(chosen.round.indexes), room, share))
            chosen.creating = self._pool.submit(self._create, chosen)
        self._widen()

    def _widen(self) -> None:
        """Give room that nobody waits for to rounds that could use it."""
        room = self._settings.max_pods - self._in_use().total()
        for item in self._rounds.values():
            more = min(room, item.attempts.open - item.parallelism)
            if more > 0 and item.created_at and item.creating is None and self.may_start():
                item.parallelism += more
                room -= more
                item.creating = self._pool.submit(self._patch, item)

    def _patch(self, submitted: _Submitted) -> None:
        """Let more pods of a round run at once.

        Raises:
            ApiError: It cannot be changed now.
        """
        change = {"spec": {"parallelism": submitted.parallelism}}
        try:
            self._api.patch(f"{JOBS}/{submitted.round.name}", change)
        except ApiError as error:
            if error.status != 404:  # gone meanwhile: the view will say so
                raise

    def _in_use(self) -> Counter[str]:
        """Return the pods that every owner has or may have any moment."""
        in_use = Counter[str]()
        for item in self._rounds.values():
            if pods := min(item.parallelism, item.attempts.open):
                in_use[item.round.owner] += pods
        return in_use

    def _create(self, submitted: _Submitted) -> None:
        """Create the Job of a round.

        Raises:
            CdiError: It cannot be created now, or not at all.
            OSError: The task file cannot be read.
        """
        round_ = submitted.round
        submitted.image = job_manifest.image_of(round_, self._settings)
        task = json.loads(round_.task.read_bytes())
        body = job_manifest.manifest(round_, task, submitted.parallelism, self._settings)
        self._hand_over_folders(round_)
        if not self.may_start():
            raise BackendError("the right to start steps ran out")
        self._api.create(JOBS, body)

    def _hand_over_folders(self, round_: Round) -> None:
        """Let the step's user write into its folder: mounting a folder changes no owner."""
        folders = [round_.folder]
        if round_.network:
            cache = self._workspace / "cache"
            folders += [cache, cache / "sha256", cache / "by-url"]
        else:
            (self._workspace / "cache").mkdir(exist_ok=True)  # a mount needs what it mounts
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                os.chown(folder, self._settings.run_as_user, self._settings.run_as_user)

    def _take_note(self, submitted: _Submitted) -> None:
        """Learn how the creation of a Job went."""
        future = submitted.creating
        if future is None or not future.done():
            return
        submitted.creating = None
        try:
            future.result()
            submitted.created_at, submitted.obstacle = time.monotonic(), None
            return
        except job_manifest.ImageNotAllowed as error:
            submitted.failure = Waiting("image-not-allowed", str(error))
        except ApiError as error:
            waiting, hopeless = pod_reasons.unusable(error, self._api.namespace)
            submitted.obstacle, submitted.failure = waiting, waiting if hopeless else None
        except BackendError as error:
            submitted.obstacle = Waiting("starting", str(error))
        except CdiError as error:
            submitted.failure = Waiting("admission", str(error))
        except OSError as error:
            submitted.obstacle = Waiting("starting", f"{error.filename}: {error.strerror}")
        log.warning("%s: %s", submitted.round.name, submitted.failure or submitted.obstacle)
        submitted.parallelism = 0
        submitted.again_at = time.monotonic() + AGAIN_S

    def _state(self, submitted: _Submitted, job: JobView | None, pods: list[PodView]) -> RoundState:
        if not submitted.created_at and job is None:
            queued = submitted.obstacle or self._queued(submitted)
            return RoundState((), queued, submitted.failure)
        absent = job is None and self._view.known_since(submitted.created_at)
        if job is not None:  # an earlier controller may have given it more
            submitted.parallelism = max(submitted.parallelism, job.parallelism)
        found = submitted.attempts.look(job, pods, absent, self._settings)
        failure = submitted.failure
        waiting = None
        if any(_unattended(found.get(index, [])) for index in submitted.round.indexes):
            missing = [pod for pod in pods if not pod.running and not pod.ended]
            reason = self._why_waiting(submitted, job, missing)
            failure = reason.waiting if reason.hopeless else failure
            waiting = pod_reasons.after(_repeated(found), reason.waiting)
        failure = failure or self._runnerless(submitted, pods)
        attempts = tuple(attempt for items in found.values() for attempt in items)
        return RoundState(attempts, waiting, failure)

    def _queued(self, submitted: _Submitted) -> Waiting:
        if self._view.problem is not None:
            return pod_reasons.unusable(self._view.problem, self._api.namespace).waiting
        if submitted.parallelism:
            return Waiting("starting", "its Job is being created")
        in_use, most = self._in_use().total(), self._settings.max_pods
        return Waiting("queue", f"{in_use} of {most} pods of this installation are in use")

    def _why_waiting(
        self, submitted: _Submitted, job: JobView | None, pods: list[PodView]
    ) -> pod_reasons.Reason:
        if self._view.problem is not None:
            trouble = pod_reasons.unusable(self._view.problem, self._api.namespace)
            return pod_reasons.Reason(trouble.waiting)
        if not pods:
            self._warnings.want(self._pool)
            refused = self._warnings.of(job.uid) if job is not None else []
            if refused:
                return pod_reasons.not_created(refused[-1])
            return pod_reasons.being_created(self._warnings.problem)
        pod = min(pods, key=lambda item: item.created)
        age = submitted.attempts.age(pod.uid)
        if age > 1.0:
            self._warnings.want(self._pool)
        return pod_reasons.not_started(
            pod,
            submitted.round,
            submitted.image,
            self._warnings.of(pod.uid),
            age,
            self._settings,
        )

    def _runnerless(self, submitted: _Submitted, pods: list[PodView]) -> Waiting | None:
        reasons: Iterator[Waiting | None] = (
            pod_reasons.without_runner(pod, submitted.image or "?")
            for pod in pods
            if pod.ended and pod.exit_code
        )
        return next((reason for reason in reasons if reason is not None), None)


def _unattended(attempts: Sequence[Attempt]) -> bool:
    """Tell whether of an index nothing runs and nothing counts."""
    return all(attempt.repeats for attempt in attempts)


def _repeated(found: Mapping[int, Sequence[Attempt]]) -> Attempt | None:
    """Return the last attempt of an index that Kubernetes starts again."""
    return next((attempts[-1] for attempts in found.values() if _unattended(attempts)), None)
