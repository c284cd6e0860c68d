"""`cdi serve`: web workers and one controller, kept alive by a small supervisor."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from k8s_manager.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class Child:
    """A process that the supervisor keeps alive."""

    name: str
    argv: list[str]
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    next_start: float = 0.0


def free_port(host: str, wanted: int) -> int:
    """Return `wanted`, or the next port above it that nothing listens on.

    Raises:
        OSError: None of the 100 ports from `wanted` on is free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(wanted, wanted + 100):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                return port
    raise OSError(f"no free port between {wanted} and {wanted + 99} on {host}")


def serve(settings: Settings, *, controller: bool, say: Callable[[str], None], config: Path) -> int:
    """Serve until a signal; returns the exit code.

    Args:
        settings: Where to listen and what to serve.
        controller: Whether to keep a controller beside the web workers.
        say: Shows a line to the person who started the server.
        config: The configuration file, for the children.
    """
    port = free_port(settings.host, settings.port)
    if port != settings.port:
        say(f"Port {settings.port} is taken; using {port} (choose one with CDI_PORT).")
    environment = {**os.environ, "CDI_PORT": str(port), "CDI_CONFIG": str(config)}
    children = [Child("web", _gunicorn(settings, port))]
    if controller:
        children.append(Child("controller", [sys.executable, "-m", "ogcapi.cli", "controller"]))
    stopping = _stop_on_signals()
    say(f"Serving on {settings.public_url or f'http://localhost:{port}'} (Ctrl-C ends it).")
    if settings.host in LOOPBACK:
        say("Reachable from this machine only: no identities are configured.")
    try:
        while not stopping:
            for child in children:
                _keep_alive(child, environment, say)
            time.sleep(0.2)
    finally:
        for child in reversed(children):
            _end(child)
    return 0


def _gunicorn(settings: Settings, port: int) -> list[str]:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return [
        *(sys.executable, "-m", "gunicorn", "ogcapi.app:create_app()"),
        *("--bind", f"{host}:{port}", "--workers", str(settings.workers)),
        *("--worker-class", "gthread", "--threads", "8", "--timeout", "120"),
        *("--graceful-timeout", "5", "--keep-alive", "5", "--log-level", "warning"),
        "--no-control-socket",
    ]


def _stop_on_signals() -> list[int]:
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _frame: received.append(got))
    return received


def _keep_alive(child: Child, environment: dict[str, str], say: Callable[[str], None]) -> None:
    now = time.monotonic()
    if child.process is not None and child.process.poll() is not None:
        child.restarts += 1
        pause = min(0.5 * 2 ** min(child.restarts, 6), 30.0)
        say(f"{child.name} ended with code {child.process.returncode}; again in {pause:.0f} s.")
        child.process, child.next_start = None, now + pause
    if child.process is None and now >= child.next_start:
        # A group of its own: Ctrl-C reaches the supervisor only, which ends its children in order.
        child.process = subprocess.Popen(child.argv, env=environment, start_new_session=True)


def _end(child: Child) -> None:
    if child.process is None or child.process.poll() is not None:
        return
    child.process.terminate()
    try:
        child.process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()
