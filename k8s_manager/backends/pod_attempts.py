"""What became of a round's pods: which attempts run, have ended, or are gone without a word.

An attempt that left ``attempt.json`` has ended, whatever Kubernetes says. One that Kubernetes
repeats by itself within the round (exit code 75, or the pod was taken away) says so; everything
else is the controller's to decide, as soon as Kubernetes has given the index up.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from k8s_manager import step_runner
from k8s_manager.backends import base, pod_reasons
from k8s_manager.backends.attempt_folder import document_of
from k8s_manager.backends.base import Attempt, Round
from k8s_manager.backends.job_manifest import GRACE_S, TEMPORARY
from k8s_manager.backends.kubernetes_view import JobView, PodView
from k8s_manager.kubernetes_settings import KubernetesSettings

_UID = re.compile("[0-9a-f-]{36}")

SETTLE_S = 1.0
"""Seconds for ``attempt.json`` of an ended pod to become visible on a network volume."""
SEARCH_S = 2.0
"""Seconds between searches for attempts of pods that Kubernetes does not show (any more)."""


class PodAttempts:
    """The attempts of one round, remembered once they are final."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._final: dict[int, dict[str, Attempt]] = defaultdict(dict)
        self._first_seen: dict[str, float] = {}
        self._ended_at: dict[str, float] = {}
        self._job_seen = False
        self._last: dict[int, str] = {}
        self._search_at = time.monotonic() + SEARCH_S
        self.open = len(round_.indexes)
        """Indexes without an attempt that leaves it to the controller what follows."""
        self.awaited: list[Path] = []
        """``attempt.json`` of pods that run or may run: a short step has ended before Kubernetes
        reports that it began."""

    def age(self, uid: str) -> float:
        """Return the seconds since a pod was first seen."""
        return time.monotonic() - self._first_seen.get(uid, time.monotonic())

    def look(
        self, job: JobView | None, pods: list[PodView], absent: bool, settings: KubernetesSettings
    ) -> dict[int, list[Attempt]]:
        """Return the attempts of every index that has one.

        Args:
            job: The round's Job; None when the cluster does not show it.
            pods: Its pods, oldest first.
            absent: A list made after the Job's creation does not hold it.
            settings: Repeats by Kubernetes, and when a node counts as lost.
        """
        now = time.monotonic()
        vanished = job is None and (absent or self._job_seen)
        self._job_seen |= job is not None
        by_position: dict[int, list[PodView]] = defaultdict(list)
        for pod in pods:
            self._first_seen.setdefault(pod.uid, now)
            by_position[pod.position].append(pod)
        searching = vanished or now >= self._search_at
        if searching:
            self._search_at = now + SEARCH_S
        found: dict[int, list[Attempt]] = {}
        self.awaited = []
        for position, index in enumerate(self._round.indexes):
            given_up = vanished or (
                job is not None and (position in job.failed or job.over not in ("", "Complete"))
            )
            mine = by_position.get(position, [])
            running = self._look_at(index, mine, given_up, settings)
            if searching:
                self._search(index, {pod.uid for pod in mine}, given_up, settings)
            if given_up and not running and not self._decided(index):
                why = "its Job is gone" if job is None else f"its Job ended: {job.message}"
                name = self._last.get(index)
                if name is None or name in self._final[index]:  # the one after it never began
                    name = f"r{self._round.number}-lost"
                self._settle(index, self._gone(index, name, "", why))
            items = [*self._final[index].values(), *running]
            if items:
                found[index] = items
        self.open = sum(not self._decided(index) for index in self._round.indexes)
        return found

    def _look_at(
        self, index: int, pods: list[PodView], given_up: bool, settings: KubernetesSettings
    ) -> list[Attempt]:
        """Note the pods of an index that are final; return those that run."""
        running = []
        for place, pod in enumerate(pods):
            if pod.uid in self._final[index]:
                continue
            replaced = bool(pod.disrupted) or place < len(pods) - 1
            attempt = self._of_pod(index, pod, given_up, replaced, settings)
            runs = attempt is not None and attempt.state == base.RUNNING
            if runs or (attempt is None and pod.node):
                self.awaited.append(self._folder(index, pod) / "attempt.json")
            if attempt is None:
                continue
            self._last[index] = pod.uid
            if attempt.state == base.RUNNING:
                running.append(attempt)
            else:
                self._settle(index, replace(attempt, image=_digest(pod.image_id)))
        return running

    def _of_pod(
        self,
        index: int,
        pod: PodView,
        given_up: bool,
        replaced: bool,
        settings: KubernetesSettings,
    ) -> Attempt | None:
        """Return the attempt of a pod; None while it has not begun."""
        folder = self._folder(index, pod)
        running = Attempt(self._round.name, index, pod.uid, folder, base.RUNNING)
        document = self._document(folder)
        begun = pod.running or pod.ended or bool(pod.deleted)
        # Which image a tag stood for, nobody knows before Kubernetes reports the start.
        if document is not None and (begun or document.get("image_digest")):
            if document["reason"] == "cancelled" and (limit := pod_reasons.beyond_limit(pod)):
                return self._gone(index, pod.uid, *limit)
            ended = self._ended(index, folder, document, given_up, replaced, settings)
            return _with_reason(ended, pod) if ended else replace(running, document=document)
        if pod.deleted and not pod.ended and _lost(pod.deleted, settings):
            where = f"node {pod.node} does not answer" if pod.node else "it never reached a node"
            return self._gone(index, pod.uid, "node-lost", f"node-lost: {where}")
        if pod.running:
            return running
        if not pod.ended:
            return None
        since = self._ended_at.setdefault(pod.uid, time.monotonic())
        if time.monotonic() - since < SETTLE_S or not (given_up or replaced):
            return running
        gone = self._gone(index, pod.uid, *pod_reasons.ended(pod))
        again = not given_up and pod_reasons.beyond_limit(pod) is None
        return replace(gone, repeats=again and self._may_repeat(index, settings))

    def _document(self, folder: Path) -> dict[str, Any] | None:
        """Return ``attempt.json`` if it is there and of this round."""
        document = document_of(folder)
        if document is None or document.get("round") != self._round.number:
            return None
        return document if document.get("attempt") == folder.name else None

    def _ended(
        self,
        index: int,
        folder: Path,
        document: Mapping[str, Any],
        given_up: bool,
        replaced: bool,
        settings: KubernetesSettings,
    ) -> Attempt | None:
        """Return an attempt that has ended; None while it is open whether Kubernetes repeats it."""
        attempt = Attempt(
            self._round.name, index, folder.name, folder, base.ENDED, document=document
        )
        if step_runner.exit_code(document) == TEMPORARY:
            return replace(attempt, repeats=not given_up and self._may_repeat(index, settings))
        if document["reason"] == "cancelled" and not given_up:
            again = self._may_repeat(index, settings)
            return replace(attempt, repeats=again) if replaced else None
        return attempt

    def _may_repeat(self, index: int, settings: KubernetesSettings) -> bool:
        """Tell whether Kubernetes may start an index once more: it never ends what is evicted."""
        earlier = sum(item.repeats for item in self._final[index].values())
        return earlier < settings.temporary_repeats

    def _search(
        self, index: int, known: set[str], given_up: bool, settings: KubernetesSettings
    ) -> None:
        """Find attempts of pods that the cluster does not show: detached, or gone already."""
        try:
            entries = list(self._round.index_folder(index).iterdir())
        except OSError:
            return
        for folder in entries:
            if folder.name in known or folder.name in self._final[index]:
                continue
            if not _UID.fullmatch(folder.name):
                continue  # the task file; or, in a step without scatter, nothing of ours
            document = self._document(folder)
            if document is None:
                continue
            attempt = self._ended(index, folder, document, given_up, True, settings)
            if attempt is not None:
                self._settle(index, attempt)

    def _folder(self, index: int, pod: PodView) -> Path:
        return self._round.index_folder(index) / pod.uid

    def _settle(self, index: int, attempt: Attempt) -> None:
        self._final[index][attempt.name] = attempt

    def _decided(self, index: int) -> bool:
        return any(not attempt.repeats for attempt in self._final[index].values())

    def _gone(self, index: int, name: str, cause: str, why: str) -> Attempt:
        folder = self._round.index_folder(index) / name
        return Attempt(self._round.name, index, name, folder, base.GONE, reason=why, cause=cause)


def _lost(deleted: str, settings: KubernetesSettings) -> bool:
    """Tell whether a pod should have gone long ago, by the time stamp of its deletion."""
    since = (datetime.now(UTC) - datetime.fromisoformat(deleted)).total_seconds()
    return since > GRACE_S + settings.node_lost_s


def _with_reason(attempt: Attempt, pod: PodView) -> Attempt:
    """Return an attempt with the reason why it was asked to stop, which its runner cannot know."""
    document = attempt.document or {}
    if document.get("reason") != "cancelled" or not pod.disrupted:
        return attempt
    why = f"evicted: {pod.disrupted}"
    error = {"title": "the pod was taken from its node", "detail": why}
    return replace(attempt, document={**document, "error": error}, reason=why, cause="evicted")


def _digest(image_id: str) -> str | None:
    _, found, digest = image_id.rpartition("sha256:")
    return f"sha256:{digest}" if found else None
