from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s_manager.store import Store
from tests.k8s_manager.installation import Installation
from tests.postgresql import PostgreSQL

# Processes that tests start are forked from one that has imported what they need.
multiprocessing.get_context("forkserver").set_forkserver_preload(
    ["alembic.command", "ogcapi.cli", "tests.faults.controllers", "tests.k8s_manager.test_store"]
)


def pytest_configure() -> None:
    """Give processes that tests start the signals of a terminal.

    A shell that starts the tests in the background, or nohup, ignores SIGINT and SIGHUP; every
    process below would, and end by neither.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    everywhere = metafunc.definition.get_closest_marker("every_store") is not None
    if everywhere and "store_kind" in metafunc.fixturenames:
        metafunc.parametrize("store_kind", ["sqlite", "postgresql"])


@pytest.fixture
def store_kind() -> str:
    """The database that a test's job store lies in; tests marked `every_store` run in each."""
    return "sqlite"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated store, copied by tests: migrating takes longer than most of them."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture
def database_url(
    store_kind: str, tmp_path: Path, empty_store: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A job store of the test's own, migrated."""
    if store_kind == "postgresql":
        with request.getfixturevalue("postgresql").database() as url:
            yield url
        return
    path = tmp_path / "home" / "cdi.db"
    path.parent.mkdir()
    path.write_bytes(empty_store.read_bytes())
    yield f"sqlite:///{path}"


@pytest.fixture
def new_database_url(
    store_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A job store of the test's own in which there is nothing yet."""
    if store_kind == "postgresql":
        with request.getfixturevalue("postgresql").database("template0") as url:
            yield url
        return
    yield f"sqlite:///{tmp_path / 'new' / 'cdi.db'}"


@pytest.fixture
def installation(tmp_path: Path, database_url: str) -> Iterator[Installation]:
    made = Installation.at(tmp_path / "home", database_url=database_url)
    yield made
    made.store.close()
