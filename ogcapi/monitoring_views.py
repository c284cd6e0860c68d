"""For probes and monitoring systems: whether this process lives, can serve, and what it knows."""

from __future__ import annotations

import ipaddress

from flask import Blueprint, Response, current_app, request
from prometheus_client.exposition import choose_encoder

from k8s_manager.errors import StoreError
from k8s_manager.migrations.upgrade import missing_revision
from ogcapi import negotiation
from ogcapi.documents import reply
from ogcapi.problems import Problem
from ogcapi.service import Service

BLUEPRINT = Blueprint("monitoring", __name__)
# formats of the metrics, the default first
METRICS = ("text/plain", "application/openmetrics-text")


@BLUEPRINT.get("/healthz")
def alive() -> Response:
    """Tell that this worker answers; asks nobody else, so that nobody else's fault restarts it."""
    negotiation.known_parameters()
    negotiation.representation((negotiation.JSON,))
    return _now(reply({"status": "ok"}))


@BLUEPRINT.get("/readyz")
def ready() -> Response:
    """Tell whether requests can be served: the store answers and has the tables that it needs."""
    negotiation.known_parameters()
    negotiation.representation((negotiation.JSON,))
    try:
        missing = missing_revision(_service().store.database)
    except StoreError as error:
        raise Problem(503, "The job store cannot be used now", str(error)) from error
    if missing is not None:
        raise Problem(503, "The job store is not migrated", missing)
    return _now(reply({"status": "ok"}))


@BLUEPRINT.get("/metrics")
def metrics() -> Response:
    """Give the numbers of the job store in Prometheus' format; no owner, no input is in them."""
    negotiation.known_parameters()
    _refuse_strangers()
    encode, media = choose_encoder(request.headers.get("Accept", ""))
    return _now(Response(encode(_service().metrics), content_type=media))


def _refuse_strangers() -> None:
    """Refuse the metrics to whom the settings do not let read them.

    Raises:
        Problem: 403 that says which setting decides.
    """
    allowed = _service().settings.metrics
    if allowed == "anyone" or (allowed == "loopback" and _from_this_machine()):
        return
    raise Problem(
        403,
        "The metrics are not for everybody",
        f"CDI_METRICS is {allowed!r}; who may read them is a decision of the administrator",
    )


def _from_this_machine() -> bool:
    """Tell whether a request comes from this machine and no proxy has passed it on."""
    passed_on = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "Via"))
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:  # a socket in the file system has no address
        return False
    return address.is_loopback and not passed_on


def _now(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _service() -> Service:
    service: Service = current_app.extensions["cdi"]
    return service
