"""Runs steps as subprocesses of this machine; whoever started them may die meanwhile.

Each attempt has a lock that its runner inherits before it starts and holds until it dies, in
whatever way. So the question "is it still running?" has an exact answer for every controller, also
for one that started later: ``attempt.json`` there -> ended; lock held -> running; else -> gone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from k8s_manager import obstacles, step_runner
from k8s_manager.backends import base
from k8s_manager.backends.attempt_folder import (
    LOCK,
    RUNNER_LOG,
    attempts_on_disk,
    document_of,
    is_locked,
    kill_leftovers,
    last_words,
    never_started,
    remove_unstarted,
    runner_pid,
    take_back,
)
from k8s_manager.backends.base import Attempt, Observation, Round, RoundState, Waiting
from k8s_manager.backends.environment import program_environment
from k8s_manager.backends.local_code import local_code
from k8s_manager.fault_points import reached
from k8s_manager.settings import Settings

FREE_BYTES = 1_000_000
"""Space that must be free before a step starts: for its logs and its ``attempt.json``."""
_RUNNER = (
    "import sys; "
    f"sys.path.append({str(Path(step_runner.__file__).parent)!r}); "
    "import step_runner; step_runner.run()"
)
"""Imported, not run as a script: a script is compiled anew every time, which takes 20 ms."""
_KILL_AFTER_S = step_runner.GRACE_S + 3.0


@dataclass
class _Run:
    """An attempt that this controller started or adopted."""

    round: Round
    index: int
    folder: Path
    pidfd: int | None = None
    seen: Attempt | None = None
    """Its final state, once known."""


@dataclass
class _Submitted:
    round: Round
    runs: dict[int, list[_Run]] = field(default_factory=dict)
    pending: list[int] = field(default_factory=list)


class LocalBackend:
    """Steps as process groups of this machine, at most `Settings.local_slots` cores at once."""

    def __init__(self, settings: Settings) -> None:
        self.may_start: Callable[[], bool] = lambda: True
        self._workspace = Path(os.path.realpath(settings.workspace))
        self._slots = settings.local_slots
        self._ram_mb = int(_physical_ram_mb() * 0.9)
        self._rounds: dict[str, _Submitted] = {}
        self._obstacle: Waiting | None = None
        self._kill_at: dict[Path, float] = {}
        self._children: set[int] = set()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def submit(self, round_: Round) -> None:
        """Queue the indexes of a round that have no attempt yet, and adopt those that have."""
        if round_.name in self._rounds:
            return
        submitted = _Submitted(round_)
        for index in round_.indexes:
            runs = [
                _Run(round_, index, folder)
                for folder in attempts_on_disk(round_, index)
                if not never_started(folder)
            ]
            submitted.runs[index] = runs
            if not runs:
                submitted.pending.append(index)
        self._rounds[round_.name] = submitted
        self._start_pending()

    def observe(self) -> Observation:
        """Look at every attempt, start what there is room for, and say how things are."""
        for submitted in self._rounds.values():
            for run in _runs(submitted):
                if run.seen is None:
                    self._look(run)
        self._reap()
        self._start_pending()
        return Observation(
            {name: self._state(submitted) for name, submitted in self._rounds.items()}
        )

    def cancel(self, name: str) -> bool:
        """Stop what still runs of a round; True when no process of it is left."""
        submitted = self._rounds.get(name)
        if submitted is not None:
            submitted.pending.clear()
        folders = list(self._folders(name, submitted))
        alive = [folder for folder in folders if is_locked(folder)]
        for folder in alive:
            self._stop(folder)
        self._reap()
        if alive:
            return False
        silent = [folder for folder in folders if not (folder / "attempt.json").exists()]
        if not kill_leftovers(silent):
            return False
        for folder in folders:
            self._kill_at.pop(folder, None)
        for run in _runs(submitted) if submitted else ():
            _forget_pidfd(run)
        self._rounds.pop(name, None)
        return True

    def code_of(self, image: str | None, words: Sequence[str]) -> str | None:
        """Identify what is installed on this machine; images play no part here."""
        return local_code(words)

    def wait(self, timeout_s: float) -> None:
        """Return when a runner ends, `wake` is called, or after `timeout_s`."""
        poll = select.poll()
        poll.register(self._wake_in, select.POLLIN)
        for submitted in self._rounds.values():
            for run in _runs(submitted):
                if run.seen is None and not self._watch(run):
                    timeout_s = min(timeout_s, 0.05)
                if run.pidfd is not None:
                    poll.register(run.pidfd, select.POLLIN)
        for descriptor, _events in poll.poll(max(0.0, timeout_s) * 1000):
            if descriptor == self._wake_in.fileno():
                self._wake_in.recv(4096)

    def wake(self) -> None:
        """Make `wait` return."""
        with contextlib.suppress(BlockingIOError):  # full: it is awake already
            self._wake_out.send(b"x")

    def forget(self) -> None:
        """Let go of all attempts; they go on and the next controller finds them."""
        for submitted in self._rounds.values():
            for run in _runs(submitted):
                _forget_pidfd(run)
        self._rounds.clear()

    def close(self) -> None:
        """Let go of all attempts and of what this object holds itself."""
        self.forget()
        self._wake_in.close()
        self._wake_out.close()

    def _folders(self, name: str, submitted: _Submitted | None) -> Iterator[Path]:
        """Yield the folders of all attempts of a round, also of those another controller made."""
        if submitted is not None:
            for index in submitted.round.indexes:
                yield from attempts_on_disk(submitted.round, index)
            return
        job, step, number = base.parse_round_name(name)
        folder = self._workspace / "jobs" / job / step
        for pattern in (f"r{number}-*", f"*/r{number}-*"):
            yield from folder.glob(pattern)

    def _state(self, submitted: _Submitted) -> RoundState:
        attempts = tuple(
            run.seen
            or Attempt(submitted.round.name, run.index, run.folder.name, run.folder, base.RUNNING)
            for run in _runs(submitted)
        )
        if not submitted.pending:
            return RoundState(attempts)
        running = sum(1 for run in self._running())
        sentence = f"{running} running on the {self._slots} slots of this machine"
        return RoundState(attempts, self._obstacle or Waiting("queue", sentence))

    def _running(self) -> Iterator[_Run]:
        for submitted in self._rounds.values():
            for run in _runs(submitted):
                if run.seen is None:
                    yield run

    def _start_pending(self) -> None:
        """Start what there is room for: owners with least running first, then their rounds."""
        while True:
            waiting = [submitted for submitted in self._rounds.values() if submitted.pending]
            if not waiting:
                self._obstacle = None
                return
            running = list(self._running())
            cores = sum(run.round.cores for run in running)
            ram = sum(run.round.ram_mb for run in running)
            of_owner = Counter(run.round.owner for run in running)
            of_round = Counter(run.round.name for run in running)
            waiting.sort(key=lambda item: (of_owner[item.round.owner], of_round[item.round.name]))
            fitting = (
                item
                for item in waiting
                if not running
                or (
                    cores + min(item.round.cores, self._slots) <= self._slots
                    and ram + item.round.ram_mb <= self._ram_mb
                )
            )
            chosen = next(fitting, None)
            if chosen is None or not self.may_start():
                return
            try:
                if not self._start(chosen, chosen.pending[0]):
                    return
            except OSError as error:
                self._obstacle = obstacles.waiting(error, "a step cannot be started")
                return
            self._obstacle = None
            chosen.pending.pop(0)

    def _start(self, submitted: _Submitted, index: int) -> bool:
        """Start the runner of an attempt; False when it was taken back at once.

        It is when this process stood still in between for so long that another controller may
        act by now: that one does not know of the attempt and would not look after it.

        Raises:
            OSError: It cannot be started; nothing is left of the attempt.
        """
        round_ = submitted.round
        folder = round_.index_folder(index) / f"r{round_.number}-{secrets.token_hex(4)}"
        if _free_bytes(self._workspace) < FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._workspace))
        reached("may-start")
        folder.mkdir(parents=True)
        reached("folder-made")
        try:
            child = self._spawn(round_, index, folder)
        except OSError:
            remove_unstarted(folder)
            raise
        reached("runner-started")
        if not self.may_start():
            take_back(child, folder)
            return False
        self._children.add(child)
        submitted.runs[index].append(_Run(round_, index, folder, _pidfd(child)))
        return True

    def _spawn(self, round_: Round, index: int, folder: Path) -> int:
        """Return the id of a new runner; the lock is held before it exists."""
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.set_inheritable(lock, True)
            return os.posix_spawn(
                sys.executable,
                self._command(round_, index, folder.name, lock),
                _environment(round_),
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGPIPE],
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, str(folder / RUNNER_LOG),
                     os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                ],
            )  # fmt: skip
        finally:
            os.close(lock)

    def _command(self, round_: Round, index: int, name: str, lock: int) -> list[str]:
        return [
            sys.executable, "-I", "-S", "-c", _RUNNER,
            "--workspace", str(self._workspace),
            "--task", str(round_.task),
            "--index", str(round_.indexes.index(index)),
            "--attempt", name,
            "--lock-fd", str(lock),
        ]  # fmt: skip

    def _look(self, run: _Run) -> None:
        """Find out whether an attempt has ended.

        The lock is asked first: while it is held, a file called ``attempt.json`` can only have been
        written by the program, and the runner will replace it.
        """
        if is_locked(run.folder):
            return
        document = document_of(run.folder)
        if document is None and not kill_leftovers([run.folder]):
            return  # a new attempt must not run beside what is left of this one
        _forget_pidfd(run)
        state, reason = (base.ENDED, "") if document else (base.GONE, last_words(run.folder))
        name = run.folder.name
        run.seen = Attempt(run.round.name, run.index, name, run.folder, state, document, reason)

    def _reap(self) -> None:
        """Take note of runners of ours that have ended, so that none stays as a zombie."""
        for pid in list(self._children):
            try:
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            except ChildProcessError:
                pass  # somebody else took note
            self._children.discard(pid)

    def _watch(self, run: _Run) -> bool:
        """Make sure that the end of an attempt wakes us; False when it cannot be watched."""
        if run.pidfd is None:
            pid = runner_pid(run.folder)
            if pid is None:
                return False
            run.pidfd = _pidfd(pid)
        return run.pidfd is not None

    def _stop(self, folder: Path) -> None:
        """Ask a runner to stop, and kill it when it has not done so in time."""
        now = time.monotonic()
        number = signal.SIGTERM
        if folder in self._kill_at:
            if now < self._kill_at[folder]:
                return
            number = signal.SIGKILL
        pid = runner_pid(folder)
        if pid is None:
            return
        pidfd = _pidfd(pid)
        if pidfd is None:
            return
        try:
            if is_locked(folder):  # so the id still is the runner's
                signal.pidfd_send_signal(pidfd, number)
                self._kill_at.setdefault(folder, now + _KILL_AFTER_S)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)


def _runs(submitted: _Submitted) -> Iterator[_Run]:
    for runs in submitted.runs.values():
        yield from runs


def _pidfd(pid: int) -> int | None:
    """Return a descriptor of a process, which tells of its end; None when it cannot be had."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _forget_pidfd(run: _Run) -> None:
    if run.pidfd is not None:
        os.close(run.pidfd)
        run.pidfd = None


def _environment(round_: Round) -> dict[str, str]:
    own = Path(sys.executable).parent
    path = f"{own}:{os.environ.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    return {"PATH": path, **program_environment(round_)}


def _physical_ram_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
