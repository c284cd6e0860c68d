"""`cdi serve`: web workers and one controller, kept alive by a small supervisor.

Both are forked: what the supervisor has imported, and checked, is not imported once more by each.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.context import ForkProcess
from typing import TYPE_CHECKING

from k8s_manager.errors import ConfigError
from k8s_manager.identity_settings import PROXY
from k8s_manager.settings import Settings
from ogcapi.terminal import explained

if TYPE_CHECKING:
    from flask import Flask

LOOPBACK = ("127.0.0.1", "localhost", "::1")
THREADS = 32
"""Of a web worker. Many wait (for the disk, for the end of a job) and take no CPU meanwhile; with
few of them a status request stands behind executions that wait for one another."""
LONG_S = 60.0  # a child that lived so long starts again without a growing pause
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FORK = multiprocessing.get_context("fork")
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Child:
    """A process that the supervisor keeps alive."""

    name: str
    work: Callable[[], None]
    process: ForkProcess | None = None
    restarts: int = 0
    next_start: float = 0.0
    started: float = 0.0


def free_port(host: str, wanted: int) -> int:
    """Return `wanted`, or the next port above it that nothing listens on.

    Raises:
        ConfigError: None of the 100 ports from `wanted` on is free, or none may be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = min(wanted + 99, 65535)
    for port in range(wanted, last + 1):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise ConfigError(
                    f"cannot listen on {host} port {port}: {error.strerror}; "
                    "choose others with CDI_HOST and CDI_PORT"
                ) from error
            return port
    raise ConfigError(f"no free port between {wanted} and {last} on {host}; choose with CDI_PORT")


def serve(
    settings: Settings,
    *,
    controller: Callable[[Settings], None] | None,
    say: Callable[[str], None],
) -> int:
    """Serve until a signal; returns the exit code. The caller holds no connection and no thread.

    Args:
        settings: Where to listen and what to serve.
        controller: Runs the controller that is kept beside the web workers; None for none.
        say: Shows a line to the person who started the server.

    Raises:
        ConfigError: The address is not of this machine alone, and nobody is asked who they are.
    """
    _refuse_strangers(settings)
    port = free_port(settings.host, settings.port)
    if port != settings.port:
        say(f"Port {settings.port} is taken; using {port} (choose one with CDI_PORT).")
    settings = replace(settings, port=port)
    children = [Child("web", functools.partial(_web, settings))]
    if controller is not None:
        children.append(Child("controller", functools.partial(controller, settings)))
    stopping = _stop_on_signals()
    say(f"Serving on {settings.base_url} (Ctrl-C ends it).")
    say(_who_may(settings))
    try:
        while not stopping:
            for child in children:
                _keep_alive(child, say)
            time.sleep(0.2)
    finally:
        for child in reversed(children):
            _end(child)
    return 0


def _refuse_strangers(settings: Settings) -> None:
    if settings.host in LOOPBACK or settings.identity.asked or settings.allow_anonymous:
        return
    raise ConfigError(
        f"CDI_HOST is {settings.host}, but no identities are configured: whoever reaches the "
        "server could run processes. Set CDI_IDENTITY_METHOD=tokens and give tokens with "
        "`cdi tokens create`, or listen on 127.0.0.1. CDI_ALLOW_ANONYMOUS=1 serves all the same."
    )


def _who_may(settings: Settings) -> str:
    """Return the sentence that says whom the server serves."""
    if settings.identity.asked:
        more = ", or a proxy that names them" if settings.identity.method == PROXY else ""
        return f"Those who ask say who they are with an API token{more} (cdi tokens)."
    if settings.host in LOOPBACK:
        return "Reachable from this machine only: no identities are configured."
    return f"Warning: whoever reaches {settings.host} may run processes; there are no identities."


def _web(settings: Settings) -> None:
    from gunicorn.app.base import BaseApplication

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    options = {
        "bind": f"{host}:{settings.port}",
        "workers": settings.workers,
        "worker_class": "gthread",
        "threads": THREADS,
        "timeout": 120,
        "graceful_timeout": 5,
        "keepalive": 5,
        "loglevel": "warning",
        # Imported once, not by each worker: the server answers sooner. Nothing is opened by it.
        "preload_app": True,
        "control_socket_disable": True,
    }

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Flask:
            from ogcapi.app import create_app

            return create_app(settings)

    Application().run()


def _stop_on_signals() -> list[int]:
    received: list[int] = []
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, lambda got, _frame: received.append(got))
    return received


def _keep_alive(child: Child, say: Callable[[str], None]) -> None:
    now = time.monotonic()
    if child.process is not None and not child.process.is_alive():
        child.restarts = child.restarts + 1 if now - child.started < LONG_S else 1
        pause = min(0.5 * 2 ** min(child.restarts, 6), 30.0)
        say(f"{child.name} ended with code {child.process.exitcode}; again in {pause:.0f} s.")
        child.process, child.next_start = None, now + pause
    if child.process is None and now >= child.next_start:
        child.started = now
        child.process = FORK.Process(target=_run, args=(child, os.getpid()), name=child.name)
        child.process.start()


def _run(child: Child, supervisor: int) -> None:
    """Do a child's work in its own process, which ends when the supervisor is gone."""
    # A session of its own: Ctrl-C reaches the supervisor only, which ends its children in order.
    os.setsid()
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if LIBC is not None:
        LIBC.prctl(PR_SET_NAME, f"cdi-{child.name}".encode())
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # also when it was killed
    if os.getppid() == supervisor:
        explained(child.work)


def _end(child: Child) -> None:
    if child.process is None or not child.process.is_alive():
        return
    child.process.terminate()
    child.process.join(timeout=10)
    if child.process.is_alive():
        child.process.kill()
        child.process.join()
