"""`cdi serve` keeps its children alive, and leaves none behind however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from tests.ogcapi.test_command_line import CONFIG, ROOT
from tests.serving import Server, serving


@pytest.fixture
def config(tmp_path: Path) -> Path:
    everything = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    path = tmp_path / "config.yml"
    text = yaml.safe_dump({**CONFIG, "metadata": everything["metadata"]})
    path.write_text(text, encoding="utf-8")
    return path


def children(server: Server) -> dict[str, psutil.Process]:
    found = {}
    for child in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end between two looks
            if child.status() != psutil.STATUS_ZOMBIE:
                found[child.name()] = child
    return found


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_killed_child_is_started_again(config: Path) -> None:
    with serving(config, config.parent / "var") as server:
        until(lambda: set(children(server)) == {"cdi-web", "cdi-controller"})
        before = children(server)
        for child in before.values():
            child.kill()
        until(lambda: set(children(server)) == {"cdi-web", "cdi-controller"})
        assert not set(before.values()) & set(children(server).values())

        def answers() -> bool:
            try:
                return server.get("/health").status_code == 200
            except httpx.TransportError:
                return False

        until(answers)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL], ids=str
)
def test_no_process_is_left_however_it_ends(config: Path, number: signal.Signals) -> None:
    with serving(config, config.parent / "var") as server:
        supervisor = psutil.Process(server.process.pid)
        until(lambda: len(supervisor.children(recursive=True)) >= 3)
        everything = supervisor.children(recursive=True)
        server.process.send_signal(number)
        _, alive = psutil.wait_procs(everything, timeout=60)
        assert not alive
        assert server.process.wait(timeout=60) == (-9 if number == signal.SIGKILL else 0)


def test_a_taken_port_is_named_and_the_next_one_used(config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = {"CDI_PORT": str(port)}
        with serving(config, config.parent / "var", env=env) as server:
            assert f"Port {port} is taken" in server.log.read_text()
            assert not server.url.endswith(f":{port}")
            assert server.get("/processes").json()["links"][0]["href"].startswith(server.url)


def test_a_controller_that_cannot_start_says_why_each_time_in_one_sentence(config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = {"CDI_METRICS_PORT": str(taken.getsockname()[1])}
        with serving(config, config.parent / "var", env=env) as server:
            until(lambda: server.log.read_text().count("controller ended with code 2") >= 2)
            said = server.log.read_text()
    assert said.count(f"CDI_METRICS_PORT {env['CDI_METRICS_PORT']} cannot be listened at") >= 2
    assert "Traceback" not in said


def test_without_identities_the_server_listens_on_loopback_only(
    config: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "CDI_HOME": str(tmp_path), "CDI_HOST": "0.0.0.0"}
    command = [sys.executable, "-m", "ogcapi.cli", "serve", "--config", str(config)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr
    assert "CDI_IDENTITY_METHOD=tokens" in done.stderr
    assert "Traceback" not in done.stderr
