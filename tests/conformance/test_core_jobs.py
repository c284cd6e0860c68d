"""Requirements class Core of OGC API - Processes - Part 1 (18-062r2): status, results of jobs."""

from __future__ import annotations

import json

from tests.conformance.executing import (
    OGC,
    REFERENCE,
    VALUE,
    execute,
    finished,
    links,
    parts,
)
from tests.conformance.published import check
from tests.serving import Server

RESULTS = "http://www.opengis.net/def/rel/ogc/1.0/results"
EXCEPTIONS = "http://www.opengis.net/def/rel/ogc/1.0/exceptions"


def test_req_core_job(echo: Server) -> None:
    assert echo.get(f"/jobs/{finished(echo)}").status_code == 200


def test_req_core_job_success(echo: Server) -> None:
    answer = execute(echo, {"pause": 5}, "respond-async")
    job = answer.json()["jobID"]
    running = echo.get(f"/jobs/{job}")
    check("statusInfo", running.json())
    rels = {entry["rel"] for entry in running.json()["links"]}
    assert {"self", "up", "monitor"} <= rels
    assert not {RESULTS, EXCEPTIONS} & rels
    assert int(running.headers["Retry-After"]) > 0
    done = echo.finish(job)
    check("statusInfo", done)
    assert (done["status"], done["type"], done["progress"]) == ("successful", "process", 100)
    assert done["created"] <= done["started"] <= done["finished"] <= done["updated"]
    assert RESULTS in {entry["rel"] for entry in done["links"]}
    assert "Retry-After" not in echo.get(f"/jobs/{job}").headers


def test_a_failed_job_links_its_error(echo: Server) -> None:
    document = echo.get(f"/jobs/{finished(echo, {'stringInput': 'fail'})}").json()
    check("statusInfo", document)
    [address] = [entry["href"] for entry in document["links"] if entry["rel"] == EXCEPTIONS]
    assert echo.get(address).json()["title"] == "the echo was told to fail"


def test_req_core_job_exception_no_such_job(echo: Server) -> None:
    for path in ("/jobs/none", "/jobs/0190a5b4c5d67e8f9a0b1c2d3e4f5a6b", "/jobs/%2e%2e"):
        answer = echo.get(path)
        assert answer.status_code == 404
        check("exception", answer.json())
    assert echo.get("/jobs/none").json()["type"] == OGC + "no-such-job"


def test_req_core_job_results(echo: Server) -> None:
    assert echo.get(f"/jobs/{finished(echo)}/results").status_code == 200


def test_req_core_job_results_async_document(echo: Server) -> None:
    job = finished(echo, {"doubleInput": 2.5, "arrayInput": [1, 2]}, response="document")
    document = echo.get(f"/jobs/{job}/results").json()
    check("results", document)
    assert document == {
        "stringOutput": "Value1",
        "doubleOutput": 2.5,
        "arrayOutput": {"value": [1, 2]},
    }
    some = echo.get(f"/jobs/{job}/results?outputs=doubleOutput,stringOutput").json()
    assert some == {"stringOutput": "Value1", "doubleOutput": 2.5}
    assert echo.get(f"/jobs/{job}/results?outputs=none").status_code == 400


def test_req_core_job_results_async_raw_value_one(echo: Server) -> None:
    job = finished(echo, response="raw", outputs={"stringOutput": VALUE})
    answer = echo.get(f"/jobs/{job}/results")
    assert (answer.status_code, answer.text) == (200, "Value1")
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_req_core_job_results_async_raw_value_multi(echo: Server) -> None:
    job = finished(echo, {"arrayInput": [1, 2]}, response="raw")
    found = parts(echo.get(f"/jobs/{job}/results"))
    assert found["stringOutput"].get_content().strip() == "Value1"
    assert json.loads(found["arrayOutput"].get_payload(decode=True) or b"") == [1, 2]


def test_req_core_job_results_async_raw_ref(echo: Server) -> None:
    job = finished(echo, response="raw", outputs={"stringOutput": REFERENCE})
    answer = echo.get(f"/jobs/{job}/results")
    assert (answer.status_code, answer.content) == (204, b"")
    assert echo.get(links(answer)["stringOutput"]).json() == "Value1"


def test_req_core_job_results_async_raw_mixed_multi(echo: Server) -> None:
    outputs = {"stringOutput": VALUE, "documentOutput": REFERENCE}
    job = finished(echo, {"documentInput": "<a/>"}, response="raw", outputs=outputs)
    found = parts(echo.get(f"/jobs/{job}/results"))
    assert found["stringOutput"].get_content().strip() == "Value1"
    assert echo.get(str(found["documentOutput"]["Content-Location"])).text == "<a/>"


def test_req_core_job_results_exception_no_such_job(echo: Server) -> None:
    answer = echo.get("/jobs/none/results")
    assert answer.status_code == 404
    check("exception", answer.json())
    assert answer.json()["type"] == OGC + "no-such-job"


def test_req_core_job_results_exception_results_not_ready(echo: Server) -> None:
    job = execute(echo, {"pause": 10}, "respond-async").json()["jobID"]
    answer = echo.get(f"/jobs/{job}/results")
    assert answer.status_code == 404
    check("exception", answer.json())
    assert answer.json()["type"] == OGC + "result-not-ready"
    echo.delete(f"/jobs/{job}")


def test_req_core_job_results_failed(echo: Server) -> None:
    answer = echo.get(f"/jobs/{finished(echo, {'stringInput': 'fail'})}/results")
    assert answer.status_code == 422
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    check("exception", answer.json())
    assert answer.json()["status"] == 422
