"""The body of a request as a JSON object, read with limits: nobody's body takes the server down.

What is refused is told apart: too large (413), not JSON in UTF-8 (415), wrong in itself (400).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from ogcapi.problems import Problem

DEEPEST = 72
"""Levels of nesting: 64 of an input's value (`k8s_manager.inputs`) and what stands around it."""
MOST_PARTS = 2_000_000
"""Arrays and objects: each takes some 70 bytes of memory, however few in the body. The state's
inventory as GeoJSON, the largest body that we know of, has a million coordinate pairs."""
DRAIN_BYTES = 100_000_000
"""What is taken of a body that is too large, and forgotten, so that the answer arrives, and..."""
DRAIN_S = 5.0
"""...for how long, as far as the client goes on sending."""
_NO_JSON = "The body is not valid JSON"
_CHARSETS = ("", "utf-8", "utf8", "us-ascii")


def read(expected: str) -> dict[str, Any]:
    """Return the JSON object that the body of the current request holds.

    Args:
        expected: What to send instead, for the problem.

    Raises:
        Problem: 400, 413 or 415, with what to do.
        ClientDisconnected, ParseException, RequestEntityTooLarge: See `failure`.
    """
    _check_type()
    body = document(_data(), expected)
    if not isinstance(body, dict):
        raise Problem(400, "The body is not a JSON object", f"Expected {expected}.")
    return body


def document(data: bytes, expected: str) -> Any:
    """Return the JSON document that bytes hold, which may be of any type.

    Args:
        data: The body of a request, or what a field of a form holds.
        expected: What to send instead, for the problem.

    Raises:
        Problem: 400 or 413, with what to do.
    """
    if data.count(b"[") + data.count(b"{") > MOST_PARTS:
        raise Problem(
            413,
            "The body has too many parts",
            f"At most {MOST_PARTS:,} arrays and objects are taken. Give large inputs as files by "
            "reference: {href, type}.",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(
            400, _NO_JSON, f"Byte {error.start} is not UTF-8. Send JSON in UTF-8: {expected}."
        ) from error
    body = _parsed(text, expected)
    if not _is_shallow(body):
        raise Problem(400, "The body is nested too deeply", f"At most {DEEPEST} levels are taken.")
    if b"\\u" in data and not all(_is_writable(part) for part in _texts(body)):
        raise Problem(
            400,
            "The body holds text that no program can take",
            "A NUL character (\\u0000) or half a surrogate pair (\\ud800 to \\udfff) is in it.",
        )
    return body


def _check_type() -> None:
    # The second is what `curl -d` sends when no type is given.
    if request.mimetype not in ("", "application/json", "application/x-www-form-urlencoded"):
        raise Problem(
            415, "Unsupported media type", f"{request.mimetype} given; send application/json"
        )
    charset = request.mimetype_params.get("charset", "").lower()
    if charset not in _CHARSETS:
        raise Problem(415, "Unsupported charset", f"{charset} given; send JSON in UTF-8")
    coding = request.headers.get("Content-Encoding", "identity").lower()
    if coding not in ("", "identity"):
        raise Problem(
            415,
            "Unsupported content coding",
            f"{coding} given; send the body as it is",
            headers={"Accept-Encoding": "identity"},
        )


def _data() -> bytes:
    """Return the body; raises what `failure` knows."""
    data = request.get_data(cache=False, parse_form_data=False)
    given = request.content_length
    if given is not None and len(data) < given:
        raise ClientDisconnected
    # Of a body whose length was not announced, what lies beyond the limit is left where it is.
    if given is None and _beyond(1):
        raise RequestEntityTooLarge
    return data


def failure(error: Exception) -> Exception:
    """Return the answer to a body that cannot be read; any other error as it is."""
    if isinstance(error, RequestEntityTooLarge):
        return _too_large()
    if isinstance(error, ClientDisconnected | ParseException):
        return Problem(
            400, "The body is not complete", "It ends before the announced length, or in a chunk."
        )
    return error


def _too_large() -> Problem:
    """Return the answer to a body above the limit, once the client can take it."""
    _drain()
    limit, given = request.max_content_length, request.content_length
    size = f"{given:,} bytes were announced" if given is not None else "It goes on after that"
    return Problem(
        413,
        "The body is too large",
        f"At most {limit:,} bytes are taken. {size}. Give large inputs as files by reference: "
        "{href, type}.",
    )


def _drain() -> None:
    """Take the rest of a body and forget it, within bounds.

    To close a connection that somebody still writes to resets it, and the answer may be lost.
    """
    until, left = time.monotonic() + DRAIN_S, DRAIN_BYTES
    while left > 0 and time.monotonic() < until:
        data = _beyond(min(65_536, left))
        if not data:
            return
        left -= len(data)


def _beyond(most: int) -> bytes:
    """Read what the application was not given of a body."""
    if not request.environ.get("wsgi.input_terminated"):
        return b""  # only the server knows where the body ends
    data: bytes = request.environ["wsgi.input"].read(most)
    return data


def _parsed(text: str, expected: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_without_doubles)
    except RecursionError as error:
        raise Problem(
            400, "The body is nested too deeply", f"At most {DEEPEST} levels are taken."
        ) from error
    except json.JSONDecodeError as error:
        raise Problem(400, _NO_JSON, f"{error}. Send {expected}.") from error
    except _NotStrictError as error:
        raise Problem(400, _NO_JSON, f"{error}.") from error
    except ValueError as error:  # the interpreter's limit for the digits of a whole number
        raise Problem(400, _NO_JSON, "It holds a number with thousands of digits.") from error


class _NotStrictError(ValueError):
    """The body is JSON for Python, but not for everybody."""


def _no_constant(name: str) -> Any:
    raise _NotStrictError(f"{name} is not a JSON number")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _NotStrictError(f"an object has the member {name[:100]!r} twice")
            seen.add(name)
    return members


def _is_shallow(body: Any) -> bool:
    level: list[Any] = [body] if isinstance(body, dict | list) else []
    for _ in range(DEEPEST):
        level = [
            item
            for part in level
            for item in (part.values() if isinstance(part, dict) else part)
            if isinstance(item, dict | list)
        ]
        if not level:
            return True
    return False


def _texts(body: Any) -> Iterator[str]:
    """Yield every key and every text of a document."""
    left = [body]
    while left:
        part = left.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            left += part


def _is_writable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
