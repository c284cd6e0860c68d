"""Requests that a page of another site makes somebody's browser send (cross-site request forgery).

They matter where the browser itself adds what identifies: a cookie, its place on this machine or
behind a proxy. Who sends an API token in a header did it on purpose.

Two walls: what changes something has to come from our own pages, by ``Sec-Fetch-Site`` or
``Origin``, which no page can alter; and what an HTML form could send has to carry a token that
only our own pages hold. The token is an HMAC under a random secret in a cookie, over the session,
so that it needs no memory and no secret that workers would have to share.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import re
import secrets
from urllib.parse import urlsplit

from flask import Request, Response, current_app, g, request
from markupsafe import Markup

from ogcapi import cookies
from ogcapi.identification import COOKIE as SESSION
from ogcapi.problems import Problem
from ogcapi.service import Service

FIELD = "csrf"
"""The hidden field of our forms."""
HEADER = "X-CSRF-Token"
"""What a script of our pages may send instead."""
COOKIE = "cdi-form"
SAFE = {"GET", "HEAD", "OPTIONS"}
# What a form can send to another site without that being asked; "" is a request without a body.
_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""}
# Browsers send one of these with every form; programs such as curl send none.
_OF_BROWSERS = ("Sec-Fetch-Site", "Origin", "Referer", "Cookie")
_SECRET = re.compile("[0-9a-f]{64}")


def refuse_forged(sent: Request) -> None:
    """Refuse a request that changes something and may be somebody else's doing.

    Raises:
        Problem: 403 that says why, and what to do.
    """
    if _is_foreign(sent):
        raise Problem(
            403,
            "The request comes from another site",
            "A page of another site may not act in the name of whom a browser identifies. Use the "
            "pages of this server; programs send an API token (CDI_IDENTITY_METHOD=tokens).",
        )
    could_be_a_form = sent.method == "POST" and sent.mimetype in _FORMS
    of_browser = any(name in sent.headers for name in _OF_BROWSERS)
    if could_be_a_form and of_browser and not _has_token(sent):
        raise Problem(
            403,
            "The form is too old",
            f"Its hidden field {FIELD!r} is missing or does not fit this browser's session. Load "
            "the page anew and send the form again.",
        )


def refuse_other_names() -> None:
    """Refuse a request that names this machine as a site may have done (DNS rebinding).

    Where nobody is asked who they are, everybody on this machine may do everything; a page of a
    site whose name suddenly leads here would be one of them, and of our own origin.

    Raises:
        Problem: 403 with the names that are known.
    """
    service: Service = current_app.extensions["cdi"]
    settings = service.settings
    if settings.identity.asked or settings.allow_anonymous or not _is_loopback(settings.host):
        return
    own = urlsplit(settings.base_url).hostname
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        name = ""
    # A name without a dot is of the local network: no site has one.
    local = name != "" and not {".", ":"} & set(name)
    if name != own and not local and not _is_loopback(name):
        raise Problem(
            403,
            "This server does not go by that name",
            f"It asks nobody who they are and is reached as localhost, or by the name that "
            f"CDI_PUBLIC_URL gives it ({own}). CDI_IDENTITY_METHOD=tokens asks for tokens instead; "
            "CDI_ALLOW_ANONYMOUS=1 takes any name.",
        )


@functools.lru_cache(256)
def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def csrf_field() -> Markup:
    """Return the hidden field that every form of ours holds."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, _token(_secret()))


def remember(answer: Response) -> None:
    """Let the browser keep the secret of the forms on the page that is sent to it."""
    secret = g.get("form_secret")
    if secret is None:
        return
    answer.cache_control.private = True
    if request.cookies.get(COOKIE) != secret:
        # Lax, not Strict: who comes from elsewhere gets no other one, by which the forms of pages
        # that are open already would become useless.
        cookies.keep(answer, COOKIE, secret, "Lax")


def _is_foreign(sent: Request) -> bool:
    site, origin = sent.headers.get("Sec-Fetch-Site"), sent.headers.get("Origin")
    if site is not None:
        return site not in ("same-origin", "none")
    if origin is None:
        return False
    service: Service = current_app.extensions["cdi"]
    return urlsplit(origin).netloc not in (sent.host, urlsplit(service.settings.base_url).netloc)


def _has_token(sent: Request) -> bool:
    secret = sent.cookies.get(COOKIE, "")
    given = sent.headers.get(HEADER) or sent.form.get(FIELD, "")
    if not _SECRET.fullmatch(secret):
        return False
    return hmac.compare_digest(_token(secret).encode(), given.encode("utf-8", "replace"))


def _secret() -> str:
    if "form_secret" not in g:
        known = request.cookies.get(COOKIE, "")
        g.form_secret = known if _SECRET.fullmatch(known) else secrets.token_hex(32)
    secret: str = g.form_secret
    return secret


def _token(secret: str) -> str:
    session = request.cookies.get(SESSION, "")
    return hmac.new(bytes.fromhex(secret), session.encode(), hashlib.sha256).hexdigest()
