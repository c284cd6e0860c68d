"""What every request needs: settings, store, processes and the collections as they are now.

Releases change while workers run. A worker notices by the store's generation number and builds a
new pygeoapi ``API`` object; a request reads it once, so that old and new never mix.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from pygeoapi.api import API

from k8s_manager.records import Release
from k8s_manager.registry import Registry
from k8s_manager.settings import Settings, read_config
from k8s_manager.store import Store
from k8s_manager.store_metrics import registry_of
from k8s_manager.tokens import Tokens
from k8s_manager.workspace import Workspace
from ogcapi.collections import release_resources


@dataclass(frozen=True)
class Published:
    """The collections of one generation of releases, and the pygeoapi object that serves them."""

    generation: int
    api: Any
    releases: Mapping[str, Release]

    @property
    def resources(self) -> Mapping[str, Any]:
        """The collections' configuration by id."""
        resources: Mapping[str, Any] = self.api.config["resources"]
        return resources


class Service:
    """One per worker process; safe to share between its threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.config = _configuration(settings)
        self.registry = Registry.from_config(self.config, settings)
        self.workspace = Workspace(settings.workspace)
        self._lock = threading.Lock()
        self._published: Published | None = None

    @functools.cached_property
    def store(self) -> Store:
        """The job store; opened by the first request, after a server has forked."""
        return Store(self.settings.database_url)

    @functools.cached_property
    def tokens(self) -> Tokens:
        """The API tokens by which those who ask say who they are."""
        return Tokens(self.store.database)

    @functools.cached_property
    def metrics(self) -> CollectorRegistry:
        """The numbers of the job store for a monitoring system."""
        return registry_of(self.store.database)

    def published(self) -> Published:
        """Return the collections of the newest generation."""
        generation = self.store.generation()
        current = self._published
        if current is not None and current.generation == generation:
            return current
        with self._lock:
            if self._published is None or self._published.generation != generation:
                self._published = self._publish(generation)
            return self._published

    def _publish(self, generation: int) -> Published:
        releases = self.store.current_releases()
        config = copy.deepcopy(self.config)
        config["resources"] |= release_resources(releases, self.settings)
        return Published(generation, API(config, {}), releases)


def _configuration(settings: Settings) -> dict[str, Any]:
    config = read_config(settings.config)
    config["server"]["url"] = settings.base_url
    config["server"].setdefault("bind", {}).update({"host": settings.host, "port": settings.port})
    return config
