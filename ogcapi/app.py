"""The Flask application: routes, hooks and error handling around the service."""

from __future__ import annotations

import gzip
import logging

from flask import Flask, Response, current_app, g, request
from werkzeug.datastructures import Headers

from k8s_manager.identity import Identity
from k8s_manager.settings import Settings
from ogcapi import (
    access,
    attempt_views,
    bad_http,
    collection_views,
    compat,
    forgery,
    form_views,
    job_views,
    log_views,
    monitoring_views,
    negotiation,
    pages,
    problems,
    process_views,
    release_files,
    request_body,
    retry_views,
    sign_in_views,
    site_views,
)
from ogcapi.service import Service

EXPOSED = (
    "Location, Link, ETag, Content-Crs, Preference-Applied, Retry-After, "
    "Accept-Ranges, Content-Range, WWW-Authenticate"
)
# A token in a header is sent on purpose. What a browser adds by itself (cookies) is never allowed:
# there is no Access-Control-Allow-Credentials.
ALLOWED = (
    "Authorization, Content-Type, Prefer, Accept, Accept-Language, If-None-Match, If-Range, Range"
)
CONDITIONS = {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"}
COMPRESSIBLE = ("application/json", "text/", "application/geo+json", "application/problem+json")
VIEWS = (
    *(site_views, process_views, job_views, log_views, attempt_views, collection_views),
    *(retry_views, release_files, monitoring_views, sign_in_views, form_views),
)


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application; opens no database and no file beyond the configuration."""
    settings = settings or Settings.load()
    app = Flask(__name__, static_folder="static", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit_bytes
    # A text area may hold what a body may hold: an inventory as GeoJSON has megabytes.
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.body_limit_bytes
    app.url_map.strict_slashes = False
    compat.install()
    bad_http.install()
    app.extensions["cdi"] = Service(settings)
    for module in VIEWS:
        app.register_blueprint(module.BLUEPRINT)
    access.check_routes(app.url_map)
    app.before_request(_refuse_nul)
    app.before_request(forgery.refuse_other_names)
    app.before_request(_answer_preflight)
    app.before_request(access.gate)
    app.register_error_handler(Exception, _failed)
    app.after_request(_finish)
    logging.getLogger("pygeoapi").setLevel(logging.CRITICAL)
    return app


def _refuse_nul() -> None:
    """Refuse text that a database server may not be asked with."""
    if "\0" in request.path:
        raise problems.Problem(404, "No such address", "No address holds a NUL character (%00).")
    if any("\0" in text for pair in request.args.items(multi=True) for text in pair):
        raise problems.Problem(
            400, "Invalid query parameter", "No parameter holds a NUL character (%00)."
        )


def _answer_preflight() -> Response | None:
    """Answer CORS preflight for every path that exists."""
    if request.routing_exception is not None or request.method != "OPTIONS":
        return None
    allowed = sorted(current_app.url_map.bind("").allowed_methods(request.path))
    headers = {
        "Allow": ", ".join(allowed),
        "Access-Control-Allow-Methods": ", ".join(allowed),
        "Access-Control-Allow-Headers": ALLOWED,
        "Access-Control-Max-Age": "600",
    }
    return Response(status=204, headers=headers)


def _failed(error: Exception) -> Response:
    problem = problems.from_exception(request_body.failure(error))
    if request.accept_mimetypes.best_match([problems.MEDIA_TYPE, negotiation.HTML]) == (
        negotiation.HTML
    ) and request.args.get("f") in (None, "html"):
        return pages.problem_page(problem)
    return problems.response(problem)


def _finish(response: Response) -> Response:
    """Add what every answer carries: CORS, Vary, ETag, compression."""
    response.headers = Headers(response.headers)
    forgery.remember(response)
    _keep_private(response)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = EXPOSED
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    varies = ["Accept", "Accept-Language", "Accept-Encoding"]
    if negotiation.kept_language_counts():
        varies.append("Cookie")
    response.vary.update(varies)
    if response.is_streamed or response.direct_passthrough:
        return response
    if request.method in ("GET", "HEAD") and response.status_code == 200:
        response.add_etag(weak=True)  # the same whether compressed or not
        if not CONDITIONS.isdisjoint(request.environ):
            response.make_conditional(request)
    _compress(response)
    return response


def _keep_private(response: Response) -> None:
    """Let no shared cache hand somebody's answer to somebody else."""
    settings: Settings = current_app.extensions["cdi"].settings
    if not settings.identity.asked:
        return
    response.vary.update(("Authorization", "Cookie", settings.identity.proxy_user_header))
    who = g.get("who")
    if isinstance(who, Identity) and who.known:
        response.cache_control.private = True


def _compress(response: Response) -> None:
    if (
        response.status_code != 304
        and (response.mimetype or "").startswith(COMPRESSIBLE)
        and not response.content_encoding
        and request.accept_encodings.best_match(["gzip"]) is not None
        and len(response.get_data()) > 1000
    ):
        response.set_data(gzip.compress(response.get_data(), 5, mtime=0))
        response.content_encoding = "gzip"
