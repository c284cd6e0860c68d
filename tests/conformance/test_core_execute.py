"""Requirements class Core of OGC API - Processes - Part 1 (18-062r2): executing a process."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.executing import (
    REFERENCE,
    VALUE,
    echoed,
    execute,
    links,
    parts,
    valid,
    violations,
)
from tests.conformance.published import check
from tests.serving import Server

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
POINT = {"type": "Point", "coordinates": [7.05, 51.95]}
ECHO = Path(__file__).parents[1] / "echo"


def test_req_core_process_execute_op(echo: Server) -> None:
    assert echo.post("/processes/echo/execution", {"inputs": {"stringInput": "a"}}).is_success


def test_req_core_process_execute_request(echo: Server) -> None:
    example = json.loads((ECHO / "example.json").read_text(encoding="utf-8"))
    check("execute", example)
    answer = echo.post("/processes/echo/execution", example)
    assert answer.status_code == 200, answer.text
    check("results", answer.json())
    assert len(answer.json()) == len(example["inputs"]) - 1  # all but the pause come back


def test_req_core_process_execute_inputs(echo: Server) -> None:
    for name, value in (
        ("string", "äöü \N{DECIDUOUS TREE}"),
        ("double", 0.25),
        ("choice", "large"),
        ("code", "NW-0512"),
        ("date", "2023-05-01T12:00:00+02:00"),
    ):
        assert echoed(echo, name, value) == value
    # By reference: the echo's server fetches from no host, and says so instead of ignoring it.
    answer = execute(echo, {"documentInput": {"href": "https://example.org/a.xml"}})
    assert "/inputs/documentInput/href" in violations(answer)


def test_req_core_process_execute_input_array(echo: Server) -> None:
    assert echoed(echo, "array", [3, -4, 5]) == {"value": [3, -4, 5]}
    assert echoed(echo, "array", [3.0, {"value": 4}]) == {"value": [3, 4]}
    documents = ["first", {"value": "second", "mediaType": "text/plain"}]
    [first, second] = echoed(echo, "documents", documents)["value"]
    assert first == {"value": "first", "mediaType": "text/plain"}
    assert second == {"value": "second", "mediaType": "text/plain"}


def test_req_core_process_execute_input_inline_object(echo: Server) -> None:
    value = {"property1": "a", "property2": 2.5}
    assert echoed(echo, "object", {"value": value}) == {"value": value}
    geometry = echoed(echo, "geometry", {"value": POINT})
    assert geometry == {"value": POINT, "mediaType": "application/geo+json"}
    features = {"type": "FeatureCollection", "features": []}
    assert echoed(echo, "features", {"value": features})["value"] == features
    # Without a qualifier too, which the published schema does not allow but clients send.
    answer = execute(echo, {"objectInput": value}, outputs={"objectOutput": {}})
    assert answer.json()["objectOutput"] == {"value": value}


def test_req_core_process_execute_input_mixed_type(echo: Server) -> None:
    feature = {"type": "Feature", "geometry": POINT, "properties": {}}
    for value in (POINT, feature):
        given = {"value": value, "mediaType": "application/geo+json"}
        assert echoed(echo, "geometry", given)["value"] == value
    text = base64.b64encode(PNG).decode()
    for media_type in ("image/png", "image/tiff; application=geotiff"):
        given = {"value": text, "encoding": "base64", "mediaType": media_type}
        assert echoed(echo, "image", given)["mediaType"] == media_type
    answer = execute(echo, {"imageInput": {"value": text, "mediaType": "image/jpeg"}})
    [violation] = violations(answer).values()
    assert violation["pointer"] == "/inputs/imageInput/mediaType"
    assert violation["expected"] == "image/png or image/tiff; application=geotiff"


def test_req_core_process_execute_input_inline_binary(echo: Server) -> None:
    text = base64.b64encode(PNG).decode()
    for given in (text, {"value": text, "mediaType": "image/png"}):
        result = echoed(echo, "image", given)
        assert (base64.b64decode(result["value"]), result["encoding"]) == (PNG, "base64")
    raw = execute(echo, {"imageInput": text}, outputs={"imageOutput": {}}, response="raw")
    assert (raw.content, raw.headers["Content-Type"]) == (PNG, "image/png")
    assert "/inputs/imageInput" in violations(execute(echo, {"imageInput": "not base64!"}))


@pytest.mark.parametrize(
    ("given", "crs"),
    [
        ({"bbox": [7, 51, 8, 52]}, "OGC/1.3/CRS84"),
        (
            {"bbox": [7, 51, 0, 8, 52, 9], "crs": "http://www.opengis.net/def/crs/OGC/0/CRS84h"},
            "OGC/0/CRS84h",
        ),
        (
            {
                "bbox": [350000, 5600000, 351000, 5601000],
                "crs": "http://www.opengis.net/def/crs/EPSG/0/25832",
            },
            "EPSG/0/25832",
        ),
    ],
)
def test_req_core_process_execute_input_inline_bbox(
    echo: Server, given: dict[str, Any], crs: str
) -> None:
    crs = f"http://www.opengis.net/def/crs/{crs}"
    assert echoed(echo, "boundingBox", given) == {"bbox": given["bbox"], "crs": crs}


def test_req_core_process_execute_input_validation(echo: Server) -> None:
    bad: dict[str, Any] = {
        "stringInput": 5,
        "pause": 11,
        "doubleInput": 0,
        "choiceInput": "huge",
        "dateInput": "yesterday",
        "codeInput": "nw-0512",
        "arrayInput": [1],
        "boundingBoxInput": {"bbox": [7, 51, 8]},
        "objectInput": {"value": {"property2": "two"}},
        "documentInput": {"value": "<a/>", "mediaType": "text/csv"},
        "imageInput": {"href": "file:///etc/passwd", "type": "image/png"},
        "geometryInput": {"value": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}},
        "featuresInput": {"value": {"type": "FeatureCollection"}},
        "documentsInput": ["a", "b", "c", 4],
        "colour": "red",
    }
    outputs = {"none": {}, "stringOutput": {"transmissionMode": "pigeon"}}
    outputs["imageOutput"] = {"format": {"mediaType": "image/jpeg"}}
    answer = execute(echo, bad, outputs=outputs, response="both")
    found = violations(answer)
    assert answer.json()["type"].endswith("/invalid-parameter-value")
    assert {entry["input"] for entry in found.values()} - {""} == set(bad)
    assert {
        "/inputs/stringInput",
        "/inputs/objectInput/value/property1",
        "/inputs/objectInput/value/property2",
        "/inputs/documentInput/mediaType",
        "/inputs/geometryInput/value/coordinates/0",
        "/inputs/featuresInput/value/features",
        "/inputs/documentsInput",
        "/inputs/documentsInput/3",
        "/outputs/none",
        "/outputs/stringOutput/transmissionMode",
        "/outputs/imageOutput/format/mediaType",
        "/response",
    } <= set(found)
    assert all(entry["expected"] and entry["got"] for entry in found.values())
    assert found["/inputs/codeInput"]["expected"] == (
        "Two capital letters, a hyphen and four digits, such as NW-0512 "
        "(pattern ^[A-Z]{2}-[0-9]{4}$)"
    )


def test_an_input_that_is_missing_is_named(echo: Server) -> None:
    found = violations(echo.post("/processes/echo/execution", {"inputs": {}}))
    assert found["/inputs/stringInput"]["got"] == "nothing"


def test_req_core_process_execute_default_execution_mode(echo: Server) -> None:
    # A process that may be executed in both ways is executed synchronously unless asked otherwise.
    assert valid(echo, {}).status_code == 200


def test_req_core_process_execute_auto_execution_mode(echo: Server) -> None:
    for prefer in ("respond-async", "handling=lenient, Respond-Async", "respond-async; x=1"):
        answer = execute(echo, {}, prefer)
        assert answer.status_code == 201
        assert answer.headers["Preference-Applied"] == "respond-async"
    waited = execute(echo, {}, "wait=20")
    assert (waited.status_code, waited.headers["Preference-Applied"]) == (200, "wait=20")
    too_long = execute(echo, {"pause": 5}, "respond-async, wait=0")
    assert (too_long.status_code, too_long.headers["Preference-Applied"]) == (201, "respond-async")


def test_req_core_process_execute_default_outputs(echo: Server) -> None:
    given = {"doubleInput": 1.5, "choiceInput": "small"}
    everything = {"stringOutput": "Value1", "doubleOutput": 1.5, "choiceOutput": "small"}
    for members in ({}, {"outputs": {}}):
        assert execute(echo, given, response="document", **members).json() == everything


def test_req_core_process_execute_sync_raw_value_one(echo: Server) -> None:
    one = {"outputs": {"stringOutput": VALUE}, "response": "raw"}
    answer = valid(echo, {}, **one)
    assert (answer.status_code, answer.text) == (200, "Value1")
    assert answer.headers["Content-Type"].startswith("text/plain")
    answer = valid(echo, {"arrayInput": [1, 2]}, outputs={"arrayOutput": {}}, response="raw")
    assert (answer.json(), answer.headers["Content-Type"]) == ([1, 2], "application/json")
    given = {"documentInput": "<a/>"}
    answer = valid(echo, given, outputs={"documentOutput": {}}, response="raw")
    assert answer.text == "<a/>"
    assert answer.headers["Content-Type"].split(";")[0] == "text/xml"


def test_req_core_process_execute_sync_raw_value_multi(echo: Server) -> None:
    outputs = {"stringOutput": VALUE, "arrayOutput": VALUE}
    answer = valid(echo, {"arrayInput": [1, 2]}, outputs=outputs, response="raw")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("multipart/related")
    found = parts(answer)
    assert set(found) == set(outputs)
    assert found["stringOutput"].get_content().strip() == "Value1"
    assert json.loads(found["arrayOutput"].get_payload(decode=True) or b"") == [1, 2]


def test_req_core_process_execute_sync_raw_ref(echo: Server) -> None:
    outputs = {"stringOutput": REFERENCE, "imageOutput": REFERENCE, "documentsOutput": REFERENCE}
    given = {"imageInput": base64.b64encode(PNG).decode(), "documentsInput": ["a", "b"]}
    answer = valid(echo, given, outputs=outputs, response="raw")
    assert (answer.status_code, answer.content) == (204, b"")
    found = links(answer)
    assert set(found) == set(outputs)
    assert echo.get(found["stringOutput"]).json() == "Value1"
    assert echo.get(found["imageOutput"]).content == PNG
    listed = echo.get(found["documentsOutput"]).json()["links"]
    assert [echo.get(entry["href"]).text for entry in listed] == ["a", "b"]


def test_req_core_process_execute_sync_raw_mixed_multi(echo: Server) -> None:
    outputs = {"stringOutput": VALUE, "imageOutput": REFERENCE}
    given = {"imageInput": base64.b64encode(PNG).decode()}
    found = parts(valid(echo, given, outputs=outputs, response="raw"))
    assert found["stringOutput"].get_content().strip() == "Value1"
    image = found["imageOutput"]
    assert image.get_content_type() == "image/png"
    assert echo.get(str(image["Content-Location"])).content == PNG


def test_req_core_process_execute_sync_document(echo: Server) -> None:
    given = {
        "imageInput": base64.b64encode(PNG).decode(),
        "boundingBoxInput": {"bbox": [1, 2, 3, 4]},
    }
    outputs = {"stringOutput": VALUE, "imageOutput": REFERENCE, "boundingBoxOutput": VALUE}
    answer = valid(echo, given, outputs=outputs, response="document")
    document = answer.json()
    check("results", document)
    assert list(document) == list(outputs)
    assert document["stringOutput"] == "Value1"
    assert echo.get(document["imageOutput"]["href"]).content == PNG
    assert document["boundingBoxOutput"]["bbox"] == [1, 2, 3, 4]
    by_reference = valid(echo, {}, outputs={"stringOutput": REFERENCE}).json()
    check("results", by_reference)
    assert echo.get(by_reference["stringOutput"]["href"]).json() == "Value1"


def test_a_synchronous_execution_names_its_job(echo: Server) -> None:
    answer = valid(echo, {})
    address = answer.headers["Link"].partition(">")[0].removeprefix("<")
    assert 'rel="monitor"' in answer.headers["Link"]
    assert echo.get(address).json()["status"] == "successful"


def test_a_synchronous_execution_that_fails_answers_with_the_error(echo: Server) -> None:
    answer = execute(echo, {"stringInput": "fail"})
    assert answer.status_code == 422
    check("exception", answer.json())
    assert answer.json()["title"] == "the echo was told to fail"


def test_req_core_process_execute_success_async(echo: Server) -> None:
    answer = execute(echo, {}, "respond-async")
    assert answer.status_code == 201
    document = answer.json()
    check("statusInfo", document)
    assert answer.headers["Location"] == f"{echo.url}/jobs/{document['jobID']}"
    assert (document["status"], document["processID"]) == ("accepted", "echo")
    assert echo.get(answer.headers["Location"]).json()["jobID"] == document["jobID"]
