"""Fetching an input that a request names by address, without becoming a door to the inside.

`outgoing` decides who may be asked, also after every redirect. What comes has to be whole, of the
announced kind, not too large and not too late.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection
from pathlib import Path

import httpx

from k8s_manager.errors import AddressRefused, NoAnswer
from k8s_manager.outgoing import Answer, Guard
from k8s_manager.outside_settings import OutsideSettings
from k8s_manager.workspace import partial_beside

WAIT_S = 30.0
"""Longest wait for a connection or for the next bytes."""
_REDIRECTS = (301, 302, 303, 307, 308)
_ANY = ("", "octet-stream")
"""What servers say that do not know what they send."""


class InputUnavailable(Exception):  # noqa: N818  a state of the world, not of the program
    """A file that a request names cannot be had."""


def fetch(
    address: str, path: Path, settings: OutsideSettings, media_types: Collection[str] = ()
) -> None:
    """Download `address` to `path`, which then exists whole or not at all.

    Args:
        address: Where it lies.
        path: Where it shall lie.
        settings: Who may be asked, and the limits.
        media_types: What it may be; empty for anything.

    Raises:
        InputUnavailable: It cannot be had, is too large, something else than was announced, takes
            too long, or may not be asked for.
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_beside(path)
    try:
        _follow(address, partial, settings, media_types)
        partial.replace(path)
    except (AddressRefused, NoAnswer) as error:
        raise InputUnavailable(str(error)) from error
    finally:
        partial.unlink(missing_ok=True)


def _follow(
    address: str, partial: Path, settings: OutsideSettings, media_types: Collection[str]
) -> None:
    """Download what lies at `address` or where it redirects to."""
    guard = Guard.of_inputs(settings)
    until = time.monotonic() + settings.input_limit_s
    place = address
    for _ in range(settings.input_redirects + 1):
        left = max(0.0, until - time.monotonic())
        with guard.ask("GET", place, limit_s=left, wait_s=WAIT_S) as answer:
            if answer.status not in _REDIRECTS:
                _check(place, answer, settings.input_limit_bytes, media_types)
                _save(place, answer, partial, settings.input_limit_bytes)
                return
            place = _target(place, answer)
    raise InputUnavailable(f"{address} redirects more than {settings.input_redirects} times")


def _target(place: str, answer: Answer) -> str:
    """Return where a redirect leads; whether that may be asked is not looked at."""
    location = answer.headers.get("location", "")
    with contextlib.suppress(httpx.InvalidURL, ValueError):
        if location:
            return str(httpx.URL(place).join(location))
    raise InputUnavailable(f"{place} answers {answer.status} without saying where to look")


def _check(place: str, answer: Answer, limit: int, media_types: Collection[str]) -> None:
    if answer.status != httpx.codes.OK:
        raise InputUnavailable(f"{place} answers {answer.status}")
    if answer.headers.get("content-encoding", "identity") != "identity":
        coding = answer.headers["content-encoding"]
        raise InputUnavailable(f"{place} comes in {coding}, which was not asked for")
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise InputUnavailable(f"{place} has {length} bytes; at most {limit} are fetched")
    given = answer.headers.get("content-type", "")
    if not fits(given, media_types):
        expected = " or ".join(media_types)
        raise InputUnavailable(f"{place} is {given!r}; expected {expected}")


def fits(given: str, media_types: Collection[str]) -> bool:
    """Tell whether what a server calls a file can be one of these media types.

    Servers seldom know the exact name: ``application/json`` may be GeoJSON, and plain text anything
    that is text; but a page that says "sign in" is never a GeoPackage.
    """
    kind = _kind(given)
    return (
        not media_types
        or kind in _ANY
        or any(_kind(item) in ("octet-stream", kind) for item in media_types)
        or (kind == "plain" and any(_is_text(item) for item in media_types))
    )


def _kind(media_type: str) -> str:
    """Return what a media type comes down to: ``application/vnd.geo+json`` is ``json``."""
    subtype = media_type.split(";")[0].strip().lower().rpartition("/")[2]
    for start in ("x-", "vnd."):
        subtype = subtype.removeprefix(start)
    return subtype.rpartition("+")[2]


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or _kind(media_type) in ("json", "xml", "yaml")


def _save(place: str, answer: Answer, partial: Path, limit: int) -> None:
    size = 0
    with partial.open("wb") as stream:
        for data in answer.chunks:
            size += len(data)
            if size > limit:
                raise InputUnavailable(f"{place} has more than {limit} bytes")
            stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
