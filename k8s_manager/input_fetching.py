"""Fetching an input that a request names by address, without becoming a door to the inside.

Only hosts that the settings name are asked; redirects are not followed (they could lead anywhere),
addresses of this machine and of private networks are refused, and so is more than a request could
have held itself.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from k8s_manager.settings import Settings
from k8s_manager.workspace import partial_beside

TIMEOUT_S = 30.0
"""Longest wait for a connection or for the next bytes."""


class InputUnavailable(Exception):  # noqa: N818  a state of the world, not of the program
    """A file that a request names cannot be had."""


def fetch(address: str, path: Path, settings: Settings) -> None:
    """Download `address` to `path`, which then exists whole or not at all.

    Raises:
        InputUnavailable: It cannot be had, is too large, or may not be asked for.
        OSError: It cannot be written.
    """
    parts = urlsplit(address)
    if parts.hostname not in settings.input_hosts:
        raise InputUnavailable(f"{address}: inputs are not fetched from {parts.hostname}")
    _refuse_private(parts.hostname or "", parts.port)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_beside(path)
    try:
        _download(address, partial, settings.body_limit_bytes)
        partial.replace(path)
    except httpx.HTTPError as error:
        raise InputUnavailable(f"{address}: {error or type(error).__name__}") from error
    finally:
        partial.unlink(missing_ok=True)


def _download(address: str, partial: Path, limit: int) -> None:
    size = 0
    with (
        httpx.stream("GET", address, timeout=TIMEOUT_S, follow_redirects=False) as response,
        partial.open("wb") as stream,
    ):
        if response.status_code != httpx.codes.OK:
            raise InputUnavailable(f"{address} answers {response.status_code}")
        for data in response.iter_bytes():
            size += len(data)
            if size > limit:
                raise InputUnavailable(f"{address} has more than {limit} bytes")
            stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _refuse_private(host: str, port: int | None) -> None:
    try:
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputUnavailable(f"host {host}: {error}") from error
    for *_ignored, address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
            raise InputUnavailable(f"host {host} is {address[0]}, which is not a public address")
