"""Settings of who is asked who they are; they stand under ``server.manager.identity``."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from k8s_manager.errors import ConfigError
from k8s_manager.identity import ANONYMOUS, Identity, Role
from k8s_manager.setting_values import section_values

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NONE = "none"
TOKENS = "tokens"
PROXY = "proxy"
METHODS = (NONE, TOKENS, PROXY)


@dataclass(frozen=True)
class IdentitySettings:
    """How those who ask say who they are; build it with `load`."""

    method: str = "none"
    """``none``: nobody is asked, everybody is ``local`` with all rights, and the server listens on
    loopback only; ``tokens``: API tokens (``cdi tokens``); ``proxy``: API tokens, and whom a
    trusted proxy names."""
    anonymous: str = "none"
    """What those may do who do not say who they are, where people are asked: ``none`` (only what
    says what this server is) or ``viewer`` (read what is published, as open data wants it)."""
    proxy_user_header: str = "X-Forwarded-User"
    """Header in which the proxy names the user. It has to remove it from what it is sent."""
    proxy_roles_header: str = "X-Forwarded-Groups"
    """Header in which the proxy names the user's roles, separated by commas; what is no role of
    ours is ignored. The proxy has to remove it likewise."""
    proxy_addresses: tuple[str, ...] = ()
    """Addresses or networks of the proxy, for example ``10.4.0.7,fd00:4::/64``. From elsewhere a
    request with the user header is refused."""

    @classmethod
    def load(cls, given: Any, env: Mapping[str, str]) -> IdentitySettings:
        """Read the section of the file and the environment (``CDI_IDENTITY_<NAME>``).

        Raises:
            ConfigError: A value is not what is expected, or a name is not known.
        """
        settings = cls(**section_values(cls, "identity", given, env))
        settings._check()
        return settings

    @property
    def asked(self) -> bool:
        """Whether those who ask are asked who they are."""
        return self.method != NONE

    @cached_property
    def proxy_networks(self) -> tuple[Network, ...]:
        """The networks of `proxy_addresses`."""
        return tuple(_network(text) for text in self.proxy_addresses)

    @cached_property
    def nobody(self) -> Identity:
        """The identity of those who do not say who they are, where people are asked."""
        roles = {Role.VIEWER} if self.anonymous == Role.VIEWER else set()
        return Identity(ANONYMOUS, frozenset(roles), known=False, ambient=True)

    def _check(self) -> None:
        for name, value, expected in (
            ("METHOD", self.method, METHODS),
            ("ANONYMOUS", self.anonymous, (NONE, Role.VIEWER)),
        ):
            if value not in expected:
                raise ConfigError(
                    f"CDI_IDENTITY_{name} is {value!r}; expected {' or '.join(expected)}"
                )
        if self.method == PROXY and not self.proxy_networks:
            raise ConfigError(
                "CDI_IDENTITY_METHOD is 'proxy', but CDI_IDENTITY_PROXY_ADDRESSES names no address "
                "from which the proxy's headers are believed"
            )


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f"CDI_IDENTITY_PROXY_ADDRESSES: {text!r} is no address or network ({error})"
        ) from error
