"""What a place that runs steps must offer; Kubernetes and local subprocesses pass one contract.

A backend keeps no record of its own: everything it says is read from what exists now, so that a
controller that was killed finds its rounds again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

RUNNING = "running"
ENDED = "ended"
GONE = "gone"

_NAME = re.compile(r"cdi-([0-9a-f]{32})-([a-z0-9-]{1,20})-r(\d+)")


@dataclass(frozen=True)
class Round:
    """A round to run: the indexes of one step that are still open."""

    job: str
    step: str
    number: int
    epoch: int
    indexes: tuple[int, ...]
    """Scatter index of each of the round's indexes."""
    scattered: bool
    folder: Path
    """The step's folder, which holds the task file."""
    cores: float = 1
    ram_mb: int = 256
    time_limit_s: int | None = None
    network: bool = False
    gpus: int = 0
    image: str | None = None
    process: str = ""
    """Id of the step's process."""
    owner: str = "local"
    """Whose job it is: owners take turns where there is not room for all."""

    @property
    def name(self) -> str:
        """The round's name, the same whoever computes it."""
        return round_name(self.job, self.step, self.number)

    @property
    def task(self) -> Path:
        """The round's task file."""
        return self.folder / f"task-r{self.number}.json"

    def index_folder(self, index: int) -> Path:
        """Return the folder that holds the attempts of a scatter index."""
        return self.folder / str(index) if self.scattered else self.folder


@dataclass(frozen=True)
class Attempt:
    """One program start, as it is now."""

    round: str
    index: int
    """Scatter index."""
    name: str
    folder: Path
    state: str
    """``running``, ``ended`` (its ``attempt.json`` is there) or ``gone`` (it never will be)."""
    document: Mapping[str, Any] | None = None
    """``attempt.json``, when ended."""
    reason: str = ""
    """Why it is gone, as a sentence, as far as that is known."""
    cause: str = ""
    """Why it is gone, as a word, where that matters for what follows: ``memory``,
    ``time-limit``, ``disk``."""
    repeats: bool = False
    """The backend itself starts this index again, within the same round."""
    image: str | None = None
    """The image that ran, by digest."""


@dataclass(frozen=True)
class Waiting:
    """Why indexes of a round have not started: a reason code of the contract and a sentence."""

    code: str
    sentence: str


@dataclass(frozen=True)
class RoundState:
    """A round as it is now."""

    attempts: tuple[Attempt, ...] = ()
    waiting: Waiting | None = None
    """Set while at least one index has no attempt that runs or that counts."""
    failure: Waiting | None = None
    """Set when waiting is pointless (refused by admission, image not allowed...)."""


@dataclass(frozen=True)
class Observation:
    """All rounds that a backend knows of, by name."""

    rounds: Mapping[str, RoundState] = field(default_factory=dict)
    strays: tuple[str, ...] = ()
    """Names of rounds that exist but were not submitted to this backend object: another
    controller's, or come back with a restored cluster."""
    removals: Mapping[str, Waiting] = field(default_factory=dict)
    """Why rounds that are being cancelled are not gone yet, where something is in the way."""


class Backend(Protocol):
    """Where rounds run."""

    may_start: Callable[[], bool]
    """Asked right before anything is started: the controller's lease may have run out."""

    def submit(self, round_: Round) -> None:
        """Make the round run; harmless when it was submitted before, by whomever."""

    def observe(self) -> Observation:
        """Return all submitted rounds that have not been cancelled, and their attempts."""

    def cancel(self, name: str) -> bool:
        """Stop what still runs of a round and forget it; True once nothing of it is left.

        Also tidies up behind a round that has ended. Ask again until it is True.
        """

    def code_of(self, image: str | None, words: Sequence[str]) -> str | None:
        """Return what identifies the code that a program is, at most 64 characters.

        Equal code gives equal answers, now and from other controllers. None when it is not known:
        then nothing that it made is ever reused.

        Args:
            image: The image that its process file names.
            words: Its command without the values of inputs.
        """

    def wait(self, timeout_s: float) -> None:
        """Return when something has changed, or after `timeout_s`."""

    def wake(self) -> None:
        """Make a running `wait` return; may be called from any thread or signal handler."""

    def forget(self) -> None:
        """Let go of all rounds without stopping anything; they can be submitted again."""

    def close(self) -> None:
        """Let go of everything without stopping it; the backend is not used again."""


def round_name(job: str, step: str, number: int) -> str:
    """Return the name of a round: computed, so that creating it twice is harmless."""
    return f"cdi-{job}-{step}-r{number}"


def parse_round_name(name: str) -> tuple[str, str, int]:
    """Return job, step and number of a round's name.

    Raises:
        ValueError: It is no round's name.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is not the name of a round")
    return match.group(1), match.group(2), int(match.group(3))
