"""What the cluster holds of ours, kept up to date in the background: Jobs and pods, cut short.

List, then watch from there; whenever a watch breaks or says 410, list again, and now and then for
no reason: a watch is a hint, never the truth. A restored etcd looks like any other broken watch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from k8s_manager.backends.job_manifest import ROUND_LABEL
from k8s_manager.backends.kubernetes_api import JOBS, PODS, Api, ApiError
from k8s_manager.errors import BackendError

RELIST_S = 300.0
"""Seconds after which everything is listed anew although no watch complained."""
PAUSE_S = 1.0
"""Seconds from one list, or one watch, to the next: an API in trouble is not stormed."""
_INDEX = "batch.kubernetes.io/job-completion-index"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobView:
    """What is kept of a Job."""

    round: str
    uid: str
    created: str
    parallelism: int
    pods: int
    """Pods that Kubernetes counts as active."""
    failed: frozenset[int]
    """Positions (within the round) that Kubernetes has given up."""
    over: str
    """Why the Job is over, empty while it is not; ``Complete`` when it succeeded."""
    message: str
    ending: bool
    """It is being deleted."""


@dataclass(frozen=True)
class PodView:
    """What is kept of a pod."""

    name: str
    uid: str
    round: str
    position: int
    phase: str
    node: str
    running: bool
    """Its container runs."""
    ended: bool
    """Its container has ended, or the pod never will start one."""
    reason: str
    """Word for the state of container or pod: ``OOMKilled``, ``Evicted``, ``ErrImagePull``..."""
    message: str
    exit_code: int | None
    image_id: str
    unschedulable: str
    """Why no node takes it."""
    disrupted: str
    """Why Kubernetes took it away and starts another (eviction, drain, lost node), or empty."""
    deleted: str
    """Since when it is being deleted (RFC 3339), empty when it is not."""
    created: str


class View:
    """Jobs and pods of one installation; reading never waits for the API."""

    def __init__(self, api: Api, selector: str, changed: Callable[[], None]) -> None:
        self._problems: dict[str, BackendError] = {}
        self._api = api
        self._selector = selector
        self._changed = changed
        self._lock = threading.Lock()
        self._jobs: dict[str, JobView] = {}
        self._pods: dict[str, dict[str, PodView]] = {}
        self._listed = {JOBS: 0.0, PODS: 0.0}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(path,), name=f"watch-{path[-4:]}")
            for path in (JOBS, PODS)
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    @property
    def problem(self) -> BackendError | None:
        """Why the view may be old, while it may be."""
        with self._lock:
            return next(iter(self._problems.values()), None)

    def known_since(self, moment: float) -> bool:
        """Tell whether both lists were begun after `moment` (monotonic seconds)."""
        with self._lock:
            return min(self._listed.values()) > moment

    def read(self) -> tuple[dict[str, JobView], dict[str, list[PodView]]]:
        """Return Jobs by round, and the pods of each round, oldest first."""
        with self._lock:
            jobs = dict(self._jobs)
            pods = {name: list(found.values()) for name, found in self._pods.items()}
        for found in pods.values():
            found.sort(key=lambda item: item.created)
        return jobs, pods

    def shows(self, name: str) -> bool:
        """Tell whether there is a Job or a pod of a round."""
        with self._lock:
            return name in self._jobs or name in self._pods

    def close(self) -> None:
        """Stop following; the threads end with their present call."""
        self._stop.set()

    def _follow(self, path: str) -> None:
        while not self._stop.is_set():
            doing = "list"
            begun = time.monotonic()
            try:
                version = self._list(path)
                doing = "watch"
                self._watch(path, version)
            except ApiError as error:
                if error.status != 410:
                    if doing == "list" or not error.transient:  # the next list mends a broken watch
                        self._note(doing, path, error)
                    log.warning("%s", error)
            except Exception as error:  # the view must go on whatever an answer holds
                problem = BackendError(f"the cluster's answer cannot be read: {error!r}")
                self._note(doing, path, problem)
                log.exception("%s", path)
            self._pause_since(begun)

    def _list(self, path: str) -> str:
        begun = time.monotonic()
        items, version = self._api.everything(path, labelSelector=self._selector)
        kept = [_kept(path, item) for item in items]
        with self._lock:
            if path == JOBS:
                self._jobs = {item.round: item for item in kept if isinstance(item, JobView)}
            else:
                self._pods = {}
                for item in kept:
                    if isinstance(item, PodView):
                        self._pods.setdefault(item.round, {})[item.uid] = item
            self._listed[path] = begun
        self._note("list", path, None)
        self._changed()
        return version

    def _note(self, doing: str, path: str, problem: BackendError | None) -> None:
        """Keep in mind what is wrong with one list or watch; None when nothing is any more."""
        with self._lock:
            if problem is None:
                self._problems.pop(f"{doing} {path}", None)
            else:
                self._problems[f"{doing} {path}"] = problem

    def _watch(self, path: str, version: str) -> None:
        """Follow the changes until it is time for a new list."""
        until = time.monotonic() + RELIST_S
        while time.monotonic() < until and not self._stop.is_set():
            begun = time.monotonic()
            for event in self._api.watch(path, version, self._selector):
                if self._stop.is_set():
                    return
                item = event["object"]
                if event["type"] == "ERROR":
                    raise ApiError(int(item.get("code") or 410), "Expired", str(item))
                version = item["metadata"]["resourceVersion"]
                self._note("watch", path, None)
                if event["type"] != "BOOKMARK":
                    self._take(path, item, event["type"] == "DELETED")
            self._note("watch", path, None)
            self._pause_since(begun)

    def _pause_since(self, begun: float) -> None:
        self._stop.wait(begun + PAUSE_S - time.monotonic())

    def _take(self, path: str, item: Mapping[str, Any], deleted: bool) -> None:
        kept = _kept(path, item)
        with self._lock:
            if isinstance(kept, JobView):
                if deleted:
                    self._jobs.pop(kept.round, None)
                else:
                    self._jobs[kept.round] = kept
            elif not deleted:
                self._pods.setdefault(kept.round, {})[kept.uid] = kept
            elif of_round := self._pods.get(kept.round):
                of_round.pop(kept.uid, None)
                if not of_round:
                    del self._pods[kept.round]
        self._changed()


def positions(text: str) -> frozenset[int]:
    """Return the numbers of a list of indexes as Kubernetes writes it: ``1,3-5``."""
    found: set[int] = set()
    for part in text.split(","):
        if part:
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def _kept(path: str, item: Mapping[str, Any]) -> JobView | PodView:
    return _job(item) if path == JOBS else _pod(item)


def _job(item: Mapping[str, Any]) -> JobView:
    meta, status = item["metadata"], item.get("status") or {}
    conditions = {
        entry["type"]: entry
        for entry in status.get("conditions") or []
        if entry.get("status") == "True"
    }
    over, message = "", ""
    for kind in ("Complete", "SuccessCriteriaMet", "Failed", "FailureTarget"):
        if kind in conditions:
            succeeded = kind in ("Complete", "SuccessCriteriaMet")
            over = "Complete" if succeeded else conditions[kind].get("reason") or "Failed"
            message = conditions[kind].get("message") or ""
            break
    return JobView(
        round=meta["labels"][ROUND_LABEL],
        uid=meta["uid"],
        created=meta["creationTimestamp"],
        parallelism=int(item["spec"].get("parallelism") or 1),
        pods=int(status.get("active") or 0),
        failed=positions(status.get("failedIndexes") or ""),
        over=over,
        message=message,
        ending=bool(meta.get("deletionTimestamp")),
    )


def _pod(item: Mapping[str, Any]) -> PodView:
    meta, status = item["metadata"], item.get("status") or {}
    conditions = {entry["type"]: entry for entry in status.get("conditions") or []}
    container: dict[str, Any] = next(iter(status.get("containerStatuses") or []), {})
    state = container.get("state") or {}
    ended = state.get("terminated") or {}
    waiting = state.get("waiting") or {}
    scheduled = conditions.get("PodScheduled") or {}
    disruption = conditions.get("DisruptionTarget") or {}
    own = {**(meta.get("annotations") or {}), **meta["labels"]}
    phase = str(status.get("phase") or "Pending")
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        round=meta["labels"][ROUND_LABEL],
        position=int(own.get(_INDEX) or 0),
        phase=phase,
        node=str((item.get("spec") or {}).get("nodeName") or ""),
        running="running" in state,
        ended=bool(ended) or phase in ("Succeeded", "Failed"),
        reason=str(status.get("reason") or ended.get("reason") or waiting.get("reason") or ""),
        message=str(status.get("message") or ended.get("message") or waiting.get("message") or ""),
        exit_code=ended.get("exitCode"),
        image_id=str(container.get("imageID") or ""),
        unschedulable=(
            str(scheduled.get("message") or scheduled.get("reason") or "no node takes it")
            if scheduled.get("status") == "False"
            else ""
        ),
        disrupted=(
            str(disruption.get("message") or disruption.get("reason") or "taken from its node")
            if disruption.get("status") == "True"
            else ""
        ),
        deleted=str(meta.get("deletionTimestamp") or ""),
        created=str(meta["creationTimestamp"]),
    )
