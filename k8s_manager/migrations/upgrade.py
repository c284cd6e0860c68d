"""Bringing a job store up to date, once, even when several processes start at the same moment."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from k8s_manager import schema
from k8s_manager.database import Database

_ADVISORY_LOCK = 0x6364692D6E7277  # any number that nobody else takes: "cdi-nrw"


def upgrade(database: Database) -> None:
    """Run the migrations that `database` lacks, all in one transaction."""
    with database.read() as connection:
        if _revision(connection) == schema.HEAD:
            return
    with database.write() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = 0"))  # others may take their time
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        if _revision(connection) != schema.HEAD:
            _run(connection)


def missing_revision(database: Database) -> str | None:
    """Return what is wrong with a store whose tables are older than this version needs.

    A newer store is right: while an installation is brought up to date, both versions run.

    Raises:
        StoreError: The database cannot be used now.
    """
    with database.read() as connection:
        found = _revision(connection)
    if found is not None and found >= schema.HEAD:
        return None
    return (
        f"its tables are of revision {found or 'none'}, this version needs {schema.HEAD}; "
        "any command that opens it, such as `cdi jobs`, brings it up to date"
    )


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
