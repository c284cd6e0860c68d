"""Rings as soon as somebody has written to an SQLite store, so that a new job waits for no clock.

SQLite counts the commits of others; to ask for the count takes a fiftieth of what a look at the
store takes. A ring is a hint: whoever is woken reads the store, and what the bell misses is found
by the looks that come anyhow.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

LOOK_S = 0.01
"""Seconds between questions: on average a new job waits for half of it."""

log = logging.getLogger(__name__)


class Doorbell:
    """Calls `ring` from a thread of its own when the SQLite database `file` was written to.

    Without a file (another kind of database) it never rings.
    """

    def __init__(self, file: Path | None, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._stop = threading.Event()
        if file is not None:
            threading.Thread(target=self._watch, args=(file,), name="doorbell", daemon=True).start()

    def close(self) -> None:
        """Ring no more."""
        self._stop.set()

    def _watch(self, file: Path) -> None:
        try:
            with closing(sqlite3.connect(file, isolation_level=None)) as connection:
                seen = _commits(connection)
                while not self._stop.wait(LOOK_S):
                    commits = _commits(connection)
                    if commits != seen:
                        seen = commits
                        self._ring()
        except sqlite3.Error as error:
            log.warning("%s: %s; new jobs are found a little later", file, error)


def _commits(connection: sqlite3.Connection) -> int:
    """Return a number that changes with every commit of another connection."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
