"""Processes and jobs over HTTP, against a server as a user starts it."""

from __future__ import annotations

import httpx
import pytest

from tests.serving import Server

OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def execute(server: Server, inputs: object, **members: object) -> httpx.Response:
    headers = {"Prefer": "respond-async"}
    return server.post("/processes/greet/execution", {"inputs": inputs, **members}, headers=headers)


def test_processes_are_listed_with_paging(server: Server) -> None:
    everything = server.get("/processes").json()
    names = [process["id"] for process in everything["processes"]]
    assert names == sorted(names)
    assert {"orchard-monitoring", "detect", "greet"} <= set(names)
    page = server.get("/processes?limit=2").json()
    assert [process["id"] for process in page["processes"]] == names[:2]
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    assert [process["id"] for process in server.get(following).json()["processes"]] == names[2:4]


def test_a_description_hides_what_the_manager_fills(server: Server) -> None:
    inputs = server.get("/processes/orchard-monitoring").json()["inputs"]
    assert {"area", "bbox", "district", "period", "inventory", "sources"} <= set(inputs)
    assert not {"previous", "source_config"} & set(inputs)


def test_an_asynchronous_execution_runs_to_its_results(server: Server) -> None:
    answer = execute(server, {"name": "Ada"})
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "respond-async"
    job = answer.json()
    assert answer.headers["Location"] == f"{server.url}/jobs/{job['jobID']}"
    assert job["status"] == "accepted"
    done = server.finish(job["jobID"])
    assert (done["status"], done["progress"]) == ("successful", 100)
    results = server.get(f"/jobs/{job['jobID']}/results").json()
    assert server.get(results["greeting"]["href"]).text == "Hello Ada\n"
    assert results["greeting"]["type"] == "text/plain"
    assert server.get(results["record"]["href"]).json() == {"greeted": "Ada", "times": 1}


def test_a_body_without_content_type_is_taken_for_json(server: Server) -> None:
    answer = httpx.post(
        f"{server.url}/processes/greet/execution",
        content=b'{"inputs": {"name": "curl"}}',
        headers={"Content-Type": "application/x-www-form-urlencoded", "Prefer": "respond-async"},
    )
    assert answer.status_code == 201


def test_a_synchronous_execution_answers_with_the_results_document(server: Server) -> None:
    body = {"inputs": {"name": "Eva"}, "outputs": {"record": {"transmissionMode": "value"}}}
    answer = server.post("/processes/greet/execution", body)
    assert answer.status_code == 200
    assert set(answer.json()) == {"record"}
    assert answer.json()["record"]["value"] == {"greeted": "Eva", "times": 1}


def test_a_raw_synchronous_execution_answers_with_the_value_itself(server: Server) -> None:
    body = {"inputs": {"name": "Eva"}, "outputs": {"greeting": {}}, "response": "raw"}
    answer = server.post("/processes/greet/execution", body)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text == "Hello Eva\n"


def test_a_wait_that_is_too_short_gives_the_job(server: Server) -> None:
    answer = server.post(
        "/processes/greet/execution",
        {"inputs": {"name": "Eva", "pause": 3}},
        headers={"Prefer": "wait=1"},
    )
    assert answer.status_code == 201
    assert server.finish(answer.json()["jobID"])["status"] == "successful"


