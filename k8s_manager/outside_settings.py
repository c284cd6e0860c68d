"""Settings of what the server asks of other hosts; they stand under ``server.manager.outside``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k8s_manager.errors import ConfigError
from k8s_manager.setting_values import section_values

_HOST = re.compile(r"(\*\.)?[a-z0-9_.-]+(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?")
_LISTS = ("input_hosts", "callback_hosts", "http_hosts", "private_hosts")


@dataclass(frozen=True)
class OutsideSettings:
    """Which hosts may be asked, and how much patience they get; build it with `load`."""

    input_hosts: tuple[str, ...] = ()
    """Hosts from which inputs may be fetched by reference: ``host``, ``host:port`` or
    ``*.domain``. None by default."""
    callback_hosts: tuple[str, ...] = ()
    """Hosts that a subscriber's addresses may name, written likewise. None by default, which
    means that requests with a subscriber are refused."""
    http_hosts: tuple[str, ...] = ()
    """Hosts that may be asked without encryption; of all others the address must be ``https``."""
    private_hosts: tuple[str, ...] = ()
    """Hosts that may have an address of this machine, of a private network or of another kind that
    the public Internet does not have: for tests, and for an installation that asks its
    neighbours."""
    input_limit_bytes: int = 500_000_000
    """Largest file that is fetched by reference. The state's inventory as GeoPackage has some
    10 MB, a tile of orthophotos some 100 MB."""
    input_limit_s: float = 600.0
    """Longest time for fetching one file, redirects included."""
    input_redirects: int = 5
    """Redirects that are followed for one file; every one is checked like the first address."""
    callback_wait_s: float = 10.0
    """Longest time for one callback, from looking up the host to the end of its answer."""
    callback_progress_s: float = 10.0
    """Shortest time between two messages about the progress of one job."""
    callback_retry_s: float = 21_600.0
    """Time for which a callback that is not taken is tried again, at growing intervals: six hours,
    which outlast a night's maintenance."""

    @classmethod
    def load(cls, given: Any, env: Mapping[str, str]) -> OutsideSettings:
        """Read the section of the file and the environment (``CDI_OUTSIDE_<NAME>``).

        Raises:
            ConfigError: A value is not what is expected, or a name is not known.
        """
        settings = cls(**section_values(cls, "outside", given, env))
        settings._check()
        return settings

    def _check(self) -> None:
        for name in _LISTS:
            for host in getattr(self, name):
                if not _HOST.fullmatch(host):
                    raise ConfigError(
                        f"CDI_OUTSIDE_{name.upper()}: {host!r} is no host; expected a name in "
                        "lower case, name:port, *.domain, or an address ([...] for IPv6)"
                    )
        if self.callback_wait_s <= 0 or self.input_limit_s <= 0 or self.callback_progress_s < 0:
            raise ConfigError("the times of server.manager.outside must not be negative or zero")
