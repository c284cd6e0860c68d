"""Which representation a client gets, and which query parameters a path knows."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from flask import g, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from ogcapi.problems import Problem

JSON = "application/json"
GEOJSON = "application/geo+json"
HTML = "text/html"
PROBLEM = "application/problem+json"
LISTS = {"type", "processID", "status"}
"""Query parameters that may be repeated, or hold several values with commas between them."""
FORMATS = {"json": JSON, "html": HTML}
LANGUAGES = {"en": "English", "de": "Deutsch"}
"""Languages of pages, each with its name in itself; the first is the default."""
LANGUAGE_COOKIE = "lang"


def representation(
    offered: Iterable[str] = (JSON, HTML), names: dict[str, str] | None = None
) -> str:
    """Choose a media type by ``f=``, else by ``Accept`` with its q values.

    Args:
        offered: Media types of the path, the default first.
        names: Values of ``f`` and the media types they stand for.

    Raises:
        Problem: 400 for an unknown ``f``, 406 when nothing offered is acceptable.
    """
    names = names or FORMATS
    offered = tuple(offered)
    wanted = request.args.get("f")
    if wanted is not None:
        if names.get(wanted) not in offered:
            known = ", ".join(sorted(name for name, media in names.items() if media in offered))
            raise Problem(400, "Unknown format", f"f={wanted} is not offered here; known: {known}")
        return names[wanted]
    accept = request.headers.get("Accept", "")
    best = _best(accept, offered)
    if best is None:
        raise Problem(
            406, "Not acceptable", f"Accept: {accept}. This path offers {', '.join(offered)}."
        )
    return best


@functools.lru_cache(256)  # clients are of a few kinds, and each kind asks with the same words
def _best(accept: str, offered: tuple[str, ...]) -> str | None:
    accepted = parse_accept_header(accept, MIMEAccept)
    if not accepted or str(accepted) in ("", "*/*"):
        return offered[0]
    # A JSON document answers a request for any of JSON's names.
    candidates = {media: media for media in offered}
    if JSON in offered:
        candidates |= {"application/vnd.oai.openapi+json": JSON}
        candidates |= {GEOJSON: JSON, "application/schema+json": JSON}
        candidates |= {"application/vnd.oai.openapi+json;version=3.0": JSON, PROBLEM: JSON}
    best = accepted.best_match(list(candidates))
    return None if best is None else candidates[best]


def is_browser() -> bool:
    """Tell whether the client would rather have a page: it names HTML, and JSON not or later."""
    accept = request.accept_mimetypes
    return bool(accept) and accept.best_match([JSON, HTML]) == HTML


def known_parameters(*names: str) -> None:
    """Refuse query parameters that this path does not know, or that would be read in part only.

    Raises:
        Problem: 400 naming the unknown parameters and the known ones, or those given twice.
    """
    known = {"f", "lang", *names}
    unknown = sorted(set(request.args) - known)
    if unknown:
        raise Problem(
            400,
            "Unknown query parameter",
            f"{', '.join(unknown)} not known here; known: {', '.join(sorted(known))}",
        )
    _refuse_repeated()


def _refuse_repeated() -> None:
    repeated = [name for name, given in request.args.lists() if len(given) > 1]
    twice = sorted(set(repeated) - LISTS)
    if twice:
        raise Problem(
            400,
            "Query parameter given twice",
            f"{', '.join(twice)}: only one value can count; expected each parameter once",
        )


def number(name: str, default: int, low: int, high: int) -> int:
    """Read a whole number from the query.

    Raises:
        Problem: 400 when it is none, or outside `low` to `high`.
    """
    text = request.args.get(name)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise Problem(
            400, "Invalid query parameter", f"{name}={text}: expected a number {low}..{high}"
        )
    return int(text)


def language() -> str:
    """Choose the language of pages: by ``lang=``, else the one kept, else ``Accept-Language``.

    What is found stands for the whole request. `kept_language_counts` tells whether the answer
    depends on the cookie.
    """
    found = g.get("language")
    if found is None:
        found = g.language = _language()
    return str(found)


def kept_language_counts() -> bool:
    """Tell whether the cookie was looked at for this answer, so that caches have to know."""
    return bool(g.get("language_was_kept", False))


def _language() -> str:
    wanted = (request.args.get("lang") or "").split("-")[0].lower()
    if wanted in LANGUAGES:
        return wanted
    g.language_was_kept = True
    kept = request.cookies.get(LANGUAGE_COOKIE)
    if kept in LANGUAGES:
        return kept
    for tag in request.accept_languages.values():
        if tag.split("-")[0].lower() in LANGUAGES:
            return tag.split("-")[0].lower()
    return next(iter(LANGUAGES))
