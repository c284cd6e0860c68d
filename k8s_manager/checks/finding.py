"""One line of a check: what was looked at, what was found, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple

from k8s_manager.backends.kubernetes_api import ApiError

OK = "ok"
NOTE = "note"
FAILED = "failed"


class Finding(NamedTuple):
    """What one check found."""

    what: str
    """What was looked at, with its name."""
    state: str
    """``ok``; ``note`` (jobs run, but look at it, or it could not be checked); ``failed``."""
    found: str
    advice: str = ""
    """What to do, where not all is well."""


def ok(what: str, found: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(what, OK, found)


def note(what: str, found: str, advice: str = "") -> Finding:
    """Return that something should be known."""
    return Finding(what, NOTE, found, advice)


def failed(what: str, found: str, advice: str) -> Finding:
    """Return that something keeps jobs from running, and what to do about it."""
    return Finding(what, FAILED, found, advice)


def unread(what: str, error: ApiError) -> Finding:
    """Return that something in the cluster may not be looked at, or cannot be now."""
    if error.status == 403:
        advice = "harmless; grant the right to read it to have it checked"
        return note(what, "not checked: it may not be read", advice)
    return failed(what, str(error), "look after the Kubernetes API")
