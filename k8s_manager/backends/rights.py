"""What the controller must be allowed to do in the stages' namespace, and why: all of it.

The role of a deployment grants exactly this, and `cdi check` asks for exactly this.
"""

from __future__ import annotations

from typing import NamedTuple


class Right(NamedTuple):
    """One verb on one kind of resource."""

    verb: str
    resource: str
    group: str
    """API group; empty for the core group."""
    why: str

    def sentence(self) -> str:
        """Return the right as a person would ask for it."""
        return f"{self.verb} {self.resource}" + (f" ({self.group})" if self.group else "")


RIGHTS = (
    Right("create", "jobs", "batch", "every round of a step is one Job"),
    Right("get", "jobs", "batch", "to verify that a Job is gone"),
    Right("list", "jobs", "batch", "to see what exists, whoever created it"),
    Right("watch", "jobs", "batch", "to hear of changes at once"),
    Right("patch", "jobs", "batch", "to let more pods run at once when there is room"),
    Right("delete", "jobs", "batch", "to tidy up behind a round, and to dismiss a job"),
    Right("list", "pods", "", "to see why a pod waits and how one ended"),
    Right("watch", "pods", "", "to hear of changes at once"),
    Right("delete", "pods", "", "to remove pods that no Job owns any more, or of a lost node"),
    Right("list", "events", "", "to say why a pod is refused or does not start"),
)
