"""Requirements class Core of OGC API - Processes - Part 1 (18-062r2): site, list and description.

Each test is named after its requirement: test_req_core_process_list is /req/core/process-list.
"""

from __future__ import annotations

import socket
from typing import Any

from openapi_spec_validator import validate

from tests.conformance.executing import OGC
from tests.conformance.published import check
from tests.serving import Server

REL = "http://www.opengis.net/def/rel/ogc/1.0/"


def rels(document: dict[str, Any]) -> dict[str, str]:
    return {entry["rel"]: entry["href"] for entry in document["links"]}


def test_req_core_landingpage_op(echo: Server) -> None:
    assert echo.get("/").status_code == 200


def test_req_core_landingpage_success(echo: Server) -> None:
    document = echo.get("/").json()
    check("landingPage", document)
    needed = {"service-desc", "service-doc", "conformance", f"{REL}processes", f"{REL}job-list"}
    assert needed | {"self", "alternate", "data"} <= set(rels(document))
    for entry in document["links"]:
        assert entry["href"].startswith(echo.url)
        assert set(entry) == {"href", "rel", "type", "title", "hreflang"}
        answer = echo.get(entry["href"], headers={"Accept": entry["type"]})
        assert answer.status_code == 200, entry
        assert answer.headers["Content-Type"].split(";")[0] == entry["type"].split(";")[0]


def test_req_core_api_definition_op(echo: Server) -> None:
    address = rels(echo.get("/").json())["service-desc"]
    assert echo.get(address).status_code == 200


def test_req_core_api_definition_success(echo: Server) -> None:
    answer = echo.get(rels(echo.get("/").json())["service-desc"])
    assert answer.headers["Content-Type"] == "application/vnd.oai.openapi+json;version=3.0"
    validate(answer.json())


def test_req_core_conformance_op(echo: Server) -> None:
    assert echo.get("/conformance").status_code == 200


def test_req_core_conformance_success(echo: Server) -> None:
    document = echo.get("/conformance").json()
    check("confClasses", document)
    assert len(document["conformsTo"]) == len(set(document["conformsTo"]))


def test_req_core_http(echo: Server) -> None:
    host, _, port = echo.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /conformance HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(8) == b"HTTP/1.1"
    assert echo.get("/processes", headers={"Accept": "image/png"}).status_code == 406
    assert echo.post("/processes", {}).status_code == 405
    assert echo.get("/nowhere").status_code == 404
    too_long = echo.get(f"/processes?lang={'x' * 9000}")
    assert too_long.status_code == 414
    check("exception", too_long.json())
    assert too_long.headers["Content-Type"] == "application/problem+json"


def test_req_core_process_list(echo: Server) -> None:
    assert echo.get("/processes").status_code == 200


def test_req_core_pl_limit_definition(echo: Server) -> None:
    document = echo.get("/openapi").json()
    names = [entry["$ref"] for entry in document["paths"]["/processes"]["get"]["parameters"]]
    limit = document["components"]["parameters"]["limit-processes"]
    assert "#/components/parameters/limit-processes" in names
    assert (limit["name"], limit["in"], limit["required"]) == ("limit", "query", False)
    schema = limit["schema"]
    assert (schema["type"], schema["minimum"]) == ("integer", 1)
    assert schema["minimum"] <= schema["default"] <= schema["maximum"]


def test_req_core_pl_limit_response(echo: Server) -> None:
    for limit in ("1", "1000"):
        assert len(echo.get(f"/processes?limit={limit}").json()["processes"]) <= int(limit)
    for limit in ("0", "1001", "-1", "many", "1.5", "1&limit=2"):
        answer = echo.get(f"/processes?limit={limit}")
        assert answer.status_code == 400
        check("exception", answer.json())


def test_req_core_process_list_success(echo: Server) -> None:
    document = echo.get("/processes").json()
    check("processList", document)
    [summary] = document["processes"]
    assert (summary["id"], summary["title"]) == ("echo", "Echo")
    assert summary["jobControlOptions"] == ["sync-execute", "async-execute", "dismiss"]
    assert summary["outputTransmission"] == ["value", "reference"]
    assert echo.get(rels(summary)["self"]).json()["id"] == "echo"


def test_req_core_pl_links(echo: Server) -> None:
    document = echo.get("/processes?limit=1").json()
    assert {"self", "alternate"} <= set(rels(document))
    page = echo.get(rels(document)["alternate"])
    assert page.headers["Content-Type"].startswith("text/html")
    behind = echo.get("/processes?limit=1&offset=1").json()
    assert rels(behind)["prev"] == f"{echo.url}/processes?limit=1&offset=0"


def test_req_core_process(echo: Server) -> None:
    assert echo.get("/processes/echo").status_code == 200


def test_req_core_process_success(echo: Server) -> None:
    document = echo.get("/processes/echo").json()
    check("process", document)
    assert next(iter(document["inputs"])) == "stringInput"
    required = [name for name, entry in document["inputs"].items() if entry["minOccurs"]]
    assert required == ["stringInput"]
    assert rels(document)[f"{REL}execute"] == f"{echo.url}/processes/echo/execution"


def test_req_core_process_exception_no_such_process(echo: Server) -> None:
    for answer in (echo.get("/processes/none"), echo.post("/processes/none/execution", {})):
        assert answer.status_code == 404
        check("exception", answer.json())
        assert answer.json()["type"] == OGC + "no-such-process"
