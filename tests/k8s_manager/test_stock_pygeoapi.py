"""Plain pygeoapi, without our service: it checks, describes and runs our processes all the same."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import processes
from k8s_manager.backends.local import LocalBackend
from k8s_manager.controller import Controller
from k8s_manager.settings import Settings
from k8s_manager.store import open_store

GREET = Path(__file__).parent.parent / "data" / "processes" / "greet" / "process.cwl"
SHIPPED = Path(processes.__file__).parent.parent / "pygeoapi-config.yml"
PYGEOAPI = str(Path(sys.executable).with_name("pygeoapi"))
CONFIG = """
server:
  bind: {{host: 127.0.0.1, port: {port}}}
  url: http://127.0.0.1:{port}
  mimetype: application/json
  encoding: utf-8
  languages: [en-US]
  pretty_print: true
  limits: {{default_items: 10, max_items: 100}}
  map: {{url: "https://localhost/{{z}}/{{x}}/{{y}}.png", attribution: none}}
  manager:
    name: k8s_manager.manager.KubernetesManager
    connection: sqlite:///{home}/cdi.db
    output_dir: {home}/workspace
    poll_s: 0.05
logging: {{level: ERROR}}
metadata:
  identification:
    title: Test
    description: Test
    keywords: [test]
    keywords_type: theme
    terms_of_service: none
    url: http://127.0.0.1:{port}
  license: {{name: none, url: http://127.0.0.1:{port}}}
  provider: {{name: Test, url: http://127.0.0.1:{port}}}
  contact: {{name: Test}}
resources:
  greet:
    type: process
    processor: {{name: k8s_manager.processor.CwlProcessor, cwl: {greet}}}
"""


def plain_environment() -> dict[str, str]:
    """Return the environment without settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CDI_")}


def pygeoapi(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYGEOAPI, *arguments],
        env={**plain_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a configuration for a free port."""
    folder = tmp_path_factory.mktemp("stock")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = CONFIG.format(port=port, home=folder, greet=GREET)
    (folder / "pygeoapi-config.yml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def openapi(home: Path) -> Path:
    """Return the OpenAPI document that stock pygeoapi generates."""
    target = home / "openapi.json"
    config = str(home / "pygeoapi-config.yml")
    arguments = ("openapi", "generate", config, "--format", "json", "--output-file", str(target))
    done = pygeoapi(*arguments, PYGEOAPI_CONFIG=config)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def server(home: Path, openapi: Path) -> Iterator[str]:
    """Serve with `pygeoapi serve`, with a controller beside; return the address."""
    config = home / "pygeoapi-config.yml"
    settings = Settings.load({}, config)
    store = open_store(settings.database_url, settings.workspace)
    backend, stop = LocalBackend(settings), threading.Event()
    worker = threading.Thread(target=Controller(settings, store, backend).run, args=(stop,))
    worker.start()
    environment = {"PYGEOAPI_CONFIG": str(config), "PYGEOAPI_OPENAPI": str(openapi)}
    log = (home / "server.log").open("wb")
    process = subprocess.Popen(
        [PYGEOAPI, "serve"],
        env={**plain_environment(), **environment},
        stdout=log,
        stderr=log,
    )
    address = yaml.safe_load(config.read_text())["server"]["url"]
    try:
        wait_until(lambda: answers(address), 120)
        yield address
    finally:
        process.terminate()
        process.wait()
        stop.set()
        backend.wake()
        worker.join()
        backend.close()
        store.close()
        log.close()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/?f=json").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Any, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)
    return found


def test_the_shipped_configuration_is_valid_for_pygeoapi() -> None:
    done = pygeoapi("config", "validate", "--config", str(SHIPPED))

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_openapi_document_names_the_process(openapi: Path) -> None:
    paths = yaml.safe_load(openapi.read_text())["paths"]

    assert {"/processes/greet", "/processes/greet/execution", "/jobs"} <= set(paths)
    body = paths["/processes/greet/execution"]["post"]["requestBody"]["content"]
    assert body["application/json"]["example"] == {"inputs": {"name": "World"}}


def test_the_process_is_listed_and_described(server: str) -> None:
    (listed,) = httpx.get(f"{server}/processes?f=json").json()["processes"]
    described = httpx.get(f"{server}/processes/greet?f=json").json()

    assert (listed["id"], listed["title"]) == ("greet", "Greet somebody")
    assert described["inputs"]["name"]["schema"]["minLength"] == 1
    assert httpx.get(f"{server}/processes/greet?f=html").status_code == 200


def test_a_job_runs_asynchronously(server: str) -> None:
    answer = httpx.post(
        f"{server}/processes/greet/execution",
        json={"inputs": {"name": "Ada"}, "response": "document"},
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "respond-async"
    job = answer.headers["Location"]

    def ended() -> Any:
        status = httpx.get(f"{job}?f=json").json()
        return status if status["status"] not in ("accepted", "running") else None

    status = wait_until(ended, 120)
    assert (status["status"], status["progress"]) == ("successful", 100), status["message"]
    assert httpx.get(f"{job}/results?f=json").json() == {
        "greeting": {"value": "Hello, Ada!\n", "mediaType": "text/plain"}
    }
    identifiers = [item["jobID"] for item in httpx.get(f"{server}/jobs?f=json").json()["jobs"]]
    assert status["jobID"] in identifiers
    assert httpx.get(f"{server}/jobs?f=html").status_code == 200

    assert httpx.delete(job).status_code == 200
    assert httpx.get(f"{job}?f=json").json()["status"] == "dismissed"


def test_a_job_runs_synchronously(server: str) -> None:
    answer = httpx.post(f"{server}/processes/greet/execution", json={"inputs": {"name": "Ada"}})

    assert (answer.status_code, answer.text) == (200, "Hello, Ada!\n")
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_bad_inputs_are_answered_with_400(server: str) -> None:
    answer = httpx.post(f"{server}/processes/greet/execution", json={"inputs": {"name": ""}})

    assert answer.status_code == 400
    assert "/inputs/name: expected at least 1 characters" in answer.json()["description"]
