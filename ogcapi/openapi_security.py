"""What the API definition says of who may ask for what, from the table that decides it."""

from __future__ import annotations

from typing import Any

from flask import current_app
from werkzeug.exceptions import HTTPException

from ogcapi.access import ACCESS, EVERYBODY
from ogcapi.service import Service

METHODS = {"get", "post", "put", "patch", "delete"}
SCHEME = "token"
_REFUSALS = {
    "401": "Nobody says who is asking, or it is not so",
    "403": "Who is asking may not do this, or another site asks in their name",
}


def secured(document: dict[str, Any], service: Service) -> dict[str, Any]:
    """Add to each operation the role that it needs, and how one says who one is.

    A server that asks nobody refuses only what a page of another site makes a browser send.
    """
    if service.settings.identity.asked:
        document["components"]["securitySchemes"] = {
            SCHEME: {
                "type": "http",
                "scheme": "bearer",
                "description": "An API token (cdi tokens create)",
            }
        }
    routes = current_app.url_map.bind("")
    for path, operations in document["paths"].items():
        for method in METHODS & operations.keys():
            try:
                endpoint, _ = routes.match(path, method.upper())
            except HTTPException:
                continue
            _secure(operations[method], endpoint, method, service.settings.identity.asked)
    return document


def _secure(operation: dict[str, Any], endpoint: str, method: str, asked: bool) -> None:
    role = ACCESS[endpoint]
    refusals = []
    if asked and role is not EVERYBODY:
        operation["security"] = [{SCHEME: []}]
        operation["x-role"] = role.value
        refusals = ["401", "403"]
    elif method != "get":
        refusals = ["403"]
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}}
    for code in refusals:
        answer = {"description": _REFUSALS[code], "content": content}
        operation["responses"].setdefault(code, answer)
