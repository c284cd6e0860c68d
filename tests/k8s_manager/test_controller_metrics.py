"""A controller says over HTTP how it works and whether it lives, when it is told to listen."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from k8s_manager import controller_metrics
from k8s_manager.backends.base import RUNNING, Attempt, Observation, RoundState
from k8s_manager.errors import ConfigError
from k8s_manager.settings import Settings
from tests.k8s_manager.installation import Installation, eventually, waiting_for

CONFIG = {"server": {"manager": {}}, "resources": {}}


def numbers(url: str) -> dict[str, float]:
    """Return the samples by name, those of several labels added up."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics").text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def controller(installation: Installation, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `cdi controller` as an administrator does."""
    config = installation.settings.config
    config.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("CDI_")}
    env = {
        **inherited,
        "CDI_CONFIG": str(config),
        "CDI_HOME": str(installation.settings.home),
        "CDI_METRICS_PORT": str(port),
    }
    command = [sys.executable, "-m", "ogcapi.cli", "controller"]
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout=60)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_controller_tells_what_it_does(installation: Installation, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with controller(installation, port):
        assert eventually(lambda: answers(url))
        assert eventually(lambda: numbers(url)["cdi_lease_held"] == 1)
        code = waiting_for(tmp_path / "go") + "\nopen('result.txt', 'w')"
        job = installation.submit("python", {"code": code})
        assert eventually(lambda: numbers(url)["cdi_active_attempts"] == 1)
        assert numbers(url)["cdi_active_rounds"] == 1
        (tmp_path / "go").touch()
        assert eventually(lambda: installation.store.job(job.id).outcome == "successful")
        assert eventually(lambda: numbers(url)["cdi_active_rounds"] == 0)
        looks = numbers(url)["cdi_reconcile_seconds_count"]
        assert looks > 3
        assert eventually(lambda: numbers(url)["cdi_reconcile_seconds_count"] > looks)
        assert numbers(url)["cdi_reconcile_lag_seconds"] < 30
        assert numbers(url)["process_resident_memory_bytes"] > 1_000_000
        answer = httpx.get(f"{url}/healthz")
        assert answer.json()["status"] == "ok"
        unknown = httpx.get(f"{url}/jobs")
        assert unknown.status_code == 404
        assert unknown.headers["Content-Type"] == "application/problem+json"


def test_a_taken_port_of_the_listener_is_named(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = listening(installation.settings.home, taken.getsockname()[1])
        with pytest.raises(ConfigError, match=r"CDI_METRICS_PORT .* Address already in use"):
            controller_metrics.listen(settings)


def test_without_a_port_it_does_not_listen(installation: Installation) -> None:
    assert controller_metrics.listen(installation.settings) is None


def listening(home: Path, port: int, limit_s: float = 60.0) -> Settings:
    env = {
        "CDI_HOME": str(home),
        "CDI_METRICS_PORT": str(port),
        "CDI_HEALTH_LIMIT_S": str(limit_s),
    }
    return Settings.from_manager({}, home / "config.yml", env)


def test_a_loop_that_stands_still_is_not_healthy_and_one_that_turns_again_is(
    tmp_path: Path,
) -> None:
    port = controller_metrics.listen(listening(tmp_path, free_port(), 3.0))
    url = f"http://127.0.0.1:{port}/healthz"
    controller_metrics.turned(lease_held=False)
    assert httpx.get(url).status_code == 200
    assert eventually(lambda: httpx.get(url).status_code == 503)
    answer = httpx.get(url)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "last turned" in json.loads(answer.text)["detail"]
    controller_metrics.turned(lease_held=False)
    assert httpx.get(url).status_code == 200


def value(name: str, **labels: str) -> float:
    return controller_metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_the_lag_grows_from_the_last_look_that_was_completed() -> None:
    looks = value("cdi_reconcile_seconds_count")
    with controller_metrics.looking():
        pass
    assert value("cdi_reconcile_seconds_count") == looks + 1
    time.sleep(0.05)
    with pytest.raises(RuntimeError), controller_metrics.looking():
        raise RuntimeError
    assert value("cdi_reconcile_seconds_count") == looks + 1
    controller_metrics.turned(lease_held=True)
    late = value("cdi_reconcile_lag_seconds")
    assert late >= 0.05
    assert value("cdi_reconcile_lag_seconds") > late


def test_calls_are_counted_by_verb_and_outcome_and_attempts_as_they_are_seen() -> None:
    before = value("cdi_backend_calls_total", verb="create", outcome="409")
    controller_metrics.backend_called("create", "409")
    assert value("cdi_backend_calls_total", verb="create", outcome="409") == before + 1
    running = Attempt("cdi-x-run-r1", 0, "a", Path("a"), RUNNING)
    ended = Attempt("cdi-x-run-r1", 1, "b", Path("b"), "ended")
    state = RoundState((running, ended))
    controller_metrics.observed(Observation({"cdi-x-run-r1": state, "cdi-y-run-r1": RoundState()}))
    assert value("cdi_active_rounds") == 2
    assert value("cdi_active_attempts") == 1
    controller_metrics.turned(lease_held=False)
    assert value("cdi_active_rounds") == value("cdi_active_attempts") == 0
