"""Who is asking, and what they may do.

Roles are sets, not steps of a ladder: who judges objects, who publishes and who deploys processes
may be three people (docs/decisions/2026-11-25-roles-are-sets.md).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum

from k8s_manager.errors import ConfigError

MOST_CHARACTERS = 200
"""Of a name: what fits into a record's `owner`."""


class Role(StrEnum):
    """What somebody is here for; the values are what tokens and proxies say."""

    VIEWER = "viewer"
    RUNNER = "runner"
    OFFICER = "officer"
    PUBLISHER = "publisher"
    DEPLOYER = "deployer"
    ADMIN = "admin"


MEANINGS = {
    Role.VIEWER: "reads what is published, and the descriptions of processes",
    Role.RUNNER: "executes processes whose results stay with the job; sees, retries, dismisses "
    "its own jobs",
    Role.OFFICER: "decides about single objects",
    Role.PUBLISHER: "executes processes that make a release: it changes what everybody sees",
    Role.DEPLOYER: "adds, replaces and removes processes",
    Role.ADMIN: "everything, also with the jobs of others",
}

INCLUDES: dict[Role, tuple[Role, ...]] = {
    Role.VIEWER: (),
    Role.RUNNER: (Role.VIEWER,),
    Role.OFFICER: (Role.RUNNER,),
    Role.PUBLISHER: (Role.RUNNER,),
    Role.DEPLOYER: (Role.RUNNER,),
    Role.ADMIN: (Role.OFFICER, Role.PUBLISHER, Role.DEPLOYER),
}


@dataclass(frozen=True)
class Identity:
    """Who sends a request."""

    name: str
    """What is written to records as owner."""
    roles: frozenset[Role]
    """The roles given; `may` knows what they include."""
    known: bool = True
    """Whether somebody said who they are; False where nobody did, or nobody is asked."""
    ambient: bool = False
    """Whether a browser sends along by itself what identifies (a cookie, its place behind a proxy
    or on this machine), so that a page of another site could act in this name."""

    def may(self, role: Role) -> bool:
        """Tell whether one of the roles is `role` or includes it."""
        return role in all_of(self.roles)

    @property
    def jobs_of(self) -> str | None:
        """The owner whose jobs are shown; None for those of everybody."""
        return None if self.may(Role.ADMIN) else self.name


LOCAL = Identity("local", frozenset({Role.ADMIN}), known=False, ambient=True)
"""Whoever works on the machine itself: the command line, and a server that asks nobody."""
ANONYMOUS = "anonymous"
RESERVED = {LOCAL.name, ANONYMOUS}


@functools.cache
def all_of(roles: frozenset[Role]) -> frozenset[Role]:
    """Return roles with everything that they include."""
    found: set[Role] = set()
    left = list(roles)
    while left:
        role = left.pop()
        found.add(role)
        left += INCLUDES[role]
    return frozenset(found)


def check_name(name: str) -> str:
    """Return a name under which somebody may own jobs.

    Raises:
        ConfigError: It is reserved, or could be taken for another one or for two.
    """
    if name in RESERVED:
        raise ConfigError(
            f"the name {name!r} is reserved: jobs of the machine itself belong to 'local', and "
            "'anonymous' is nobody; choose another"
        )
    usable = 1 <= len(name) <= MOST_CHARACTERS and name.isprintable() and name == name.strip()
    if not usable or "," in name:
        raise ConfigError(
            f"the name {name[:MOST_CHARACTERS]!r} is not usable; expected 1 to {MOST_CHARACTERS} "
            "printable characters without commas, and no blanks at its ends"
        )
    return name
