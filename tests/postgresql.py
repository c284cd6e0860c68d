"""A private PostgreSQL server for tests, from the programs that the distribution installs.

It listens on a socket in a folder of its own, runs as an unprivileged user, and is gone when the
process that started it is, in whatever way that ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from k8s_manager.store import Store
from tests.lacking import lacking

_NOBODY = 65534
_EMPTY = "empty"


class PostgreSQL:
    """A server with one database for each test, copied from a migrated one."""

    def __init__(self) -> None:
        self._programs = _programs()
        if shutil.which("setpriv") is None:
            lacking("setpriv (util-linux) is not there: PostgreSQL does not run as root")
        self._folder = Path()
        self._made = 0

    def __enter__(self) -> PostgreSQL:
        self._folder = Path(tempfile.mkdtemp(prefix="cdi-pg-", dir="/tmp"))  # sockets: short paths
        if os.getuid() == 0:
            os.chown(self._folder, _NOBODY, _NOBODY)
        initdb = [self._programs / "initdb", "-D", self._data, "-U", "cdi", "-A", "trust"]
        subprocess.run(
            [*_unprivileged(), *initdb, "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True, capture_output=True, cwd=self._folder,
        )  # fmt: skip
        self.start()
        self._execute(f"CREATE DATABASE {_EMPTY}")
        store = Store(self._url(_EMPTY))
        store.migrate()
        store.close()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGINT)
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        log = (self._folder / "log").open("ab")
        # `fsync` matters when the machine loses power, not when the server is killed.
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", self._folder]
        self._process = subprocess.Popen(
            [*_unprivileged(), "--pdeathsig=QUIT", self._programs / "postgres", "-D", self._data,
             *options], stdout=log, stderr=log, cwd=self._folder,
        )  # fmt: skip
        log.close()
        until = time.monotonic() + 120
        while True:
            try:
                self._execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server; SIGQUIT is ``pg_ctl stop -m immediate``: as in a crash."""
        self._process.send_signal(number)
        self._process.wait(120)

    @contextmanager
    def database(self, template: str = _EMPTY) -> Iterator[str]:
        """Give the URL of a database that exists as long as the context."""
        self._made += 1
        name = f"test{self._made}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self._url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _url(self, name: str) -> str:
        return f"postgresql://cdi@/{name}?host={self._folder}"

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


def _programs() -> Path:
    found = shutil.which("initdb") or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None
    )
    if found is None:
        lacking("there is no PostgreSQL server on this machine (initdb; Debian: postgresql)")
    return Path(found).parent


def _unprivileged() -> list[str]:
    """Return what to put before a command: PostgreSQL refuses to be run by root."""
    if os.getuid() != 0:
        return ["setpriv"]
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
