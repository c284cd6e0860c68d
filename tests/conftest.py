from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s_manager.store import Store
from tests.k8s_manager.installation import Installation

# Processes that tests start are forked from one that has imported what they need.
multiprocessing.get_context("forkserver").set_forkserver_preload(
    ["alembic.command", "tests.k8s_manager.killed_controller", "tests.k8s_manager.test_store"]
)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated store, copied by tests: migrating takes longer than most of them."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture
def installation(tmp_path: Path, empty_store: Path) -> Iterator[Installation]:
    made = Installation.at(tmp_path / "home", empty_store)
    yield made
    made.store.close()
