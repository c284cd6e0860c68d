"""Events of type Warning, asked for only while something waits without a reason."""

from __future__ import annotations

import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from k8s_manager.backends.kubernetes_api import EVENTS, Api, ApiError

EVERY_S = 2.0
"""Seconds between two questions, however many rounds wait."""


class Warnings:
    """Messages of recent warnings by the object that they are about."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._found: dict[str, list[str]] = {}
        self._next = 0.0
        self.problem: ApiError | None = None
        """Why they could not be had the last time."""

    def want(self, pool: ThreadPoolExecutor) -> None:
        """Ask for the warnings, unless that was done just now."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_S
            pool.submit(self._ask)

    def of(self, uid: str) -> list[str]:
        """Return the messages about an object, the newest last."""
        return self._found.get(uid, [])

    def _ask(self) -> None:
        try:
            items, _version = self._api.everything(EVENTS, fieldSelector="type=Warning")
        except ApiError as error:
            self.problem = error
            return
        self.problem = None
        found: dict[str, list[str]] = defaultdict(list)
        items.sort(key=lambda item: item.get("lastTimestamp") or item.get("eventTime") or "")
        for item in items:
            found[item["involvedObject"].get("uid", "")].append(item.get("message") or "")
        self._found = dict(found)
