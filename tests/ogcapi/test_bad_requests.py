"""What a client gets wrong is answered 4xx with a problem, never 500, and reaches no other file."""

from __future__ import annotations

import httpx
import pytest

from tests.serving import Server

JSON = {"Content-Type": "application/json"}


def finished(server: Server, **members: object) -> str:
    body = {"inputs": {"name": "Ada"}, **members}
    answer = server.post("/processes/greet/execution", body, headers={"Prefer": "respond-async"})
    job: str = answer.json()["jobID"]
    assert server.finish(job)["status"] == "successful"
    return job


@pytest.mark.parametrize(
    "body",
    [
        rb'{"inputs": {"name": "\u0000"}}',
        rb'{"inputs": {"name": "\ud800"}}',
        rb'{"inputs": {"\udfff": "a"}}',
        rb'{"inputs": {"name": "a"}, "outputs": {"\ud800": {}}}',
    ],
)
def test_text_that_no_program_can_take_is_refused(server: Server, body: bytes) -> None:
    answer = httpx.post(f"{server.url}/processes/greet/execution", content=body, headers=JSON)
    assert answer.status_code == 400
    assert "NUL" in answer.json()["detail"]


def test_escapes_that_only_look_like_it_are_accepted(server: Server) -> None:
    body = rb'{"inputs": {"name": "\ud83c\udf33 \\u0000"}, "response": "raw"}'
    answer = httpx.post(f"{server.url}/processes/greet/execution", content=body, headers=JSON)
    assert answer.status_code == 200
    assert "\N{DECIDUOUS TREE} \\u0000" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/jobs?limit=%C2%B2",
        "/jobs?limit=0",
        "/jobs?limit=1001",
        "/jobs?minDuration=%D9%A3",
        "/processes?limit=%C2%B2",
        "/processes?offset=99999999999999999999",
        "/health?f=html",
        "/releases/demo-rural/000001/manifest.json?colour=red",
    ],
)
def test_parameters_that_are_no_numbers_or_unknown_are_refused(server: Server, path: str) -> None:
    assert server.get(path).status_code == 400


@pytest.mark.parametrize("path", ["x", "%2e%2e", "%2e%2e/%2e%2e/task-r1.json", "%00", "a" * 3000])
def test_results_hold_no_other_file(server: Server, path: str) -> None:
    job = finished(server)
    for output in ("greeting", "everything", "none"):
        answer = server.get(f"/jobs/{job}/results/{output}/{path}")
        assert answer.status_code == 404, answer.text


def test_a_job_that_is_being_dismissed_is_not_dismissed_again(server: Server) -> None:
    answer = server.post(
        "/processes/greet/execution",
        {"inputs": {"name": "Ada", "pause": 30}},
        headers={"Prefer": "respond-async"},
    )
    job = answer.json()["jobID"]
    assert server.delete(f"/jobs/{job}").status_code == 200
    assert server.delete(f"/jobs/{job}").status_code == 410


def test_a_body_above_the_limit_is_refused(server: Server) -> None:
    answer = httpx.post(
        f"{server.url}/processes/greet/execution", content=b" " * 33_000_000, headers=JSON
    )
    assert answer.status_code == 413