def test_all_violations_are_named_at_once(server: Server) -> None:
    answer = execute(server, {"times": 9, "pause": "long", "colour": "red"})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    violations = {entry["input"]: entry for entry in answer.json()["violations"]}
    assert set(violations) == {"name", "times", "pause", "colour"}
    assert all(entry["expected"] and entry["pointer"] for entry in violations.values())


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"inputs": {"name": NaN}}', b"\xff", b"[" * 100_000]
)
def test_a_body_that_is_no_execute_request_is_a_problem(server: Server, body: bytes) -> None:
    answer = httpx.post(
        f"{server.url}/processes/greet/execution",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_internal_inputs_cannot_be_set(server: Server) -> None:
    body = {"inputs": {"source_config": {"value": "x"}}}
    answer = server.post("/processes/orchard-monitoring/execution", body)
    assert answer.status_code == 400
    assert "source_config" in {entry["input"] for entry in answer.json()["violations"]}


def test_a_failed_job_gives_its_own_error_as_result(server: Server) -> None:
    job = execute(server, {"name": "nobody"}).json()["jobID"]
    done = server.finish(job)
    assert done["status"] == "failed"
    assert "nobody to greet" in done["message"]
    answer = server.get(f"/jobs/{job}/results")
    assert answer.status_code == 422
    assert answer.json()["title"] == "nobody to greet"
    assert "give a name" in answer.json()["detail"]


def test_results_are_not_ready_while_a_job_runs_and_gone_when_it_is_dismissed(
    server: Server,
) -> None:
    job = execute(server, {"name": "Ada", "pause": 59}).json()["jobID"]
    early = server.get(f"/jobs/{job}/results")
    assert (early.status_code, early.json()["type"]) == (404, OGC + "result-not-ready")
    status = server.get(f"/jobs/{job}")
    assert "Retry-After" in status.headers
    dismissed = server.delete(f"/jobs/{job}")
    assert (dismissed.status_code, dismissed.json()["status"]) == (200, "dismissed")
    assert server.finish(job)["status"] == "dismissed"
    assert server.get(f"/jobs/{job}/results").status_code == 410
    assert server.delete(f"/jobs/{job}").status_code == 410
    assert server.get(f"/jobs/{job}").status_code == 200


def test_dismissing_a_finished_job_removes_its_results_and_keeps_its_outcome(
    server: Server,
) -> None:
    job = execute(server, {"name": "Ada"}).json()["jobID"]
    server.finish(job)
    assert server.delete(f"/jobs/{job}").json()["status"] == "dismissed"
    document = server.get(f"/jobs/{job}").json()
    assert document["status"] == "dismissed"
    assert "successful" in document["message"]
    assert server.get(f"/jobs/{job}/results").status_code == 410


def test_what_does_not_exist_is_a_typed_problem(server: Server) -> None:
    for path, kind in (("/processes/none", "no-such-process"), ("/jobs/none", "no-such-job")):
        answer = server.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, OGC + kind)
    assert server.post("/processes/none/execution", {}).json()["type"] == OGC + "no-such-process"


def test_jobs_are_listed_newest_first_and_filtered(server: Server) -> None:
    first = execute(server, {"name": "one"}).json()["jobID"]
    second = execute(server, {"name": "nobody"}).json()["jobID"]
    server.finish(first)
    server.finish(second)
    listed = [job["jobID"] for job in server.get("/jobs?limit=2").json()["jobs"]]
    assert listed == [second, first]
    failed = server.get("/jobs?status=failed&processID=greet").json()["jobs"]
    assert second in {job["jobID"] for job in failed}
    assert first not in {job["jobID"] for job in failed}
    assert server.get("/jobs?status=sleeping").status_code == 400
    assert server.get("/jobs?datetime=../2000-01-01T00:00:00Z").json()["jobs"] == []
    page = server.get("/jobs?limit=1").json()
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    assert server.get(following).json()["jobs"][0]["jobID"] == first


@pytest.mark.parametrize("path", ["/", "/processes", "/processes/greet", "/jobs", "/conformance"])
def test_unknown_parameters_and_formats_are_refused(server: Server, path: str) -> None:
    assert server.get(f"{path}?colour=red").status_code == 400
    assert server.get(f"{path}?f=xml").status_code == 400
    assert server.get(path, headers={"Accept": "image/png"}).status_code == 406
    assert server.get(path, headers={"Accept": "*/*"}).json()
    page = server.get(path, headers=BROWSER)
    assert page.headers["Content-Type"].startswith("text/html")


def test_a_job_page_shows_its_steps_and_results(server: Server) -> None:
    job = execute(server, {"name": "<script>alert(1)</script>"}).json()["jobID"]
    server.finish(job)
    page = server.get(f"/jobs/{job}", headers=BROWSER).text
    assert "greeting.txt" in page
    assert "<script>alert" not in page


def test_methods_that_do_not_exist_name_those_that_do(server: Server) -> None:
    answer = httpx.put(f"{server.url}/jobs")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_cross_origin_requests_are_answered(server: Server) -> None:
    answer = httpx.options(
        f"{server.url}/processes/greet/execution",
        headers={"Origin": "https://example.org", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 204
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_unchanged_documents_are_not_sent_again(server: Server) -> None:
    first = server.get("/processes")
    again = server.get("/processes", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert httpx.head(f"{server.url}/processes").status_code == 200


def test_a_subscriber_is_refused_rather_than_never_called(server: Server) -> None:
    answer = execute(server, {"name": "Ada"}, subscriber={"successUri": "https://example.org/"})
    assert answer.status_code == 400
    assert "an address at 127.0.0.1" in answer.json()["detail"]
