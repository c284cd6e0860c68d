"""Bringing a job store up to date, once, even when several processes start at the same moment.

A newer store is right for an older program: while an installation is brought up to date both run,
and it can be taken back without restoring the database. So migrations only add what the version
before can leave alone; what is not needed any more goes one version later.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from k8s_manager import schema
from k8s_manager.database import Database
from k8s_manager.errors import StoreError

AGAIN_S = 1.0
"""Seconds between looks at a store that is not ready."""
_ADVISORY_LOCK = 0x6364692D6E7277  # any number that nobody else takes: "cdi-nrw"


def upgrade(database: Database) -> None:
    """Run the migrations that `database` lacks, all in one transaction.

    Raises:
        StoreError: The database cannot be used now.
    """
    with database.read() as connection:
        if _has_all(_revision(connection)):
            return
    with database.write() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = 0"))  # others may take their time
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        if not _has_all(_revision(connection)):
            _run(connection)


def await_upgrade(
    database: Database, *, upgrading: bool, wait_s: float, say: Callable[[str], None]
) -> None:
    """Return when the store is up to date, looking again for `wait_s` seconds.

    Args:
        database: The job store.
        upgrading: Bring it up to date; otherwise wait until another process has done so.
        wait_s: How long to wait for a database that is away, or for that other process.
        say: Told what is waited for, once for each reason.

    Raises:
        StoreError: The time is over; it says what was wrong last.
    """
    until, said = time.monotonic() + wait_s, ""
    while True:
        try:
            if upgrading:
                upgrade(database)
            if missing := missing_revision(database):
                raise StoreError(f"the job store is not up to date: {missing}")
            return
        except StoreError as error:
            if time.monotonic() >= until:
                raise
            if str(error) != said:
                said = str(error)
                say(f"waiting: {said}")
        time.sleep(AGAIN_S)


def missing_revision(database: Database) -> str | None:
    """Return what is wrong with a store whose tables are older than this version needs.

    Raises:
        StoreError: The database cannot be used now.
    """
    with database.read() as connection:
        found = _revision(connection)
    if _has_all(found):
        return None
    return (
        f"its tables are of revision {found or 'none'}, this version needs {schema.HEAD}; "
        "`cdi migrate` brings it up to date"
    )


def _has_all(revision: str | None) -> bool:
    return revision is not None and revision >= schema.HEAD


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
