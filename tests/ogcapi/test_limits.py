"""Limits of a server: each is answered with the right status and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient

from k8s_manager.backends.local import LocalBackend
from k8s_manager.controller import Controller
from k8s_manager.settings import Settings
from k8s_manager.store import open_store
from ogcapi.app import create_app

ROOT = Path(__file__).parents[2]
LATER = {"Prefer": "respond-async"}
BOTH = {"greeting": {"transmissionMode": "value"}, "record": {"transmissionMode": "value"}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    config = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    cwl = str(ROOT / "tests" / "data" / "processes" / "greet.cwl")
    processor = {"name": "k8s_manager.processor.CwlProcessor", "cwl": cwl}
    config["resources"] = {"greet": {"type": "process", "processor": processor}}
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    env = {"CDI_HOME": str(tmp_path / "var")}
    limits = {"open_jobs_per_owner": 2, "inline_limit_bytes": 40, "body_limit_bytes": 10_000}
    return replace(Settings.load(env, path), **limits)


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    store = open_store(settings.database_url, settings.workspace)
    app = create_app(settings)
    yield app.test_client()
    app.extensions["cdi"].store.close()
    store.close()


def execute(client: FlaskClient, **members: Any) -> Any:
    body = {"inputs": {"name": "Ada"}, **members}
    return client.post("/processes/greet/execution", json=body, headers=LATER)


def carry_out(settings: Settings, job: str) -> None:
    store = open_store(settings.database_url, settings.workspace)
    controller = Controller(settings, store, LocalBackend(settings))
    try:
        assert controller.run_until(job).status == "successful"
    finally:
        controller.dispose()
        store.close()


def test_an_owner_has_only_so_many_unfinished_jobs(settings: Settings, client: FlaskClient) -> None:
    first, second = execute(client), execute(client)
    assert (first.status_code, second.status_code) == (201, 201)
    refused = execute(client)
    assert refused.status_code == 429
    assert refused.mimetype == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0
    assert "2 unfinished jobs" in refused.json["detail"]
    assert "dismiss one" in refused.json["detail"]
    assert len(client.get("/jobs").json["jobs"]) == 2
    carry_out(settings, first.json["jobID"])
    assert execute(client).status_code == 201


def test_a_large_result_is_linked_where_its_value_was_asked_for(
    settings: Settings, client: FlaskClient
) -> None:
    job = execute(client, inputs={"name": "Ada", "times": 5}, outputs=BOTH).json["jobID"]
    carry_out(settings, job)
    document = client.get(f"/jobs/{job}/results?f=json").json
    assert document["record"]["value"] == {"greeted": "Ada", "times": 5}
    assert document["greeting"]["href"].endswith(f"/jobs/{job}/results/greeting/greeting.txt")
    path = f"/jobs/{job}/results/greeting/greeting.txt"
    assert client.get(path, buffered=True).text == "Hello Ada\n" * 5


def test_results_that_fit_one_by_one_but_not_together_are_linked(
    settings: Settings, client: FlaskClient
) -> None:
    job = execute(client, inputs={"name": "Ada", "times": 2}, outputs=BOTH).json["jobID"]
    carry_out(settings, job)
    document = client.get(f"/jobs/{job}/results?f=json").json
    assert document["greeting"]["value"] == "Hello Ada\n" * 2
    assert document["record"]["href"].endswith(f"/jobs/{job}/results/record/greeting.json")


@pytest.mark.parametrize("content", [b'{"a": NaN}', b"1e999", b'"\\ud800"', b"\xe4", b"[" * 40])
def test_a_result_that_no_document_can_hold_is_linked(
    settings: Settings, client: FlaskClient, content: bytes
) -> None:
    outputs = {"record": {"transmissionMode": "value"}}
    job = execute(client, outputs=outputs).json["jobID"]
    carry_out(settings, job)
    service = client.application.extensions["cdi"]
    results = service.store.job(job).results
    service.workspace.path(results["record"]["location"]).write_bytes(content)
    answer = client.get(f"/jobs/{job}/results?f=json")
    assert answer.status_code == 200
    assert answer.json["record"]["href"].endswith("/greeting.json")


def test_who_gave_this_machine_another_name_gets_nothing(client: FlaskClient) -> None:
    for name in ("evil.example", "evil.example:5000", "localhost.evil.example", "[::2]", "["):
        answer = client.get("/jobs", headers={"Host": name})
        assert answer.status_code == 403, name
        assert "CDI_PUBLIC_URL" in answer.json["detail"]
    for name in ("localhost", "127.0.0.1:5000", "[::1]:5000", "cdi.localhost"):
        assert client.get("/jobs", headers={"Host": name}).status_code == 200, name


def test_a_large_result_is_linked_among_raw_ones(settings: Settings, client: FlaskClient) -> None:
    inputs = {"name": "Ada", "times": 5}
    job = execute(client, inputs=inputs, outputs=BOTH, response="raw").json["jobID"]
    carry_out(settings, job)
    answer = client.get(f"/jobs/{job}/results")
    assert answer.mimetype == "multipart/related"
    assert f"Content-Location: {settings.base_url}/jobs/{job}/results/greeting/" in answer.text
    assert '{"greeted": "Ada", "times": 5}' in answer.text
    assert "Hello Ada" not in answer.text


def test_a_body_above_the_limit_says_what_to_do(client: FlaskClient) -> None:
    answer = execute(client, inputs={"name": "A" * 10_000})
    assert answer.status_code == 413
    assert answer.mimetype == "application/problem+json"
    assert "At most 10,000 bytes" in answer.json["detail"]
    assert "by reference" in answer.json["detail"]
