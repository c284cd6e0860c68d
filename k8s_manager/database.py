"""Opening the job store's database, so that a commit is a promise that survives a power cut.

SQLite: WAL, ``synchronous=FULL``, ``BEGIN IMMEDIATE`` for writes (no deadlock between two readers
who both want to write), a busy time-out. The engine is made anew after a fork: connections must
never be shared between processes.

PostgreSQL: a commit is waited for even where the server's default is not to; what is read together
is one snapshot; nobody waits for ever, be it for a lock, for a server that is not there, or for
somebody who was stopped in the middle of a transaction (the server ends that).
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from k8s_manager.errors import ConfigError, StoreError
from k8s_manager.fault_points import reached

_CLOCK = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from clock_timestamp())::double precision",
}
# All that are opened are kept: one that is opened for one request only costs more than the request.
_POOL = {"pool_size": 15, "max_overflow": 0}
# What lets a connection run a statement without BEGIN and ROLLBACK around it.
_ALONE: dict[str, dict[str, Any]] = {
    "sqlite": {"cdi_alone": True},
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
}


class Database:
    """Transactions on one database URL; safe to share between threads and to carry over a fork."""

    def __init__(self, url: str, busy_timeout_s: float = 15.0) -> None:
        try:
            self._url = make_url(url)
        except ArgumentError as error:
            raise ConfigError(
                f"CDI_DATABASE_URL is {url!r}; expected sqlite:///FILE or postgresql://..."
            ) from error
        if self._url.drivername == "postgresql":
            self._url = self._url.set(drivername="postgresql+psycopg")
        self.dialect = self._url.get_backend_name()
        if self.dialect not in _CLOCK:
            raise ConfigError(f"database {self.dialect!r} is not supported; use sqlite, postgresql")
        self._busy_timeout_s = busy_timeout_s
        self._engine: Engine | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    @property
    def place(self) -> str:
        """The database's URL, without a password."""
        return self._url.render_as_string(hide_password=True)

    @property
    def exists(self) -> bool:
        """False for an SQLite file that is not there: the first use will make it."""
        return self.dialect != "sqlite" or Path(str(self._url.database)).exists()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading: one consistent state of the database.

        Raises:
            StoreError: The database cannot be used now.
        """
        with self._mapped(), self._opened().connect() as connection:
            if self.dialect == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def first(self, query: Select[Any], parameters: Mapping[str, Any]) -> Row[Any] | None:
        """Return the first row of a query that is read alone.

        One statement sees one consistent state without a transaction, which would cost as much
        again, and a database server two more round trips.

        Raises:
            StoreError: The database cannot be used now.
        """
        with self._mapped(), self._opened().connect() as connection:
            connection = connection.execution_options(**_ALONE[self.dialect])
            return connection.execute(query, parameters).first()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose changes all count, or none.

        Raises:
            StoreError: The database cannot be used now; nothing was changed.
        """
        with self._mapped(), self._own_turn(), self._opened().connect() as connection:
            connection = connection.execution_options(cdi_write=True)
            with connection.begin():
                yield connection
                reached("before-commit")

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for a database server."""
        return Path(str(self._url.database)) if self.dialect == "sqlite" else None

    def now(self, connection: Connection) -> float:
        """Return the database's own clock in Unix seconds: the one clock all controllers share."""
        return float(connection.execute(text(f"SELECT {_CLOCK[self.dialect]}")).scalar_one())

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        with self._lock:
            if self._engine is not None and self._pid == os.getpid():
                self._engine.dispose()
            self._engine = None

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None or self._pid != os.getpid():
                if self._engine is not None:
                    self._engine.dispose(close=False)
                self._engine = self._create()
                self._pid = os.getpid()
            return self._engine

    def _create(self) -> Engine:
        if self.dialect == "postgresql":
            return self._create_postgresql()
        if self._url.database in (None, "", ":memory:"):
            raise ConfigError("the job store cannot be in memory: it has to outlive the process")
        folder = Path(str(self._url.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"folder {folder} of the job store: {error.strerror}") from error
        engine = create_engine(
            self._url,
            **_POOL,
            pool_timeout=self._busy_timeout_s,
            connect_args={"timeout": self._busy_timeout_s},
        )
        event.listen(engine, "connect", self._prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def _create_postgresql(self) -> Engine:
        seconds = max(2, math.ceil(self._busy_timeout_s))
        engine = create_engine(
            self._url,
            **_POOL,
            pool_pre_ping=True,
            pool_timeout=self._busy_timeout_s,
            connect_args={
                "connect_timeout": seconds,
                "tcp_user_timeout": seconds * 1000,
                "keepalives_idle": seconds,
                "keepalives_interval": seconds,
                "keepalives_count": 2,
            },
        )
        event.listen(engine, "connect", self._prepare_postgresql)
        return engine

    def _prepare_postgresql(self, connection: Any, _record: Any) -> None:
        limit = f"{max(1, int(self._busy_timeout_s * 1000))}ms"
        with connection.cursor() as cursor:
            for name in ("lock_timeout", "idle_in_transaction_session_timeout"):
                cursor.execute("SELECT set_config(%s, %s, false)", (name, limit))
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
        connection.commit()

    def _prepare(self, connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun by `_begin` alone
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError:
                # The switch to WAL does not wait for others that are just doing the same.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Let the threads of this process write to SQLite one after the other.

        Its own waiting is asking again and again, up to 0.1 s apart, while others come first.
        """
        if self.dialect != "sqlite":
            yield
            return
        if not self._writing.acquire(timeout=self._busy_timeout_s):
            raise StoreError(f"job store {self.place}: too many changes at once")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, NoFreeConnection) as error:
            reason = error.orig if isinstance(error, DBAPIError) else "too many requests at once"
            raise StoreError(f"job store {self.place}: {reason}") from error


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("cdi_alone"):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("cdi_write") else "BEGIN")
