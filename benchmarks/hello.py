"""A Flask application that does nothing: no other one can answer faster."""

from __future__ import annotations

from flask import Flask, Response

APP = Flask(__name__, static_folder=None)
DOCUMENT = b'{"text":"' + 1200 * b"x" + b'"}'
"""As long as a status document."""


@APP.get("/", defaults={"path": ""})
@APP.get("/<path:path>")
def hello(path: str) -> Response:
    """Answer every path with the same document."""
    return Response(DOCUMENT, mimetype="application/json")
