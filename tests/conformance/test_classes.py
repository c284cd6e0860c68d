"""The other requirements classes of OGC API - Processes - Part 1 (18-062r2)."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conformance.executing import execute, finished
from tests.conformance.published import check
from tests.serving import Server

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_req_ogc_process_description_json_encoding(echo: Server) -> None:
    answer = echo.get("/processes/echo", headers={"Accept": "application/json"})
    assert answer.headers["Content-Type"] == "application/json"
    check("process", answer.json())


def test_req_ogc_process_description_inputs_def(echo: Server) -> None:
    inputs = echo.get("/processes/echo").json()["inputs"]
    assert len(inputs) == 14
    assert "program" not in inputs  # internal: the manager fills it


def test_req_ogc_process_description_input_def(echo: Server) -> None:
    for entry in echo.get("/processes/echo").json()["inputs"].values():
        check("inputDescription", entry)
        check("schema", entry["schema"])
        assert {"title", "description", "schema", "minOccurs", "maxOccurs"} == set(entry)


def test_req_ogc_process_description_input_mixed_type(echo: Server) -> None:
    inputs = echo.get("/processes/echo").json()["inputs"]
    formats = [part["format"] for part in inputs["geometryInput"]["schema"]["oneOf"]]
    assert formats == ["geojson-geometry", "geojson-feature"]
    media_types = [part["contentMediaType"] for part in inputs["imageInput"]["schema"]["oneOf"]]
    assert media_types == ["image/png", "image/tiff; application=geotiff"]


def test_req_ogc_process_description_outputs_def(echo: Server) -> None:
    document = echo.get("/processes/echo").json()
    wanted = {name.replace("Input", "Output") for name in document["inputs"]} - {"pause"}
    assert set(document["outputs"]) == wanted


def test_req_ogc_process_description_output_def(echo: Server) -> None:
    outputs = echo.get("/processes/echo").json()["outputs"]
    for entry in outputs.values():
        check("outputDescription", entry)
        check("schema", entry["schema"])
    assert outputs["boundingBoxOutput"]["schema"]["allOf"][0] == {"format": "ogc-bbox"}


def test_req_ogc_process_description_output_mixed_type(echo: Server) -> None:
    schema = echo.get("/processes/echo").json()["outputs"]["imageOutput"]["schema"]
    assert [part["contentEncoding"] for part in schema["oneOf"]] == ["base64", "base64"]


def test_req_json_definition(echo: Server) -> None:
    job = finished(echo)
    documents = ("/", "/conformance", "/processes", "/processes/echo", "/jobs", f"/jobs/{job}")
    for path in (*documents, f"/jobs/{job}/results"):
        for accept in ("application/json", "*/*", "text/html;q=0.5, application/json"):
            answer = echo.get(path, headers={"Accept": accept})
            assert answer.headers["Content-Type"] == "application/json", path
        assert echo.get(f"{path}?f=json", headers=BROWSER).json()


def test_req_html_definition(echo: Server) -> None:
    job = finished(echo)
    for path in ("/", "/conformance", "/processes", "/processes/echo", "/jobs", f"/jobs/{job}"):
        for answer in (echo.get(path, headers=BROWSER), echo.get(f"{path}?f=html")):
            assert answer.status_code == 200
            assert answer.headers["Content-Type"].startswith("text/html"), path


def test_req_html_content(echo: Server) -> None:
    job = finished(echo)
    assert "Echo" in echo.get("/processes?f=html").text
    page = echo.get("/processes/echo?f=html").text
    for name, entry in echo.get("/processes/echo").json()["inputs"].items():
        assert name in page
        assert entry["title"] in page
    assert job in echo.get(f"/jobs/{job}?f=html").text
    assert "Value1" in echo.get(f"/jobs/{job}/results?f=html").text


def parameter(echo: Server, key: str) -> dict[str, Any]:
    document = echo.get("/openapi").json()
    named = [entry["$ref"] for entry in document["paths"]["/jobs"]["get"]["parameters"]]
    assert f"#/components/parameters/{key}" in named
    found: dict[str, Any] = document["components"]["parameters"][key]
    assert (found["in"], found["required"]) == ("query", False)
    return found


def listed(echo: Server, query: str) -> list[dict[str, Any]]:
    answer = echo.get(f"/jobs?{query}")
    assert answer.status_code == 200, answer.text
    check("jobList", answer.json())
    jobs: list[dict[str, Any]] = answer.json()["jobs"]
    return jobs


def test_req_job_list_job_list_op(echo: Server) -> None:
    assert echo.get("/jobs").status_code == 200


def test_req_job_list_job_list_success(echo: Server) -> None:
    first, second = finished(echo), finished(echo)
    newest = [entry["jobID"] for entry in listed(echo, "limit=2")]
    assert newest == [second, first]
    assert {"self", "alternate"} <= {entry["rel"] for entry in echo.get("/jobs").json()["links"]}


def test_req_job_list_type_definition(echo: Server) -> None:
    found = parameter(echo, "type")
    assert found["schema"] == {"type": "array", "items": {"type": "string", "enum": ["process"]}}


def test_req_job_list_type_response(echo: Server) -> None:
    job = finished(echo)
    assert job in {entry["jobID"] for entry in listed(echo, "type=process&limit=100")}
    assert echo.get("/jobs?type=wps").status_code == 400


def test_req_job_list_processid_mandatory(echo: Server) -> None:
    finished(echo)
    assert all(entry["processID"] == "echo" for entry in listed(echo, "limit=1000"))


def test_req_job_list_processid_definition(echo: Server) -> None:
    found = parameter(echo, "processID")
    assert found["schema"] == {"type": "array", "items": {"type": "string"}}


def test_req_job_list_processid_response(echo: Server) -> None:
    job = finished(echo)
    assert job in {entry["jobID"] for entry in listed(echo, "processID=none,echo")}
    assert listed(echo, "processID=none") == []


def test_req_job_list_status_definition(echo: Server) -> None:
    states = ["accepted", "running", "successful", "failed", "dismissed"]
    assert parameter(echo, "status")["schema"]["items"]["enum"] == states


def test_req_job_list_status_response(echo: Server) -> None:
    good, bad = finished(echo), finished(echo, {"stringInput": "fail"})
    assert bad in {entry["jobID"] for entry in listed(echo, "status=failed")}
    assert good not in {entry["jobID"] for entry in listed(echo, "status=failed&limit=1000")}
    both = {entry["jobID"] for entry in listed(echo, "status=failed,successful")}
    assert {good, bad} <= both
    assert echo.get("/jobs?status=asleep").status_code == 400


def test_req_job_list_datetime_definition(echo: Server) -> None:
    assert parameter(echo, "datetime")["schema"]["type"] == "string"


def test_req_job_list_datetime_response(echo: Server) -> None:
    job = finished(echo)
    created = echo.get(f"/jobs/{job}").json()["created"]
    for interval in (created, f"{created}/..", f"../{created}", f"{created}/{created}"):
        found = {entry["jobID"] for entry in listed(echo, f"limit=1000&datetime={interval}")}
        assert job in found, interval
    assert job not in {
        entry["jobID"] for entry in listed(echo, "limit=1000&datetime=../2020-01-01T00:00:00Z")
    }
    assert echo.get("/jobs?datetime=yesterday").status_code == 400


def test_req_job_list_duration_definition(echo: Server) -> None:
    for name in ("minDuration", "maxDuration"):
        assert parameter(echo, name)["schema"]["type"] == "integer"


def test_req_job_list_duration_response(echo: Server) -> None:
    quick, slow = finished(echo), finished(echo, {"pause": 8})
    longer = {entry["jobID"] for entry in listed(echo, "minDuration=8&limit=1000")}
    shorter = {entry["jobID"] for entry in listed(echo, "maxDuration=7&limit=1000")}
    assert slow in longer - shorter
    assert quick not in longer
    assert echo.get("/jobs?minDuration=-1").status_code == 400


def test_req_job_list_limit_definition(echo: Server) -> None:
    schema = parameter(echo, "limit-jobs")["schema"]
    assert (schema["type"], schema["minimum"]) == ("integer", 1)
    assert schema["minimum"] <= schema["default"] <= schema["maximum"]


def test_req_job_list_limit_response(echo: Server) -> None:
    finished(echo)
    assert len(listed(echo, "limit=1")) == 1
    for limit in ("0", "1001", "x"):
        assert echo.get(f"/jobs?limit={limit}").status_code == 400


def test_req_job_list_links(echo: Server) -> None:
    made = [finished(echo), finished(echo), finished(echo)][::-1]
    seen: list[str] = []
    address = "/jobs?limit=1&processID=echo"
    while len(seen) < 3:
        document = echo.get(address).json()
        seen += [entry["jobID"] for entry in document["jobs"]]
        [address] = [entry["href"] for entry in document["links"] if entry["rel"] == "next"]
        assert "processID=echo" in address
    assert seen == made


def test_req_dismiss_job_dismiss_op(echo: Server) -> None:
    job = execute(echo, {"pause": 10}, "respond-async").json()["jobID"]
    assert echo.delete(f"/jobs/{job}").status_code == 200


def test_req_dismiss_job_dismiss_success(echo: Server) -> None:
    running = execute(echo, {"pause": 10}, "respond-async").json()["jobID"]
    done = finished(echo)
    for job in (running, done):
        answer = echo.delete(f"/jobs/{job}")
        check("statusInfo", answer.json())
        assert (answer.status_code, answer.json()["status"]) == (200, "dismissed")
        document = echo.finish(job)
        check("statusInfo", document)
        assert document["status"] == "dismissed"
        assert echo.get(f"/jobs/{job}/results").status_code == 410
        assert echo.delete(f"/jobs/{job}").status_code == 410
    assert "successful" in echo.get(f"/jobs/{done}").json()["message"]
    assert httpx.delete(f"{echo.url}/jobs/none").status_code == 404
