"""`cdi migrate` brings tables up to date, waits for who does, and leaves newer ones alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from k8s_manager.migrations.upgrade import missing_revision
from k8s_manager.store import Store
from tests.ogcapi.test_command_line import cdi, start


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path / 'var' / 'cdi.db'}")) as made:
        yield made


def test_it_makes_the_tables_and_can_be_repeated(tmp_path: Path, store: Store) -> None:
    for _ in range(2):
        code, out, error = cdi(tmp_path, "migrate")
        assert (code, error) == (0, "")
        assert "up to date" in out
    assert missing_revision(store.database) is None


def test_a_check_changes_nothing(tmp_path: Path, store: Store) -> None:
    code, _out, error = cdi(tmp_path, "migrate", "--check")
    assert code == 2
    assert "`cdi migrate` brings it up to date" in error
    assert missing_revision(store.database)


def test_a_check_ends_as_soon_as_another_process_has_migrated(tmp_path: Path, store: Store) -> None:
    waiting = start(tmp_path, "migrate", "--check", "--wait", "100")
    assert waiting.stdout is not None
    assert "waiting:" in waiting.stdout.readline()
    store.migrate()
    out, error = waiting.communicate(timeout=100)
    assert (waiting.returncode, error) == (0, "")
    assert "up to date" in out


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://cdi:secret@127.0.0.1:9/cdi"
    code, _out, error = cdi(tmp_path, "migrate", CDI_DATABASE_URL=url)
    assert code == 2
    assert "127.0.0.1:9" in error
    assert "secret" not in error


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_tables_of_a_newer_version_are_left_alone(
    tmp_path: Path, store: Store, arguments: tuple[str, ...]
) -> None:
    store.migrate()
    with store.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    code, _out, error = cdi(tmp_path, "migrate", *arguments)
    assert (code, error) == (0, "")
    with store.database.read() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert found == "9999"
