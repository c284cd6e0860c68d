"""Finding out who sends a request.

Each way of saying who one is is an `Identification`. They are asked in order, the first that knows
an answer counts. One for OpenID Connect would stand before `ApiTokens` and answer for the bearer
tokens that are its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Protocol

from flask import Request, current_app, g, request

from k8s_manager.errors import ConfigError, NotIdentified, StoreError
from k8s_manager.identity import LOCAL, Identity, Role, check_name
from k8s_manager.identity_settings import PROXY, IdentitySettings
from k8s_manager.tokens import Tokens
from ogcapi.problems import Problem
from ogcapi.service import Service

COOKIE = "cdi-session"
BEARER = "bearer"


class Identification(Protocol):
    """One way in which a request says who sends it."""

    def identify(self, request: Request) -> Identity | None:
        """Return who sends a request; None if it does not say so in this way.

        Raises:
            NotIdentified: It says so, but that is not true (any more).
            StoreError: What is known of identities cannot be read now.
        """
        ...


class TrustedProxy:
    """A proxy has asked, and passes on what it knows in headers; counts before all else."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._settings = settings

    def identify(self, request: Request) -> Identity | None:
        """Believe the headers if they come from the proxy; refuse them from anywhere else."""
        name = request.headers.get(self._settings.proxy_user_header)
        if not name:
            return None
        if not self._is_trusted(request.remote_addr):
            raise NotIdentified(
                f"the header {self._settings.proxy_user_header} comes from {request.remote_addr}, "
                "which is no proxy that is believed (CDI_IDENTITY_PROXY_ADDRESSES)"
            )
        try:
            name = check_name(_unicode(name))
        except ConfigError as error:
            raise NotIdentified(f"{self._settings.proxy_user_header}: {error}") from error
        known = {role.value: role for role in Role}
        words = request.headers.get(self._settings.proxy_roles_header, "").split(",")
        given = (known.get(word.strip()) for word in words)
        return Identity(name, frozenset(role for role in given if role), ambient=True)

    def _is_trusted(self, remote: str | None) -> bool:
        try:
            address = ipaddress.ip_address(remote or "")
        except ValueError:  # a socket in the file system has no address
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._settings.proxy_networks)


class ApiTokens:
    """``Authorization: Bearer`` with an API token (RFC 6750)."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def identify(self, request: Request) -> Identity | None:
        """Look the token up; other schemes are left to others."""
        scheme, _, text = request.headers.get("Authorization", "").strip().partition(" ")
        return self._tokens.identify(text.strip()) if scheme.lower() == BEARER else None


class SignedIn:
    """A browser keeps an API token in a cookie that only the server can read."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def identify(self, request: Request) -> Identity | None:
        """Look the token in the cookie up."""
        text = request.cookies.get(COOKIE)
        if not text:
            return None
        found = self._tokens.identify(text)
        return Identity(found.name, found.roles, ambient=True)


def identifications(settings: IdentitySettings, tokens: Tokens) -> Sequence[Identification]:
    """Return the ways that the settings ask for, in the order in which they count."""
    if not settings.asked:
        return ()
    proxy = [TrustedProxy(settings)] if settings.method == PROXY else []
    return (*proxy, ApiTokens(tokens), SignedIn(tokens))


def asking() -> Identity:
    """Return who sends the current request; where that is not told, the identity of nobody.

    Raises:
        Problem: 401 when it is told, but not true.
        StoreError: What is known of identities cannot be read now.
    """
    if "who" not in g:
        try:
            g.who = _find()
        except (Problem, StoreError) as error:
            g.who = error  # the page that tells of it does not ask again
    found: Identity | Exception = g.who
    if isinstance(found, Exception):
        raise found
    return found


def shown() -> Identity:
    """Return who sends the current request, for a page that everybody may see.

    Who comes with a cookie that counts no more, or while the store is away, is nobody there.
    """
    try:
        return asking()
    except (Problem, StoreError):
        service: Service = current_app.extensions["cdi"]
        return service.settings.identity.nobody


def unidentified(detail: str, error: str | None = None) -> Problem:
    """Return the answer to somebody who has to say who they are."""
    parts = ['realm="cdi"', *([f'error="{error}"'] if error else [])]
    header = {"WWW-Authenticate": f"Bearer {', '.join(parts)}"}
    return Problem(401, "Who is asking?", detail, headers=header)


def _find() -> Identity:
    service: Service = current_app.extensions["cdi"]
    settings = service.settings.identity
    if not settings.asked:
        return LOCAL
    try:
        for way in identifications(settings, service.tokens):
            found = way.identify(request)
            if found is not None:
                return found
    except NotIdentified as error:
        raise unidentified(f"{error}.", "invalid_token") from error
    return settings.nobody


def _unicode(text: str) -> str:
    """Undo WSGI's reading of headers as Latin-1, where they are UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text
