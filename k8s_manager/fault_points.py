"""Named moments at which a test lets a process die or stop; in service they do nothing.

``CDI_FAULTS=kill:planned:2`` kills the process (SIGKILL) when it passes the point ``planned`` for
the second time, ``stop:...`` stops it (SIGSTOP) until somebody continues it. The point ``any`` is
all of them, counted together; several faults are separated by commas. The points stand in
`POINTS`, in the order in which a step that publishes passes them.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

from k8s_manager.errors import ConfigError

POINTS = {
    "job-recorded": "the record of a job is written, nobody was told",
    "lease-taken": "the lease is ours, nothing was done with it",
    "inputs-settled": "the job's files are in place",
    "planned": "the steps are written down",
    "attempt-copied": "outputs of a retried job are taken over, not written down",
    "round-opened": "a step and its first round are written down, not its task file",
    "task-written": "the round's task file is there, not submitted",
    "may-start": "a runner may be started, nothing was done for it",
    "folder-made": "an attempt has its folder, no runner",
    "runner-started": "the runner runs, nobody has noted it",
    "end-seen": "attempts have ended, what follows is not written down",
    "before-commit": "all that a transaction changes is said, not yet committed",
    "decided": "what follows from attempts is written down, not done",
    "release-copied": "a release is put together beside its place",
    "release-renamed": "a release is in its place, nothing refers to it",
    "release-switched": "a release is current",
    "round-closed": "a round is written down as closed",
    "step-ended": "a step is written down as done",
    "cleared": "what does not count is deleted, the job has not ended",
    "finishing": "a job is about to end",
    "finished": "a job has ended, nothing was tidied up",
}
"""Each point, and what is true when a process passes it."""
ANY = "any"

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_passed: Counter[str] = Counter()
_faults: dict[tuple[str, int], signal.Signals] = {}


def reached(point: str) -> None:
    """Note that this process passes a point, and suffer the fault that was ordered there."""
    if _faults:
        for name in (point, ANY):
            _passed[name] += 1
            number = _faults.get((name, _passed[name]))
            if number is not None:
                os.kill(os.getpid(), number)


def order(faults: str) -> None:
    """Order faults for this process, in place of those ordered before.

    Raises:
        ConfigError: That is no fault, or there is no such point.
    """
    _passed.clear()
    _faults.clear()
    for text in faults.split(",") if faults else ():
        action, _, rest = text.partition(":")
        point, _, count = rest.partition(":")
        if action not in _SIGNALS or point not in (*POINTS, ANY) or not count.isdecimal():
            raise ConfigError(
                f"CDI_FAULTS: {text!r}; expected ACTION:POINT:PASSAGE with an action of "
                f"{', '.join(_SIGNALS)} and a point of {', '.join((*POINTS, ANY))}"
            )
        _faults[point, int(count)] = _SIGNALS[action]


order(os.environ.get("CDI_FAULTS", ""))
