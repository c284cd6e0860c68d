"""A real server for tests: `cdi serve` as a user starts it, on a free port, ended afterwards."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_started = itertools.count()


@dataclass
class Server:
    """A running server and the few requests that tests make again and again."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self._address(path), timeout=120, **options)

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return httpx.post(self._address(path), json=body, timeout=120, **options)

    def delete(self, path: str) -> httpx.Response:
        return httpx.delete(self._address(path), timeout=120)

    def finish(self, job: str, seconds: float = 240) -> dict[str, Any]:
        """Follow a job to its end and return its status document."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            document: dict[str, Any] = self.get(f"/jobs/{job}").json()
            if document["status"] in ("successful", "failed", "dismissed"):
                return document
            time.sleep(0.1)
        raise AssertionError(f"job {job} has not ended after {seconds} s: {document}")

    def _address(self, path: str) -> str:
        return path if path.startswith("http") else self.url + path


@contextmanager
def serving(
    config: Path, home: Path, arguments: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Start `cdi serve` and give it once it answers."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "serve.log"
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("CDI_")},
        "CDI_HOME": str(home),
        "CDI_CONFIG": str(config),
        "CDI_PORT": str(_port()),
        "PYTHONUNBUFFERED": "1",
        **(env or {}),
    }
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "ogcapi.cli", "serve", *arguments],
            env=environment,
            cwd=config.parent,
            stdout=stream,
            stderr=stream,
        )
    try:
        yield Server(_wait_until_it_answers(process, log), process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port() -> int:
    """Return a port that no test run beside this one tries, and none of an outgoing connection.

    A port is looked for long before it is taken: two servers that look at once would both have it.
    """
    return 20000 + os.getpid() % 1000 * 12 + next(_started) % 12


def _wait_until_it_answers(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"Serving on (http://\S+)", log.read_text(errors="replace"))
        if found:
            try:
                if httpx.get(found[1] + "/health", timeout=5).status_code == 200:
                    return found[1]
            except httpx.TransportError:
                pass
        time.sleep(0.1)
    raise AssertionError("the server does not answer:\n" + log.read_text(errors="replace"))
