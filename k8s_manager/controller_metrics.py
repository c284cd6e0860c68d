"""What the controller process tells a monitoring system, and whether it is alive.

Small plain functions that controller and backends call as they work; one controller runs in a
process, so the numbers are the module's. Whoever asks for them over HTTP is answered from a thread
of its own, at `CDI_METRICS_HOST` and `CDI_METRICS_PORT`: ``/metrics`` for Prometheus, ``/healthz``
for a probe.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    make_wsgi_app,
)

from k8s_manager.backends import base
from k8s_manager.errors import ConfigError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from k8s_manager.settings import Settings

REGISTRY = CollectorRegistry()
PROBLEM = "application/problem+json"

_reconcile = Histogram(
    "cdi_reconcile_seconds",
    "Duration of one look at all jobs and of acting on what was found.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
_lag = Gauge(
    "cdi_reconcile_lag_seconds",
    "Time since the last completed look; 0 while another controller acts.",
    registry=REGISTRY,
)
_lease = Gauge("cdi_lease_held", "1 while this controller is the one that acts.", registry=REGISTRY)
_calls = Counter(
    "cdi_backend_calls",
    "Calls to what runs the steps (for Kubernetes its API server).",
    ("verb", "outcome"),
    registry=REGISTRY,
)
_rounds = Gauge("cdi_active_rounds", "Rounds that the backend knows of.", registry=REGISTRY)
_attempts = Gauge("cdi_active_attempts", "Attempts that run now.", registry=REGISTRY)
_callbacks = Counter(
    "cdi_callbacks",
    "Messages to subscribers: delivered, to be tried again, or given up.",
    ("event", "outcome"),
    registry=REGISTRY,
)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)


class _Last:
    """When (monotonic) the controller last completed a look, and when its loop last turned."""

    looked = turned = time.monotonic()


_lag.set_function(lambda: time.monotonic() - _Last.looked)


@contextmanager
def looking() -> Iterator[None]:
    """Time one look; one that is broken off by an error is not a completed one."""
    before = time.monotonic()
    yield
    _Last.looked = time.monotonic()
    _reconcile.observe(_Last.looked - before)


def turned(*, lease_held: bool) -> None:
    """Note that the controller's loop has turned once more, whether or not it could act."""
    _Last.turned = time.monotonic()
    _lease.set(lease_held)
    if not lease_held:
        _Last.looked = _Last.turned  # it has nothing that it could be late with
        _rounds.set(0)
        _attempts.set(0)


def observed(observation: base.Observation) -> None:
    """Note how much the backend has in hand."""
    states = observation.rounds.values()
    _rounds.set(len(states))
    _attempts.set(
        sum(attempt.state == base.RUNNING for state in states for attempt in state.attempts)
    )


def backend_called(verb: str, outcome: str) -> None:
    """Count a call of the backend.

    Args:
        verb: What was called for: ``create``, ``list``, ``watch``, ``delete``...
        outcome: ``ok``, an HTTP status, or ``timeout``, ``refused``...; of few possible values.
    """
    _calls.labels(verb, outcome).inc()


def called_back(event: str, outcome: str) -> None:
    """Count a message to a subscriber.

    Args:
        event: ``inProgress``, ``success`` or ``failed``.
        outcome: ``delivered``, ``again`` or ``given-up``.
    """
    _callbacks.labels(event, outcome).inc()


def idle_s() -> float:
    """Return the seconds since the controller's loop last turned."""
    return time.monotonic() - _Last.turned


def listen(settings: Settings) -> int | None:
    """Answer ``/metrics`` and ``/healthz`` from a thread; return the port, None when not wanted.

    Raises:
        ConfigError: The address cannot be listened at.
    """
    if not settings.metrics_port:
        return None
    host, port = settings.metrics_host, settings.metrics_port
    try:
        kind = _Server6 if ":" in host else _Server
        server = make_server(host, port, _application(settings.health_limit_s), kind, _Handler)
    except OSError as error:
        raise ConfigError(
            f"CDI_METRICS_HOST {host} and CDI_METRICS_PORT {port} cannot be listened at: "
            f"{error.strerror}"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_port)


def _application(limit_s: float) -> Callable[..., Iterable[bytes]]:
    metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(REGISTRY)

    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            return metrics(environ, start)
        if path != "/healthz":
            return _answer(start, "404 Not Found", "there are /metrics and /healthz")
        idle = idle_s()
        if idle > limit_s:
            detail = f"the controller's loop last turned {idle:.0f} s ago, more than {limit_s:g} s"
            return _answer(start, "503 Service Unavailable", detail)
        return _answer(start, "200 OK", idle_s=round(idle, 3))

    return application


def _answer(start: StartResponse, status: str, detail: str = "", **members: Any) -> Iterable[bytes]:
    document: dict[str, Any] = {"status": "ok", **members}
    media = "application/json"
    if detail:
        code, _, title = status.partition(" ")
        document = {"type": "about:blank", "title": title, "status": int(code), "detail": detail}
        media = PROBLEM
    start(status, [("Content-Type", media), ("X-Content-Type-Options", "nosniff")])
    return [json.dumps(document).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread, so that a slow reader does not fail a probe."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking for the name of the address, for which DNS may take its time."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    """Gives up on clients that are silent, and writes no line for every probe."""

    timeout = 10.0

    def log_message(self, *_: Any) -> None:
        pass
