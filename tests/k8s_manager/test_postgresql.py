"""What the job store owes to PostgreSQL: durable commits, one snapshot, nobody waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from k8s_manager.database import Database
from k8s_manager.errors import StoreError
from k8s_manager.records import NewJob
from k8s_manager.store import Store

NEW = NewJob("detect", "0.1.0", {}, {"values": {}})


@pytest.fixture
def store_kind() -> str:
    return "postgresql"


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    yield made
    made.close()


@pytest.fixture
def impatient(database_url: str) -> Iterator[Database]:
    made = Database(database_url, busy_timeout_s=0.5)
    yield made
    made.close()


def setting(store: Store, name: str) -> str:
    with store.database.read() as connection:
        return str(connection.execute(text(f"SHOW {name}")).scalar_one())


def test_a_commit_is_waited_for_whatever_the_servers_default_is(store: Store) -> None:
    with store.database.write() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    store.close()
    assert setting(store, "synchronous_commit") == "on"
    with store.database.write() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = remote_apply"))
    store.close()
    assert setting(store, "synchronous_commit") == "remote_apply"


def test_what_is_read_together_is_one_state(store: Store, database_url: str) -> None:
    store.create_job(NEW)
    with closing(Database(database_url)) as other, other.read() as connection:
        count = text("SELECT count(*) FROM jobs")
        assert connection.execute(count).scalar_one() == 1
        store.create_job(NEW)
        assert connection.execute(count).scalar_one() == 1


def test_one_who_stops_in_a_transaction_does_not_hold_up_others(
    store: Store, impatient: Database
) -> None:
    lock = text("UPDATE lease SET epoch = epoch")
    held = impatient.write()
    stopped = held.__enter__()
    stopped.execute(lock)
    with store.database.write() as connection:  # waits until the server has ended the other
        connection.execute(lock)
    with pytest.raises(StoreError, match="idle-in-transaction"):
        held.__exit__(None, None, None)


def test_a_lock_is_not_waited_for_for_ever(store: Store, impatient: Database) -> None:
    lock = text("UPDATE lease SET epoch = epoch")
    with store.database.write() as connection:
        connection.execute(lock)
        with pytest.raises(StoreError, match="lock timeout"), impatient.write() as waiting:
            waiting.execute(lock)
    with impatient.write() as waiting:
        waiting.execute(lock)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    store = Store("postgresql://cdi:secret@127.0.0.1:9/cdi")
    with pytest.raises(StoreError, match=r"cdi:\*\*\*@127\.0\.0\.1:9") as error:
        store.counts()
    assert "secret" not in str(error.value)
