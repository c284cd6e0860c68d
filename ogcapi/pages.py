"""HTML pages: each is a rendering of the JSON document of the same address."""

from __future__ import annotations

import functools
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from flask import Response, current_app, request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ogcapi import forgery, negotiation
from ogcapi.identification import COOKIE, shown
from ogcapi.problems import Problem

# Pages load nothing from other hosts and run no script but our own files.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)

FIRST_COLUMNS = ("name", "municipality", "verdict", "reason_main", "trees", "confidence")
COLUMNS = 8


def page(template: str, status: int = 200, **context: Any) -> Response:
    """Render a template to an answer."""
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
            alternate=_alternate(),
            asked=settings.identity.asked,
            who=shown(),
            signed_in=COOKIE in request.cookies,
            sign_in=_sign_in(),
            **context,
        )
    )
    headers = {"Content-Security-Policy": POLICY, "Content-Language": negotiation.language()}
    return Response(text, status, headers, mimetype=negotiation.HTML)


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


def _alternate() -> str:
    """Return the address of the same document as JSON."""
    query = [(key, value) for key, value in request.args.items(multi=True) if key != "f"]
    return f"{_root()}{quote(request.path)}?{urlencode([*query, ('f', 'json')])}"


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
    )
    environment.globals["csrf_field"] = forgery.csrf_field
    environment.filters["localised"] = localised
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    environment.filters["data"] = _data
    environment.filters["columns"] = _columns
    environment.filters["moment"] = lambda time: time[:19].replace("T", " ")
    return environment


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
