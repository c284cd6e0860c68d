"""`cdi serve`: web workers and one controller, kept alive by a small supervisor."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from k8s_manager.errors import ConfigError
from k8s_manager.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONG_S = 60.0  # a child that lived so long starts again without a growing pause
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Child:
    """A process that the supervisor keeps alive."""

    name: str
    argv: list[str]
    process: subprocess.Popen[bytes] | None = None
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


def serve(settings: Settings, *, controller: bool, say: Callable[[str], None], config: Path) -> int:
    """Serve until a signal; returns the exit code.

    Args:
        settings: Where to listen and what to serve.
        controller: Whether to keep a controller beside the web workers.
        say: Shows a line to the person who started the server.
        config: The configuration file, for the children.

    Raises:
        ConfigError: The address is not of this machine alone, and nobody is asked who they are.
    """
    if settings.host not in LOOPBACK and not settings.allow_anonymous:
        raise ConfigError(
            f"CDI_HOST is {settings.host}, but no identities are configured: whoever reaches the "
            "server could run processes. Listen on 127.0.0.1; or, behind a proxy that asks who is "
            "there, set CDI_ALLOW_ANONYMOUS=1."
        )
    port = free_port(settings.host, settings.port)
    if port != settings.port:
        say(f"Port {settings.port} is taken; using {port} (choose one with CDI_PORT).")
    settings = replace(settings, port=port)
    environment = {
        **os.environ,
        "CDI_HOST": settings.host,
        "CDI_PORT": str(port),
        "CDI_CONFIG": str(config),
    }
    children = [Child("web", _gunicorn(settings))]
    if controller:
        children.append(Child("controller", [sys.executable, "-m", "ogcapi.cli", "controller"]))
    stopping = _stop_on_signals()
    say(f"Serving on {settings.base_url} (Ctrl-C ends it).")
    if settings.host in LOOPBACK:
        say("Reachable from this machine only: no identities are configured.")
    else:
        say(f"Warning: whoever reaches {settings.host} may run processes; there are no identities.")
    try:
        while not stopping:
            for child in children:
                _keep_alive(child, environment, say)
            time.sleep(0.2)
    finally:
        for child in reversed(children):
            _end(child)
    return 0


def _gunicorn(settings: Settings) -> list[str]:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return [
        *(sys.executable, "-m", "gunicorn", "ogcapi.app:create_app()"),
        *("--bind", f"{host}:{settings.port}", "--workers", str(settings.workers)),
        *("--worker-class", "gthread", "--threads", "8", "--timeout", "120"),
        *("--graceful-timeout", "5", "--keep-alive", "5", "--log-level", "warning"),
        # Imported once, not by each worker: the server answers sooner. Nothing is opened by it.
        *("--preload", "--no-control-socket"),
    ]


def _stop_on_signals() -> list[int]:
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, lambda got, _frame: received.append(got))
    return received


def _keep_alive(child: Child, environment: dict[str, str], say: Callable[[str], None]) -> None:
    now = time.monotonic()
    if child.process is not None and child.process.poll() is not None:
        child.restarts = child.restarts + 1 if now - child.started < LONG_S else 1
        pause = min(0.5 * 2 ** min(child.restarts, 6), 30.0)
        say(f"{child.name} ended with code {child.process.returncode}; again in {pause:.0f} s.")
        child.process, child.next_start = None, now + pause
    if child.process is None and now >= child.next_start:
        # A group of its own: Ctrl-C reaches the supervisor only, which ends its children in order.
        child.started = now
        child.process = subprocess.Popen(
            child.argv,
            env=environment,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  one thread only
        )


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the supervisor is gone, even killed (Linux only)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(child: Child) -> None:
    if child.process is None or child.process.poll() is not None:
        return
    child.process.terminate()
    try:
        child.process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()
