"""Who may control: one row with an epoch, so that of several controllers one acts.

The epoch grows with every change of holder, and every write of a controller names the epoch that
it holds. One that was paused and wakes up too late can therefore change nothing. Time is the
database's clock: machines need not agree.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path

from sqlalchemy import Connection, select, update

from k8s_manager import schema
from k8s_manager.database import Database
from k8s_manager.errors import LeaseLost
from k8s_manager.fault_points import reached

log = logging.getLogger(__name__)

_row = schema.lease

_SLACK_S = 60.0
"""Seconds that the lease time of another controller may be longer than ours."""


class Lease:
    """The right to control, held for `ttl_s` seconds at a time."""

    def __init__(self, database: Database, ttl_s: float) -> None:
        self._database = database
        self._ttl_s = ttl_s
        self._renewed = 0.0
        self.holder = (
            f"{_machine()}/{os.getpid()}/{_start_ticks(os.getpid())}/{time.monotonic_ns()}"
        )
        self.epoch: int | None = None
        """The epoch that we hold; None when we do not."""
        self._told = ""

    def acquire(self) -> bool:
        """Take the lease if it is free, has run out, or its holder is known to be dead."""
        with self._database.read() as connection:
            if not self._free(connection):
                return False
        before = time.monotonic()
        with self._database.write() as connection:
            # Locked: of two who ask at once the second has to see that the first has got it.
            epoch = connection.execute(select(_row.c.epoch).with_for_update()).scalar_one() + 1
            if not self._free(connection):
                return False
            expires = self._database.now(connection) + self._ttl_s
            connection.execute(
                update(_row).values(holder=self.holder, epoch=epoch, expires=expires)
            )
        self.epoch, self._renewed = epoch, before
        self._told = ""
        log.info("in control (epoch %d)", epoch)
        reached("lease-taken")
        return True

    def keep(self) -> None:
        """Renew the lease when a third of its time has passed.

        Raises:
            LeaseLost: Somebody else has taken over.
        """
        if time.monotonic() - self._renewed < self._ttl_s / 3:
            return
        before = time.monotonic()
        with self._database.write() as connection:
            guard(connection, self.epoch)
            connection.execute(
                update(_row).values(expires=self._database.now(connection) + self._ttl_s)
            )
        self._renewed = before

    def certain(self) -> bool:
        """Tell, without asking the database, whether nobody else can have taken over yet."""
        return self.epoch is not None and time.monotonic() - self._renewed < self._ttl_s

    def release(self) -> None:
        """Give the lease up at once, so that another need not wait; harmless when not held."""
        if self.epoch is not None:
            with self._database.write() as connection:
                connection.execute(
                    update(_row).where(_row.c.epoch == self.epoch).values(holder="", expires=0.0)
                )
        self.epoch = None

    def _free(self, connection: Connection) -> bool:
        row = connection.execute(select(_row)).one()
        left = row.expires - self._database.now(connection)
        # More time left than anybody is given: the clock was set back. Taking over too early does
        # no harm, the epoch sees to that; waiting for a day would.
        unreal = left > self._ttl_s + _SLACK_S
        free = not row.holder or left <= 0 or unreal or _known_dead(row.holder)
        if not free and self._told != row.holder:  # once for each holder
            log.info("another controller is at work (%s); waiting until it ends", row.holder)
            self._told = row.holder
        return bool(free)


def guard(connection: Connection, epoch: int | None) -> None:
    """Make the transaction count only if `epoch` is the current one, until it is committed.

    Raises:
        LeaseLost: It is not.
    """
    held = connection.execute(
        update(_row).where(_row.c.epoch == epoch, _row.c.holder != "").values(epoch=epoch)
    )
    if held.rowcount != 1:
        raise LeaseLost("another controller has taken over")


def _machine() -> str:
    """Name this machine and process namespace: within it, process ids mean the same."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116  no Path method for it
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _start_ticks(pid: int) -> str:
    """Return when the process started, in clock ticks since boot; "" when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def _known_dead(holder: str) -> bool:
    """Tell whether `holder` was a process of this machine that exists no more."""
    words = holder.split("/")
    if len(words) < 4 or "/".join(words[:-3]) != _machine():
        return False
    pid, ticks = words[-3:-1]
    return _start_ticks(int(pid)) != ticks
