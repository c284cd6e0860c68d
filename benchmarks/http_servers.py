"""The servers to compare on loopback: `cdi serve` and stock pygeoapi, under the same web server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any

import uuid_utils
import yaml
from cluster_server import end
from sqlalchemy import insert, select

from k8s_manager import schema
from k8s_manager.store import Store
from ogcapi.serve import THREADS, free_port

ROOT = Path(__file__).parent.parent
START_S = 120.0
FIRST_PORT = 20_000


@dataclass(frozen=True)
class Peer:
    """A running server, and how to execute the process that both of them have."""

    name: str
    port: int
    process: str
    """Identifier of the process that gives a text back."""
    text: str
    """Identifier of its input."""
    more_jobs: Callable[[int], None]
    """Adds so many copies of the record of its newest job to the store."""

    def connection(self) -> HTTPConnection:
        """Return a connection of its own."""
        return HTTPConnection("127.0.0.1", self.port, timeout=60)

    def execution(self, text: str) -> tuple[str, str, str, dict[str, str]]:
        """Return method, path, body and headers of an asynchronous execution."""
        body = json.dumps({"inputs": {self.text: text}})
        headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
        return "POST", f"/processes/{self.process}/execution", body, headers


@contextmanager
def ours(folder: Path, workers: int) -> Iterator[Peer]:
    """Start `cdi serve` with the processes of the project and the echo process."""
    config = _read()
    for process, resource in config["resources"].items():
        path = ROOT / "processes" / process.replace("-", "_") / "process.cwl"
        resource["processor"]["cwl"] = str(path)
    processor = {
        "name": "k8s_manager.processor.CwlProcessor",
        "cwl": str(ROOT / "tests" / "echo" / "echo.cwl"),
    }
    config["resources"]["echo"] = {"type": "process", "processor": processor}
    port = free_port("127.0.0.1", FIRST_PORT)
    variables = {
        "CDI_HOME": str(folder),
        "CDI_CONFIG": str(_write(folder, config)),
        "CDI_PORT": str(port),
        "CDI_WORKERS": str(workers),
    }
    command = [sys.executable, "-m", "ogcapi.cli", "serve"]
    with _running(command, variables, folder, port):
        yield Peer("ours", port, "echo", "stringInput", partial(_more_rows, folder / "cdi.db"))


@contextmanager
def stock(folder: Path) -> Iterator[Peer]:
    """Start pygeoapi as it comes, with as many processes and its job manager with a file."""
    config = _read()
    count = len(config["resources"])
    example = {"type": "process", "processor": {"name": "HelloWorld"}}
    config["resources"] = {f"hello-{number}": example for number in range(count + 1)}
    manager = {"name": "TinyDB", "connection": str(folder / "jobs.db"), "output_dir": str(folder)}
    port = free_port("127.0.0.1", FIRST_PORT)
    address = f"http://127.0.0.1:{port}"
    config["server"] |= {"manager": manager, "url": address}
    openapi = folder / "openapi.yml"
    path = _write(folder, config)
    variables = {"PYGEOAPI_CONFIG": str(path), "PYGEOAPI_OPENAPI": str(openapi)}
    program = Path(sys.executable).with_name("pygeoapi")
    generate = [program, "openapi", "generate", path, "--output-file", openapi]
    environment = {**os.environ, **variables}
    subprocess.run(generate, env=environment, check=True, stdout=subprocess.DEVNULL)
    with _running(_gunicorn(port, "pygeoapi.flask_app:APP"), variables, folder, port):
        more_jobs = partial(_more_documents, folder / "jobs.db")
        yield Peer(f"pygeoapi {version('pygeoapi')}", port, "hello-0", "name", more_jobs)


@contextmanager
def bare_flask(folder: Path) -> Iterator[Peer]:
    """Start a Flask application that answers every path with the same text: what both build on."""
    port = free_port("127.0.0.1", FIRST_PORT)
    variables = {"PYTHONPATH": str(Path(__file__).parent)}
    with _running(_gunicorn(port, "hello:APP"), variables, folder, port):
        yield Peer("bare Flask", port, "", "", lambda _: None)


def _gunicorn(port: int, application: str) -> list[str]:
    command = [sys.executable, "-m", "gunicorn", "--workers", "1", "--worker-class", "gthread"]
    command += ["--threads", str(THREADS), "--keep-alive", "5", "--log-level", "warning"]
    return [*command, "--bind", f"127.0.0.1:{port}", "--no-control-socket", application]


@contextmanager
def _running(
    command: list[str], variables: Mapping[str, str], folder: Path, port: int
) -> Iterator[None]:
    environment = {key: text for key, text in os.environ.items() if not key.startswith("CDI_")}
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env={**environment, **variables}, cwd=folder, stdout=stream, stderr=stream
        )
    try:
        until = time.monotonic() + START_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the server does not answer:\n" + log.read_text())
            time.sleep(0.1)
        yield
    finally:
        end(process)


def _more_rows(path: Path, count: int) -> None:
    store = Store(f"sqlite:///{path}")
    with store.database.write() as connection:
        newest = select(schema.jobs).order_by(schema.jobs.c.id.desc()).limit(1)
        row = dict(connection.execute(newest).one()._mapping)
        ids = (uuid_utils.uuid7().hex for _ in range(count))
        connection.execute(insert(schema.jobs), [{**row, "id": id_} for id_ in ids])
    store.close()


def _more_documents(path: Path, count: int) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    (table,) = document.values()
    number, newest = max(((int(key), entry) for key, entry in table.items()), key=itemgetter(0))
    for more in range(1, count + 1):
        table[str(number + more)] = {**newest, "identifier": str(uuid_utils.uuid7())}
    path.write_text(json.dumps(document), encoding="utf-8")


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/processes?f=json")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _read() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text("utf-8"))
    return config


def _write(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "pygeoapi-config.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
