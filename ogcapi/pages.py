"""HTML pages: each is a rendering of the JSON document of the same address.

A visitor's choice of language (``?lang=``) is kept in a cookie; nothing else is kept.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from flask import Response, current_app, request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ogcapi import forgery, negotiation, phrases, reasons, translation
from ogcapi.identification import COOKIE, shown
from ogcapi.problems import Problem

# Pages load nothing from other hosts and run no script but our own files.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
KEPT_S = 365 * 24 * 3600
"""Seconds for which a browser keeps the choice of language."""

MOST_KEPT = 200
"""Parts of pages that are kept."""
_KEPT: dict[Hashable, Markup] = {}
_KEPT_LOCK = threading.Lock()

FIRST_COLUMNS = ("name", "municipality", "verdict", "reason_main", "trees", "confidence")
COLUMNS = 8


def page(
    template: str,
    status: int = 200,
    path: str | None = None,
    query: Mapping[str, str] | None = None,
    has_json: bool = True,
    **context: Any,
) -> Response:
    """Render a template to an answer.

    Args:
        template: Its name.
        status: Of the answer.
        path: Address of the page below the service's root, where it is not the request's.
        query: Query parameters of that address.
        has_json: Whether that address answers in JSON too.
        context: What the template needs.
    """
    here = _here(path, query or {})
    settings = current_app.extensions["cdi"].settings
    config = current_app.extensions["cdi"].config
    text = (
        _environment()
        .get_template(template)
        .render(
            # Root-relative: pages work under every name that reaches this server, also a tunnel's.
            base=_root(),
            address=settings.base_url,
            title=localised(config["metadata"]["identification"]["title"]),
            language=negotiation.language(),
            asked=settings.identity.asked,
            who=shown(),
            signed_in=COOKIE in request.cookies,
            sign_in=_sign_in(),
            switches=_switches(*here),
            alternate=_address(*here, f="json") if has_json and _is_read(path) else None,
            **context,
        )
    )
    # An ETag goes with it: browsers ask whether their copy is the newest, and get 304 if it is.
    headers = {
        "Content-Security-Policy": POLICY,
        "Content-Language": negotiation.language(),
        "Cache-Control": "no-cache",
    }
    answer = Response(text, status, headers, mimetype=negotiation.HTML)
    if request.args.get("lang") == negotiation.language():
        _keep_language(answer)
    return answer


def kept(template: str, key: Hashable, make: Callable[[], dict[str, Any]]) -> Markup:
    """Return a part of a page that is the same for everyone, rendered once for each language.

    Args:
        template: Its name.
        key: What the part depends on besides the language.
        make: Gives what the template needs.
    """
    whole = (template, key, negotiation.language(), _root())
    with _KEPT_LOCK:
        found = _KEPT.get(whole)
    if found is None:
        found = part(template, **make())
        with _KEPT_LOCK:
            if len(_KEPT) >= MOST_KEPT:  # older keys are of releases and processes that were
                _KEPT.clear()
            _KEPT[whole] = found
    return found


def part(template: str, **context: Any) -> Markup:
    """Render a part of a page."""
    known = {"base": _root(), "language": negotiation.language()}
    text = _environment().get_template(template).render(known | context)
    return Markup(text)  # noqa: S704  the template escaped what it was given


def problem_page(problem: Problem) -> Response:
    """Render a problem for people."""
    answer = page("problem.html", problem.status, problem=problem)
    answer.headers.update(problem.headers)
    return answer


def localised(value: Any) -> str:
    """Return a text of a configuration in the page's language."""
    if isinstance(value, dict):
        wanted = negotiation.language()
        return str(value.get(wanted) or value.get("en") or next(iter(value.values())))
    return str(value)


def _keep_language(answer: Response) -> None:
    answer.set_cookie(
        negotiation.LANGUAGE_COOKIE,
        negotiation.language(),
        max_age=KEPT_S,
        path=_root() or "/",
        secure=current_app.extensions["cdi"].settings.base_url.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )
    answer.headers["Cache-Control"] = "private, no-cache"  # a shared cache would hand it to others


Query = list[tuple[str, str]]


def _is_read(path: str | None) -> bool:
    """Tell whether the page shows what its address shows, and not what became of a request."""
    return path is not None or request.method in ("GET", "HEAD")


def _here(path: str | None, query: Mapping[str, str]) -> tuple[str, Query]:
    """Return path and query of an address at which a page like this can be read.

    What became of a request cannot be read again: there it is the page that it came from.
    """
    if path is not None:
        return path, list(query.items())
    if _is_read(path):
        return request.path, list(request.args.items(multi=True))
    found = request.path.rstrip("/")
    routes = current_app.url_map.bind("")
    while found and not routes.test(found, "GET"):
        found = found.rpartition("/")[0]
    return found or "/", []


def _switches(path: str, query: Query) -> list[dict[str, str]]:
    """Return the languages with the address of a page in each."""
    return [
        {"code": code, "name": name, "address": _address(path, query, lang=code)}
        for code, name in negotiation.LANGUAGES.items()
    ]


def _address(path: str, query: Query, **changes: str) -> str:
    """Return the address of a page with another query parameter."""
    kept = [(key, value) for key, value in query if key not in changes]
    return f"{_root()}{quote(path)}?{urlencode([*kept, *changes.items()])}"


def _sign_in() -> str:
    """Return the address of the page to sign in at, which then leads back here."""
    query = urlencode(list(request.args.items(multi=True)))
    here = f"{_root()}{quote(request.path)}{'?' if query else ''}{query}"
    back = "" if request.method == "POST" or request.path == "/sign-in" else here
    return f"{_root()}/sign-in" + (f"?{urlencode({'next': back})}" if back else "")


def _root() -> str:
    base: str = current_app.extensions["cdi"].settings.base_url
    return urlsplit(base).path


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ogcapi"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        *(translation.gettext, translation.ngettext, True),
        *(translation.pgettext, translation.npgettext),
    )
    environment.globals["csrf_field"] = forgery.csrf_field
    environment.filters["localised"] = localised
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    environment.filters["data"] = _data
    environment.filters["columns"] = _columns
    environment.filters["when"] = _when
    environment.filters["day"] = lambda time: translation.moment(time).partition(" ")[0]
    environment.filters["number"] = translation.number
    environment.filters["said"] = phrases.said
    environment.globals["word"] = phrases.word
    environment.filters["decimal"] = translation.decimal
    environment.filters["column"] = reasons.column
    environment.globals["reason"] = reasons.reason
    environment.globals["meanings"] = reasons.meanings
    return environment


def _when(time: str) -> Markup:
    """Return an ISO-8601 time for people and programs; nothing for ""."""
    if not time:
        return Markup("")
    return Markup('<time datetime="{}">{}</time>').format(time, translation.moment(time))


def _columns(properties: dict[str, Any]) -> list[str]:
    """Choose the columns of a table of features: what matters first, then the first others."""
    first = [name for name in FIRST_COLUMNS if name in properties]
    others = [name for name in properties if name not in first and not _is_nested(properties[name])]
    return [*first, *others][:COLUMNS]


def _is_nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _data(value: Any) -> Markup:
    """Return JSON that is safe inside a ``<script type="application/json">``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704  every character that could end the element is escaped
