"""Requirements class OpenAPI 3.0: the definition says what is served, no more and no less."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator
from openapi_spec_validator import validate

from k8s_manager import acceptance
from k8s_manager.registry import Registry
from k8s_manager.settings import Settings, read_config
from ogcapi.app import create_app
from tests.conformance.conftest import CONFIG
from tests.conformance.executing import execute, finished
from tests.serving import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def definition(echo: Server) -> dict[str, Any]:
    document: dict[str, Any] = echo.get("/openapi").json()
    return document


def resolved(definition: dict[str, Any], part: Any) -> Any:
    """Return a part of the definition with every reference followed."""
    if isinstance(part, list):
        return [resolved(definition, item) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        target: Any = definition
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        return resolved(definition, target)
    return {key: resolved(definition, value) for key, value in part.items()}


def test_req_oas30_oas_definition_1(echo: Server) -> None:
    answer = echo.get(
        "/openapi", headers={"Accept": "application/vnd.oai.openapi+json;version=3.0"}
    )
    assert answer.headers["Content-Type"] == "application/vnd.oai.openapi+json;version=3.0"
    assert echo.get("/openapi?f=html").headers["Content-Type"].startswith("text/html")


def test_req_oas30_oas_definition_2(definition: dict[str, Any]) -> None:
    validate(definition)
    assert definition["openapi"].startswith("3.0.")


def test_req_oas30_oas_impl(echo: Server, definition: dict[str, Any]) -> None:
    """Every path that can be asked for answers as its operation says, to the letter."""
    jobs = finished(echo), finished(echo, {"stringInput": "fail"}), "none"
    for path, operations in definition["paths"].items():
        if "get" not in operations:
            continue
        for job in jobs if "{jobId}" in path else ("",):
            place = path.replace("{jobId}", job).replace("{output}", "stringOutput")
            if "{" in place:
                continue  # the echo has no folders, its server no releases
            for address in (place, f"{place}?f=none", f"{place}?colour=red"):
                conforms(definition, operations["get"], echo.get(address))


def conforms(definition: dict[str, Any], operation: dict[str, Any], answer: httpx.Response) -> None:
    """Check status, media type and schema of an answer against its operation."""
    place = f"{answer.request.method} {answer.url}: {answer.status_code}"
    responses = resolved(definition, operation["responses"])
    assert str(answer.status_code) in responses, place
    content = responses[str(answer.status_code)].get("content", {})
    kind = answer.headers.get("Content-Type", "").split(";")[0]
    offered = {media.split(";")[0]: entry for media, entry in content.items()}
    if not answer.content:
        return
    assert kind in offered or "*/*" in offered, f"{place}: {kind}"
    schema = offered.get(kind, {}).get("schema", {})
    if kind.endswith("json") and schema:
        errors = [error.message for error in Draft4Validator(schema).iter_errors(answer.json())]
        assert not errors, f"{place}: {errors}"


def test_req_oas30_completeness(echo: Server, definition: dict[str, Any]) -> None:
    """Every route and method of the application is an operation of the definition."""
    app = create_app(Settings.load(env={}, config=CONFIG))
    described = {
        re.sub(r"\{\w+\}", "{}", path): set(operations)
        for path, operations in definition["paths"].items()
    }
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "{}", rule.rule)
        if rule.endpoint == "static" or path.startswith("/collections/{}"):
            continue  # collections are described one by one; the echo's server has none
        if rule.endpoint.startswith("forms."):
            continue  # what pages send; no part of the API
        candidates = [
            methods
            for known, methods in described.items()
            if re.fullmatch(re.escape(path).replace(r"\{\}", "[^/]+"), known)
        ]
        assert candidates, rule.rule
        served = {method.lower() for method in rule.methods or ()} - {"head", "options"}
        assert all(served <= methods for methods in candidates), rule.rule


def test_every_parameter_is_known_and_no_other(echo: Server, definition: dict[str, Any]) -> None:
    job = finished(echo)
    for path, operations in definition["paths"].items():
        address = path.replace("{jobId}", job)
        if "get" not in operations or "{" in address or path == "/metrics":
            continue
        parameters = resolved(definition, operations["get"]["parameters"])
        names = {entry["name"] for entry in parameters if entry["in"] == "query"}
        problem = echo.get(f"{address}?colour=red").json()
        known = set(problem["detail"].partition("known: ")[2].split(", "))
        assert known == names, path


def test_req_oas30_exceptions_codes(echo: Server, definition: dict[str, Any]) -> None:
    post = definition["paths"]["/processes/echo/execution"]["post"]
    address = f"{echo.url}/processes/echo/execution"
    json_type = {"Content-Type": "application/json"}
    for answer in (
        execute(echo, {"colour": "red"}),
        execute(echo, {}),
        execute(echo, {}, "respond-async"),
        execute(
            echo, {}, outputs={"stringOutput": {"transmissionMode": "reference"}}, response="raw"
        ),
        httpx.post(address, content=b"{", headers=json_type),
        httpx.post(address, content=b"a", headers={"Content-Type": "text/csv"}),
        execute(echo, {"stringInput": "fail"}),
    ):
        conforms(definition, post, answer)


def test_req_oas30_security(definition: dict[str, Any]) -> None:
    """What an operation demands of who asks is a scheme that the definition explains."""
    schemes = definition["components"].get("securitySchemes", {})
    demands = list(definition.get("security", []))
    for operations in definition["paths"].values():
        for operation in operations.values():
            demands += operation.get("security", [])
    assert {name for demand in demands for name in demand} <= set(schemes)


def test_every_example_is_a_request_that_its_process_accepts() -> None:
    for config in (CONFIG, ROOT / "pygeoapi-config.yml"):
        settings = Settings.load(env={}, config=config)
        registry = Registry.from_config(read_config(config), settings)
        found = 0
        for process in registry.processes.values():
            for entry in read_config(config)["resources"][process.id].get("examples", []):
                body = json.loads((config.parent / entry["request"]).read_text(encoding="utf-8"))
                new = acceptance.accept(settings, process, body, owner="somebody")
                assert new.process_id == process.id
                found += 1
        assert found, config


def test_the_example_of_the_definition_is_executed_as_it_stands(
    echo: Server, definition: dict[str, Any]
) -> None:
    post = definition["paths"]["/processes/echo/execution"]["post"]
    content = post["requestBody"]["content"]["application/json"]
    schema = resolved(definition, content["schema"])
    assert [
        error.message for error in Draft4Validator(schema).iter_errors(content["example"])
    ] == []
    answer = echo.post("/processes/echo/execution", content["example"])
    assert answer.status_code == 200, answer.text
    conforms(definition, post, answer)
