"""Removing a round from the cluster, until nothing of it is left that could still run."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

from k8s_manager.backends.job_manifest import GRACE_S, ROUND_LABEL
from k8s_manager.backends.kubernetes_api import JOBS, PODS, Api, ApiError
from k8s_manager.backends.kubernetes_view import View

ASK_S = 0.2
"""Seconds until the next question whether a round is gone that the view does not show any more."""
ASK_AGAIN_S = 5.0
"""Seconds until the next question while the view still shows it."""

log = logging.getLogger(__name__)


class Removal:
    """The deletion of one round; `advance` until it is done."""

    def __init__(
        self, api: Api, view: View, pool: ThreadPoolExecutor, name: str, node_lost_s: float
    ) -> None:
        self._api = api
        self._view = view
        self._pool = pool
        self._name = name
        self._patience_s = GRACE_S + node_lost_s
        self._running: Future[bool] | None = None
        self._next = self._next_shown = 0.0
        self.problem: ApiError | None = None
        """Why it did not go on the last time."""
        self._forced: set[str] = set()

    def advance(self) -> bool:
        """Do the next bit; True once Job and pods are verified gone. Never waits for the API."""
        if self._running is None:
            shown = self._view.shows(self._name)
            if time.monotonic() >= (self._next_shown if shown else self._next):
                self._running = self._pool.submit(self._remove)
            return False
        if not self._running.done():
            return False
        done, self._running = self._running.result(), None
        now = time.monotonic()
        self._next, self._next_shown = now + ASK_S, now + ASK_AGAIN_S
        return done

    def _remove(self) -> bool:
        """Delete what there is and look again; True when nothing was there any more."""
        try:
            self._api.delete(f"{JOBS}/{self._name}")
            pods, _version = self._api.everything(PODS, labelSelector=f"{ROUND_LABEL}={self._name}")
            for pod in pods:
                self._remove_pod(pod["metadata"])
            gone = not pods and self._job_is_gone()
        except ApiError as error:
            log.warning("removing %s: %s", self._name, error)
            self.problem = error
            return False
        self.problem = None
        return gone

    def _remove_pod(self, meta: dict[str, str]) -> None:
        """Delete a pod that its Job no longer owns; by force when its node does not answer."""
        since = meta.get("deletionTimestamp")
        path = f"{PODS}/{meta['name']}"
        if since is None:
            self._api.delete(path)
        elif _seconds_since(since) > self._patience_s:
            if meta["name"] not in self._forced:
                log.warning("pod %s does not go; removing it by force", meta["name"])
            self._forced.add(meta["name"])
            self._api.delete(path, grace_s=0)

    def _job_is_gone(self) -> bool:
        try:
            self._api.get(f"{JOBS}/{self._name}")
        except ApiError as error:
            if error.status == 404:
                return True
            raise
        return False


def _seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
