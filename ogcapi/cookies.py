"""Cookies as this service sets them: read by the server only, for its own paths."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from flask import Response, current_app

from ogcapi.service import Service

SameSite = Literal["Strict", "Lax"]


def keep(answer: Response, name: str, value: str, same_site: SameSite) -> None:
    """Let a browser keep a value until it is closed; no script reads it."""
    address = _address()
    answer.set_cookie(
        name,
        value,
        path=urlsplit(address).path or "/",
        secure=address.startswith("https:"),
        httponly=True,
        samesite=same_site,
    )


def forget(answer: Response, name: str) -> None:
    """Let a browser forget a value."""
    answer.delete_cookie(name, path=urlsplit(_address()).path or "/", httponly=True)


def _address() -> str:
    service: Service = current_app.extensions["cdi"]
    return service.settings.base_url
