"""A controller that kills itself at a chosen point; runs in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from k8s_manager import execution, job_files, releases, reuse, reused_files
from k8s_manager.backends.local import LocalBackend
from k8s_manager.database import Database
from tests.k8s_manager.installation import Installation


def carry_out(home: Path, job_id: str, kill_at: int | None) -> None:
    """Run a job to its end, or be killed at the point numbered `kill_at`.

    Points lie before and after every transaction, every start of a runner, every task file and
    every copy of a release or of an attempt that is reused: wherever something lasting happens.
    """
    passed = 0

    def point() -> None:
        nonlocal passed
        passed += 1
        if passed == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    _points_around(LocalBackend, "_start", point)
    _points_around(job_files, "write_task", point)
    _points_around(releases, "copy_tree", point)
    _points_around(reuse, "copy_attempt", point)
    _points_around(reused_files, "link_file", point)
    _points_around(execution, "clear_up", point)
    real = Database.write

    @contextmanager
    def write(self: Database) -> Any:
        point()
        with real(self) as connection:
            yield connection
            point()
        point()

    Database.write = write  # type: ignore[assignment]
    installation = Installation.at(home)
    controller = installation.controller()
    controller.run_until(job_id)
    controller.dispose()
    installation.store.close()


def _points_around(owner: Any, name: str, point: Callable[[], None]) -> None:
    real = getattr(owner, name)

    def with_points(*arguments: Any) -> Any:
        point()
        result = real(*arguments)
        point()
        return result

    setattr(owner, name, with_points)
