"""Problems for what the application never sees: requests that are no HTTP, or too long for it.

gunicorn answers these itself, with a page of HTML; a client that reads problems gets one instead.
"""

from __future__ import annotations

import json
import socket
from http import HTTPStatus

from gunicorn import util

from ogcapi.problems import MEDIA_TYPE

MOST_LINE = 8190
"""Bytes of a request line; gunicorn takes no more. A job filter or a box needs some hundred."""


def install() -> None:
    """Have gunicorn write problem documents.

    Raises:
        RuntimeError: This gunicorn writes its errors in another way.
    """
    if not hasattr(util, "write_error"):
        raise RuntimeError("gunicorn has no util.write_error any more")
    util.write_error = write_problem


def write_problem(client: socket.socket, status: int, reason: str, message: str) -> None:
    """Write an answer to a connection whose request could not be read; it is closed afterwards."""
    document = {
        "type": "about:blank",
        "title": reason,
        "status": status,
        "detail": message or HTTPStatus(status).description or reason,
    }
    body = json.dumps(document).encode("ascii")
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(client, head.encode("latin-1") + body)
