"""Bringing a job store up to date, once, even when several processes start at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from k8s_manager import schema
from k8s_manager.database import Database
from k8s_manager.errors import StoreError

_ADVISORY_LOCK = 0x6364692D6E7277  # any number that nobody else takes: "cdi-nrw"


AGAIN_S = 1.0
"""Seconds between looks at a database that is not ready."""


class NotReady(StoreError):  # noqa: N818  it is expected to pass
    """The tables are of an older version than this program's."""


class TooNew(StoreError):  # noqa: N818  named like its opposite
    """The tables are of a newer version than this program's, which cannot go back."""


def upgrade(database: Database) -> None:
    """Run the migrations that `database` lacks, all in one transaction.

    Raises:
        TooNew: A newer version of this program has migrated it already.
        StoreError: The database cannot be used now.
    """
    if is_current(database):
        return
    with database.write() as connection:
        if database.dialect == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        if _revision(connection) != schema.HEAD:
            _run(connection)


def is_current(database: Database) -> bool:
    """Tell whether the tables are of this program's version.

    Raises:
        TooNew: They are newer.
        StoreError: The database cannot be used now.
    """
    with database.read() as connection:
        found = _revision(connection)
    if found is not None and found > schema.HEAD:
        raise TooNew(
            f"the job store has tables of version {found}, this program knows only "
            f"{schema.HEAD}: run the newer program, or restore the backup from before the upgrade"
        )
    return found == schema.HEAD


def await_ready(
    database: Database, *, migrate: bool, wait_s: float, say: Callable[[str], None]
) -> None:
    """Return when the tables are up to date, trying again for `wait_s` seconds.

    Args:
        database: The job store.
        migrate: Bring the tables up to date; otherwise wait until another process has done it.
        wait_s: How long a database that is not there yet, or not migrated, is waited for.
        say: Told once what is waited for, and again when that changes.

    Raises:
        TooNew: The tables are of a newer version, which no waiting changes.
        StoreError: The time is over; it says what was missing last.
    """
    until, said = time.monotonic() + wait_s, ""
    while True:
        try:
            if migrate:
                return upgrade(database)
            if is_current(database):
                return None
            raise NotReady("the tables of the job store are not up to date; run `cdi migrate`")
        except TooNew:
            raise
        except StoreError as error:
            if time.monotonic() >= until:
                raise
            if str(error) != said:
                said = str(error)
                say(f"waiting: {said}")
        time.sleep(AGAIN_S)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _run(connection: Connection) -> None:
    from alembic import command  # 0.2 s, needed once in a store's life
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
