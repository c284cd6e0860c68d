"""All errors that this package raises on purpose, drawn once.

CdiError
├── ConfigError            a setting or configuration file is wrong
│   └── ProcessFileError   a CWL file cannot be loaded or uses an unsupported feature
├── UnknownProcess         no process of that id is configured
├── InvalidInputs          an execute request breaks the process description
├── UnknownDataset         no dataset of that name is configured, or it has no such release
├── NoSuchJob              no record of that id
├── NoSuchToken            there is no API token of that id
├── NotIdentified          who is asking says something about it that is not so
├── NoSuchLog              the job has no such step, index or attempt
├── JobGone                the job's results were removed, or it was dismissed
│   └── FilesExpired       its files were deleted because of their age
├── NotRetryable           the job cannot be tried again in the state that it is in
├── ResultNotReady         the job has not finished
├── TooManyJobs            the owner has as many unfinished jobs as one may have
├── AddressRefused         an address of another host that this server does not ask
├── NoAnswer               another host cannot be reached now, or breaks off
├── BackendError           the place where steps run cannot be used now
├── LeaseLost              another controller has taken over
└── StoreError             the database cannot be used now
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class CdiError(Exception):
    """Base of all errors raised on purpose; its text is meant for people."""


class ConfigError(CdiError):
    """A setting or a configuration file is wrong."""


class ProcessFileError(ConfigError):
    """A process file cannot be loaded, or asks for a feature outside the supported subset."""


class UnknownProcess(CdiError):  # noqa: N818  named as in the standard
    """No process of that id is configured."""


class UnknownDataset(CdiError):  # noqa: N818
    """No dataset of that name is configured, or it has no such release."""


class NoSuchJob(CdiError):  # noqa: N818
    """No job record of that id."""


class NoSuchToken(CdiError):  # noqa: N818
    """There is no API token of that id."""


class NotIdentified(CdiError):  # noqa: N818
    """Who is asking says something about it that is not so: a token that is forged or revoked."""


class NoSuchLog(CdiError):  # noqa: N818
    """The job has no such step, index or attempt."""


class JobGone(CdiError):  # noqa: N818
    """The job was dismissed, or its results were removed."""


class FilesExpired(JobGone):
    """The job's files were deleted because of their age."""


class NotRetryable(CdiError):  # noqa: N818
    """The job cannot be tried again in the state that it is in."""


class ResultNotReady(CdiError):  # noqa: N818
    """The job has not finished yet."""


class TooManyJobs(CdiError):  # noqa: N818
    """The owner has as many unfinished jobs as one may have; some have to end first."""


class AddressRefused(CdiError):  # noqa: N818
    """An address of another host that this server does not ask, now or later."""


class NoAnswer(CdiError):  # noqa: N818
    """Another host cannot be reached now, breaks off, or takes too long."""


class BackendError(CdiError):
    """The place where steps run cannot be used now, or refuses what is asked of it."""


class LeaseLost(CdiError):  # noqa: N818
    """Another controller has taken over; nothing may be written any more."""


class StoreError(CdiError):
    """The database cannot be used now."""


@dataclass(frozen=True)
class Violation:
    """One way in which a request breaks a process description."""

    input: str
    pointer: str
    expected: str
    got: str

    def sentence(self) -> str:
        """Return the violation as one sentence."""
        return f"{self.pointer}: expected {self.expected}, got {self.got}"


class InvalidInputs(CdiError):  # noqa: N818
    """An execute request breaks the process description; holds every violation."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(violation.sentence() for violation in violations))
        self.violations = tuple(violations)
