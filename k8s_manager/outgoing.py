"""The one door to other hosts: whatever the server asks on a client's behalf goes through a guard.

A client that may name an address could otherwise let the server ask what only the server reaches:
its own machine, its neighbours, a cloud's metadata. So of every address

- the host has to be on a list of the settings, and the scheme is ``https`` unless the settings say
  otherwise of that host;
- the host's name is looked up once, every address that it has must be a public one, and the
  connection goes to an address that was checked: a second look-up could give another one. TLS and
  the ``Host`` header still use the name;
- redirects are never followed here; whoever wants to follow one asks the guard anew;
- the whole exchange has one time limit, however slowly the other side sends.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from k8s_manager.errors import AddressRefused, NoAnswer
from k8s_manager.outside_settings import OutsideSettings
from k8s_manager.public_addresses import Address, is_public

LONGEST = 2000
"""Characters that an address may have."""
NOBODY = "no address: this server asks no other hosts"
_PORTS = {"https": 443, "http": 80}
WRITE_BYTES = 65_536
"""What is sent at once; the time limit is looked at before each."""
_HEADERS: dict[str | bytes, str | bytes] = {
    "User-Agent": "cdi",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True)
class Answer:
    """What another host answers, while it is being read."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case."""
    chunks: Iterator[bytes]
    """The body as it comes; raises `NoAnswer` when it breaks off."""


@dataclass(frozen=True)
class Guard:
    """Decides what may be asked, and asks it."""

    hosts: tuple[str, ...]
    """Who may be asked at all: ``host``, ``host:port`` or ``*.domain``."""
    http_hosts: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = ()

    @classmethod
    def of_inputs(cls, settings: OutsideSettings) -> Guard:
        """Return the guard of inputs by reference."""
        return cls(settings.input_hosts, settings.http_hosts, settings.private_hosts)

    @classmethod
    def of_callbacks(cls, settings: OutsideSettings) -> Guard:
        """Return the guard of a subscriber's addresses."""
        return cls(settings.callback_hosts, settings.http_hosts, settings.private_hosts)

    def expected(self, address: Any) -> str | None:
        """Return what is expected in place of `address`; None when it may be asked.

        Nobody is asked for it: what the host's name stands for is checked when it is connected.
        """
        if not isinstance(address, str) or not 0 < len(address) <= LONGEST:
            return f"an address of at most {LONGEST} characters"
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, ValueError):
            return "an https address"
        host, port = _host_and_port(url)
        if url.scheme not in _PORTS or not host or not 0 < port < 65536:
            return "an https address"
        if not self.hosts:
            return NOBODY
        if not _named(host, port, self.hosts):
            return "an address at " + " or ".join(self.hosts)
        if url.userinfo:
            return "an address without user name and password"
        if url.scheme == "http" and not _named(host, port, self.http_hosts):
            return "an https address (this host is not asked without encryption)"
        literal = _literal(host)
        if literal is not None and not self._may_connect(host, port, literal):
            return "a host with a public address"
        return None

    @contextmanager
    def ask(
        self,
        method: str,
        address: str,
        *,
        limit_s: float,
        wait_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Answer]:
        """Send a request and give the answer, of which headers have come.

        Args:
            method: ``GET`` or ``POST``.
            address: Whom to ask.
            limit_s: Seconds that all of it may take, until the answer's last byte.
            wait_s: Longest wait for a connection or for the next bytes.
            body: What is sent.
            headers: What is said beside it.

        Raises:
            AddressRefused: This server does not ask there; it will not later either.
            NoAnswer: The host cannot be reached now, breaks off, or takes too long.
        """
        expected = self.expected(address)
        if expected is not None:
            raise AddressRefused(f"{address}: expected {expected}")
        url = httpx.URL(address)
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        backend = _CheckedBackend(self, time.monotonic() + limit_s)
        sent = {**_HEADERS, "Host": url.netloc.decode("ascii")}
        sent.update(headers or {})
        waits = dict.fromkeys(("connect", "read", "write", "pool"), wait_s)
        with (
            _mapped(address),
            httpcore.ConnectionPool(_trusted(), network_backend=backend) as pool,
            pool.stream(
                method,
                target,
                headers=sent,
                content=body,
                extensions={"timeout": waits},
            ) as response,
        ):
            names = (
                (name.decode().lower(), text.decode("latin-1")) for name, text in response.headers
            )
            yield Answer(response.status, dict(names), _chunks(address, response))

    def addresses(self, host: str, port: int) -> list[str]:
        """Look up a host, once, and return its addresses, all of which may be connected to.

        Raises:
            AddressRefused: It has one that may not.
            NoAnswer: It is not known now.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NoAnswer(f"host {host} cannot be found: {error}") from error
        texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for text in texts:
            if not self._may_connect(host, port, ipaddress.ip_address(text.partition("%")[0])):
                raise AddressRefused(f"host {host} is {text}, which is not a public address")
        return texts

    def _may_connect(self, host: str, port: int, address: Address) -> bool:
        return is_public(address) or _named(host, port, self.private_hosts)


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to addresses that the guard has checked, and to no other."""

    def __init__(self, guard: Guard, until: float) -> None:
        self._guard = guard
        self._until = until
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._guard.addresses(host.rstrip("."), port)
        for tried, address in enumerate(addresses, 1):
            left = _left(self._until, timeout, httpcore.ConnectTimeout)
            share = left / (len(addresses) - tried + 1)  # one that is silent leaves time for others
            try:
                stream = self._inner.connect_tcp(
                    address, port, share, local_address, socket_options
                )
                return _TimedStream(stream, self._until)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if tried == len(addresses):
                    raise
        raise NoAnswer(f"host {host} has no address")


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends with the time limit of the whole exchange."""

    def __init__(self, inner: httpcore.NetworkStream, until: float) -> None:
        self._inner = inner
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._until, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITE_BYTES):
            left = _left(self._until, timeout, httpcore.WriteTimeout)
            self._inner.write(buffer[start : start + WRITE_BYTES], left)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._until, timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, left), self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(until: float, timeout: float | None, over: type[Exception]) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise over("the time for it is over")
    return left if timeout is None else min(left, timeout)


@contextmanager
def _mapped(address: str) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise NoAnswer(f"{address} takes too long") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise NoAnswer(f"{address}: {error or type(error).__name__}") from error


def _chunks(address: str, response: httpcore.Response) -> Iterator[bytes]:
    with _mapped(address):
        yield from response.iter_stream()


def _trusted() -> ssl.SSLContext:
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=2)
def _context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return whose certificates are believed; it takes 20 ms to make."""
    return httpx.create_ssl_context()


def _host_and_port(url: httpx.URL) -> tuple[str, int]:
    host = url.raw_host.decode("ascii").rstrip(".").lower()
    return host, url.port or _PORTS.get(url.scheme, 0)


def _named(host: str, port: int, entries: Iterable[str]) -> bool:
    """Tell whether a host is on a list."""
    for entry in entries:
        name, _, wanted = entry.rpartition(":") if _has_port(entry) else (entry, "", "")
        name = name.strip("[]")
        if wanted and int(wanted) != port:
            continue
        if host == name or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def _has_port(entry: str) -> bool:
    return "]:" in entry or entry.count(":") == 1


def _literal(host: str) -> Address | None:
    """Return the address that stands in place of a name, None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
