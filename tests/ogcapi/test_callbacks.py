"""Callbacks over HTTP: what a subscriber is told is what the job's own addresses answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from tests.loopback import Loopback, loopback
from tests.serving import Server

CALLBACK = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/callback"


@pytest.fixture
def subscriber() -> Iterator[Loopback]:
    with loopback() as other:
        yield other


def accepted(
    server: Server, inputs: dict[str, Any], subscriber: dict[str, str], **members: Any
) -> str:
    body = {"inputs": inputs, "subscriber": subscriber, **members}
    answer = server.post("/processes/greet/execution", body, headers={"Prefer": "respond-async"})
    assert answer.status_code == 201, answer.text
    job: str = answer.json()["jobID"]
    return job


def uris(other: Loopback, status: str = "200") -> dict[str, str]:
    names = {"successUri": "success", "inProgressUri": "on", "failedUri": "failed"}
    return {member: f"{other.url}/status/{status}/{name}" for member, name in names.items()}


def eventually(found: Callable[[], Any], seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < until, "it does not come to that"
        time.sleep(0.05)
    return value


def told(server: Server, job: str, event: str) -> dict[str, Any]:
    """Wait until nothing more is told of an event, and return its record."""

    def closed() -> dict[str, Any] | None:
        entries = server.get(f"/jobs/{job}").json()["callbacks"]
        [entry] = [entry for entry in entries if entry["event"] == event]
        return None if entry["open"] else dict(entry)

    found: dict[str, Any] = eventually(closed)
    return found


def check_status_info(server: Server, document: dict[str, Any]) -> None:
    definition = server.get("/openapi").json()
    schema = {**definition["components"]["schemas"]["statusInfo"]}
    jsonschema.validate(document, {**schema, "components": definition["components"]})


def test_the_conformance_class_is_claimed(server: Server) -> None:
    assert CALLBACK in server.get("/conformance").json()["conformsTo"]


def test_req_callback_job_callback(server: Server, subscriber: Loopback) -> None:
    job = accepted(server, {"name": "Ada", "pause": 4}, uris(subscriber))
    entry = told(server, job, "success")
    assert (entry["tries"], entry["status"]) == (1, 200)
    assert entry["delivered"].endswith("Z")
    assert entry["uri"] == f"{subscriber.url}/status/200/success"
    [received] = subscriber.on("/status/200/success")
    assert (received.method, received.media_type) == ("POST", "application/json")
    assert json.loads(received.body) == server.get(f"/jobs/{job}/results?f=json").json()
    assert subscriber.on("/status/200/failed") == []
    running = json.loads(subscriber.on("/status/200/on")[0].body)
    assert (running["jobID"], running["status"]) == (job, "running")
    check_status_info(server, running)
    check_status_info(server, server.get(f"/jobs/{job}").json())


def test_values_are_told_as_they_were_asked_for(server: Server, subscriber: Loopback) -> None:
    outputs = {"greeting": {"transmissionMode": "value"}}
    job = accepted(server, {"name": "Ada"}, uris(subscriber), outputs=outputs, response="raw")
    told(server, job, "success")
    [received] = subscriber.on("/status/200/success")
    assert json.loads(received.body)["greeting"]["value"] == "Hello Ada\n"


def test_failure_is_told_with_its_reason(server: Server, subscriber: Loopback) -> None:
    job = accepted(server, {"name": "nobody"}, uris(subscriber))
    assert told(server, job, "failed")["status"] == 200
    document = json.loads(subscriber.on("/status/200/failed")[0].body)
    check_status_info(server, document)
    assert (document["jobID"], document["status"]) == (job, "failed")
    assert document["exception"] == server.get(f"/jobs/{job}/results").json()
    assert subscriber.on("/status/200/success") == []


def test_dismissal_is_told_where_failure_is(server: Server, subscriber: Loopback) -> None:
    job = accepted(server, {"name": "Ada", "pause": 59}, uris(subscriber))
    assert server.delete(f"/jobs/{job}").status_code == 200
    told(server, job, "failed")
    document = json.loads(subscriber.on("/status/200/failed")[0].body)
    assert (document["jobID"], document["status"]) == (job, "dismissed")
    assert "exception" not in document


def test_the_jobs_page_shows_what_became_of_it(server: Server, subscriber: Loopback) -> None:
    job = accepted(server, {"name": "Ada"}, uris(subscriber, "404"))
    assert told(server, job, "success")["error"] == "answers 404"
    page = server.get(f"/jobs/{job}", headers={"Accept": "text/html"}).text
    assert f"{subscriber.url}/status/404/success" in page
    assert "answers 404" in page


def test_a_job_that_is_tried_again_tells_again(server: Server, subscriber: Loopback) -> None:
    job = accepted(server, {"name": "nobody"}, uris(subscriber))
    told(server, job, "failed")
    again = httpx.post(f"{server.url}/jobs/{job}/retry").json()["jobID"]
    told(server, again, "failed")
    documents = [json.loads(item.body) for item in subscriber.on("/status/200/failed")]
    assert [document["jobID"] for document in documents] == [job, again]


def test_a_job_without_a_subscriber_shows_no_callbacks(server: Server) -> None:
    answer = server.post(
        "/processes/greet/execution",
        {"inputs": {"name": "Ada"}},
        headers={"Prefer": "respond-async"},
    )
    assert "callbacks" not in server.get(f"/jobs/{answer.json()['jobID']}").json()


def test_all_that_is_wrong_with_a_subscriber_is_said_at_once(server: Server) -> None:
    body = {
        "inputs": {"nam": "Ada"},
        "subscriber": {
            "successUri": "https://169.254.169.254/latest/meta-data/",
            "inProgressUri": "ftp://127.0.0.1/",
            "failedUri": "https://user:secret@127.0.0.1/",
            "finalUri": "https://127.0.0.1/",
        },
    }
    answer = server.post("/processes/greet/execution", body)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = {item["pointer"]: item["expected"] for item in answer.json()["violations"]}
    assert set(found) == {
        *("/inputs/nam", "/inputs/name", "/subscriber/successUri", "/subscriber/inProgressUri"),
        *("/subscriber/failedUri", "/subscriber/finalUri"),
    }
    assert found["/subscriber/successUri"] == "an address at 127.0.0.1"
    without = server.post(
        "/processes/greet/execution",
        {"inputs": {"name": "Ada"}, "subscriber": {"failedUri": "https://127.0.0.1/"}},
    )
    assert [item["pointer"] for item in without.json()["violations"]] == ["/subscriber/successUri"]


def test_the_definition_describes_what_a_subscriber_is_told(server: Server) -> None:
    paths = server.get("/openapi").json()["paths"]
    execute = paths["/processes/greet/execution"]["post"]
    assert len(execute["callbacks"]) == 3
    assert "subscriber" in json.dumps(execute["requestBody"])
