"""Signing in with a browser: an API token, entered once, kept in a cookie that no script reads."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, request

from k8s_manager.errors import NotIdentified
from ogcapi import cookies, negotiation, pages
from ogcapi.identification import COOKIE, unidentified
from ogcapi.problems import Problem
from ogcapi.service import Service

BLUEPRINT = Blueprint("sign_in", __name__)
# A path of this server: nothing that a browser could take for another host.
_INSIDE = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}")


@BLUEPRINT.get("/sign-in")
def form() -> Response:
    """Show who is signed in, and a form to sign in with a token."""
    negotiation.known_parameters("next")
    negotiation.representation((negotiation.HTML,))
    return _page(request.args.get("next", ""))


@BLUEPRINT.post("/sign-in")
def sign_in() -> Response:
    """Let the browser keep a token that is valid; go on to the page it was wanted for."""
    negotiation.known_parameters()
    service = _service()
    if not service.settings.identity.asked:
        raise Problem(404, "Nobody is asked here", "This server asks nobody who they are.")
    text, target = request.form.get("token", "").strip(), request.form.get("next", "")
    if not text:
        raise Problem(400, "A token is missing", "Send the form's field 'token'.")
    try:
        service.tokens.identify(text)
    except NotIdentified as error:
        refused = unidentified(f"{error}.", "invalid_token")
        answer = _page(target, refused)
        answer.headers.update(refused.headers)
        return answer
    answer = _go_to(target)
    cookies.keep(answer, COOKIE, text, "Strict")
    return answer


@BLUEPRINT.post("/sign-out")
def sign_out() -> Response:
    """Let the browser forget the token; it stays valid elsewhere until it is revoked."""
    negotiation.known_parameters()
    answer = _go_to("")
    cookies.forget(answer, COOKIE)
    return answer


def _page(target: str, refused: Problem | None = None) -> Response:
    status = refused.status if refused is not None else 200
    inside = _inside(target)
    answer = pages.page(
        "sign_in.html",
        status,
        path="/sign-in",
        query={"next": inside} if inside else {},
        has_json=False,
        target=inside,
        refused=refused,
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _go_to(target: str) -> Response:
    return Response(status=303, headers={"Location": _inside(target) or _home()})


def _inside(target: str) -> str:
    return target if _INSIDE.fullmatch(target) else ""


def _home() -> str:
    return f"{urlsplit(_service().settings.base_url).path}/"


def _service() -> Service:
    service: Service = current_app.extensions["cdi"]
    return service
