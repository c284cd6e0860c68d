"""Requests that are no HTTP, or too long for it, get problem documents too.

gunicorn answers them itself, with a page of its own, before our application sees anything of them.
"""

from __future__ import annotations

import json
from socket import socket
from typing import Any

from gunicorn import util

from ogcapi.problems import MEDIA_TYPE

WORDS = {
    414: "The address is longer than 4094 bytes; send what is long in a body.",
    431: "The headers are too long or too many.",
}


def install() -> None:
    """Replace what gunicorn writes; harmless when called again."""
    if not hasattr(util, "write_error"):
        raise RuntimeError("this gunicorn has no util.write_error")
    util.write_error = write_error


def write_error(sock: socket, status: int, reason: str, message: str) -> None:
    """Write a whole answer; the connection is closed afterwards."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": reason,
        "status": status,
        "detail": WORDS.get(status) or message or reason,
    }
    body = json.dumps(document).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("latin-1") + body)
