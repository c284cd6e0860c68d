"""The API definition (OpenAPI 3.0), built from what is really served."""

from __future__ import annotations

from typing import Any

from ogcapi import examples, openapi_components, openapi_processes, openapi_security
from ogcapi.collection_views import ITEM_PARAMETERS, filters
from ogcapi.monitoring_views import METRICS
from ogcapi.service import Service

JSON = "application/json"
HTML = "text/html"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
TEXT = "text/plain"
GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
PROBLEM = "application/problem+json"
RESERVED = {*ITEM_PARAMETERS, "f", "lang"}
COVERAGE_PARAMETERS = (
    *("bbox", "bbox-crs", "subset", "datetime", "properties", "scale-size", "scale-factor", "crs"),
)


def document(service: Service) -> dict[str, Any]:
    """Return the OpenAPI document for the collections and processes as they are now."""
    identification = service.config["metadata"]["identification"]
    definition: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {
            "title": _english(identification["title"]),
            "description": _english(identification["description"]),
            "version": "0.1.0",
            "license": {
                "name": service.config["metadata"]["license"]["name"],
                "url": service.config["metadata"]["license"]["url"],
            },
        },
        "servers": [{"url": service.settings.base_url}],
        "tags": [{"name": name} for name in ("site", "data", "processes", "jobs")],
        "paths": _site() | _data(service) | _processes(service) | _jobs(),
        "components": {
            "schemas": openapi_components.schemas(),
            "parameters": openapi_components.parameters(service),
        },
    }
    return openapi_security.secured(definition, service)


def _site() -> dict[str, Any]:
    return {
        "/": _get("site", "landingPage", "Landing page", schema="landingPage"),
        "/conformance": _get("site", "conformance", "Conformance classes", schema="confClasses"),
        "/openapi": _get("site", "apiDefinition", "This document", formats=(OPENAPI, HTML)),
        "/health": _get("site", "health", "Whether the server works", formats=(JSON,)),
        "/healthz": _get("site", "alive", "Whether the worker answers", formats=(JSON,)),
        "/readyz": _get("site", "ready", "Whether it can serve", formats=(JSON,), more=("503",)),
        "/metrics": _get("site", "metrics", "For Prometheus", formats=METRICS, more=("403",)),
        "/sign-in": _get("site", "signInForm", "A form to sign in", [_reference("next")], (HTML,))
        | _form("signIn", "Keep an API token in a cookie", ("token", "next"), "400", "401", "404"),
        "/sign-out": _form("signOut", "Forget it", ()),
    }


def _form(operation: str, summary: str, names: tuple[str, ...], *codes: str) -> dict[str, Any]:
    fields = {name: {"type": "string"} for name in (*names, "csrf")}
    schema = {"type": "object", "properties": fields}
    return {
        "post": {
            "tags": ["site"],
            "operationId": operation,
            "summary": summary,
            "description": "For browsers: the hidden field csrf comes with the form.",
            "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": schema}}},
            "responses": {"303": {"description": "The page to go on with"}, **_errors(*codes)},
        }
    }


def _data(service: Service) -> dict[str, Any]:
    paths = {"/collections": _get("data", "collections", "All collections")}
    for name, resource in service.published().resources.items():
        if resource["type"] != "collection":
            continue
        path, key = f"/collections/{name}", name.replace("-", "_")
        paths[path] = _get("data", f"collection_{key}", _english(resource["title"]))
        paths[f"{path}/schema"] = _get(
            "data", f"schema_{key}", f"Properties of {name}", formats=(SCHEMA, HTML)
        )
        if resource["providers"][0]["type"] == "feature":
            paths |= _features(path, key, name, filters(service.published(), name))
        else:
            window = _get(
                "data",
                f"coverage_{key}",
                f"A window of {name}",
                [_reference(parameter) for parameter in COVERAGE_PARAMETERS],
                ("image/tiff; application=geotiff", "application/prs.coverage+json"),
            )
            window["get"]["responses"] |= {
                "204": {"description": "The window lies outside the coverage"},
                **_errors("413"),
            }
            paths[f"{path}/coverage"] = window
    file = [_reference(name) for name in ("dataset", "version", "releaseFile")]
    paths["/releases/{dataset}/{version}/{releaseFile}"] = _get(
        "data", "releaseFile", "A file of a release", file, ("*/*",)
    )
    return paths


def _features(path: str, key: str, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    item = {
        "name": "featureId",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Identifier of the feature",
    }
    return {
        f"{path}/queryables": _get(
            *("data", f"queryables_{key}", f"What {name} can be filtered by"),
            formats=(SCHEMA, HTML),
        ),
        f"{path}/items": _get(
            "data",
            f"items_{key}",
            f"Features of {name}",
            [
                *(_reference(parameter) for parameter in ITEM_PARAMETERS),
                *(_filter(name, entry) for name, entry in fields.items() if name not in RESERVED),
            ],
            (GEOJSON, HTML),
        ),
        f"{path}/items/{{featureId}}": _get(
            "data",
            f"item_{key}",
            f"One feature of {name}",
            [item, _reference("crs")],
            (GEOJSON, HTML),
        ),
    }


def _filter(name: str, field: dict[str, Any]) -> dict[str, Any]:
    """Describe the query parameter that filters features by a property."""
    kind = field.get("type", "string")
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": field.get("title") or f"Only features of this {name}",
        "schema": {"type": kind if kind in ("integer", "number", "boolean") else "string"},
    }


def _processes(service: Service) -> dict[str, Any]:
    paths = {
        "/processes": _get(
            "processes",
            "processes",
            "All processes",
            [_reference("limit-processes"), _reference("offset")],
            schema="processList",
        )
    }
    for process in service.registry.processes.values():
        key = process.id.replace("-", "_")
        paths[f"/processes/{process.id}"] = _get(
            "processes", f"describe_{key}", process.title, schema="process"
        )
        content: dict[str, Any] = {"schema": openapi_processes.execute_request(process)}
        example = examples.example_request(service, process)
        if example is not None:
            content["example"] = example
        paths[f"/processes/{process.id}/execution"] = {
            "post": {
                "tags": ["processes"],
                "operationId": f"execute_{key}",
                "summary": f"Execute: {process.title}",
                "description": f"See /processes/{process.id} for the inputs.",
                "parameters": [_reference("prefer")],
                "requestBody": {"required": True, "content": {JSON: content}},
                "responses": {
                    "200": openapi_processes.RESULTS,
                    "201": _created(),
                    "204": openapi_processes.LINKS,
                    **_errors(
                        *("400", "404", "410", "413", "415", "422", "429", "431", "500", "503")
                    ),
                },
                "callbacks": openapi_components.callbacks(),
            }
        }
    return paths


def _jobs() -> dict[str, Any]:
    job = _reference("jobId")
    output = _reference("output")
    names = ("type", "processID", "status", "datetime", "minDuration", "maxDuration")
    status = _get("jobs", "jobStatus", "Status of a job", [job], schema="statusInfo")
    status["delete"] = {
        "tags": ["jobs"],
        "operationId": "dismiss",
        "summary": "Cancel a job, or remove the results of a finished one",
        "parameters": [job],
        "responses": {"200": _json("Status", "statusInfo"), **_errors("404", "410")},
    }
    path = "/jobs/{jobId}/results"
    chosen = [job, _reference("outputs")]
    every = _get("jobs", "results", "Results of a job", chosen, formats=(JSON, HTML, "*/*"))
    every["get"]["responses"]["204"] = openapi_processes.LINKS
    one = _get("jobs", "result", "One result", [job, output], ("*/*",))
    file = _get("jobs", "resultFile", "One file", [job, output, _reference("file")], ("*/*",))
    for entry in (every, one, file):
        entry["get"]["responses"] |= _errors("410", "422", "500")
    return {
        "/jobs": _get(
            "jobs",
            "jobs",
            "Jobs, newest first",
            [*(_reference(name) for name in names), _reference("limit-jobs"), _reference("after")],
            schema="jobList",
        ),
        "/jobs/{jobId}": status,
        "/jobs/{jobId}/logs": _logs(job),
        "/jobs/{jobId}/attempts": _attempts(job),
        "/jobs/{jobId}/retry": _retry(job),
        path: every,
        f"{path}/{{output}}": one,
        f"{path}/{{output}}/{{file}}": file,
    }


def _logs(job: dict[str, str]) -> dict[str, Any]:
    chosen = [_reference(name) for name in ("step", "index", "attempt", "stream")]
    headers = [_reference(name) for name in ("range", "if-range")]
    parameters = [job, *chosen, *headers]
    logs = _get("jobs", "logs", "Logs of a job's steps", parameters, (TEXT,), ("410", "416"))
    text = {"content": {TEXT: {"schema": {"type": "string"}}}}
    logs["get"]["responses"]["206"] = {"description": "A part of the logs", **text}
    return logs


def _attempts(job: dict[str, str]) -> dict[str, Any]:
    chosen = [_reference(name) for name in ("step", "index", "attempt")]
    summary = "Steps of a job and their attempts"
    return _get("jobs", "attempts", summary, [job, *chosen], more=("410",), schema="attempts")


def _retry(job: dict[str, str]) -> dict[str, Any]:
    return {
        "post": {
            "tags": ["jobs"],
            "operationId": "retry",
            "summary": "Try a failed or dismissed job again",
            "description": "A new job with the same process, inputs and outputs; it does again "
            "only what is not done yet. 409 while the job runs, after it was successful, or while "
            "it is being retried; 410 when its files are gone.",
            "parameters": [job],
            "responses": {
                "201": _created(),
                "303": {"description": "The page of the new job, for browsers"},
                **_errors("400", "404", "409", "410", "429"),
            },
        }
    }


def _get(
    tag: str,
    operation: str,
    summary: str,
    parameters: list[Any] | None = None,
    formats: tuple[str, ...] = (JSON, HTML),
    more: tuple[str, ...] = (),
    schema: str | None = None,
) -> dict[str, Any]:
    """Describe a GET request; `schema` names the component that its JSON answer keeps to."""
    content: dict[str, Any] = {media: {"schema": {}} for media in formats}
    if schema is not None:
        content[JSON] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {
        "get": {
            "tags": [tag],
            "operationId": operation,
            "summary": summary,
            "parameters": [*(parameters or []), _format(formats), _reference("lang")],
            "responses": {
                "200": {"description": summary, "content": content},
                **_errors("400", "404", "406", "414", "431", *more),
            },
        }
    }


def _format(formats: tuple[str, ...]) -> dict[str, str]:
    """Describe ``f`` by the formats of a path; some paths offer more names than can be listed."""
    pages = {"text/html": "html", TEXT: "text"}
    names = {"json" if "json" in media else pages.get(media, "any") for media in formats}
    if "any" in names:
        return _reference("f-any")
    return _reference("f-" + "-".join(sorted(names, reverse=True)))


def _errors(*codes: str) -> dict[str, Any]:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/problem"}}}
    return {code: {"description": "Problem", "content": content} for code in codes}


def _json(text: str, schema: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _created() -> dict[str, Any]:
    location = {"description": "Address of the job", "schema": {"type": "string", "format": "uri"}}
    return {
        **_json("The job (asynchronous execution)", "statusInfo"),
        "headers": {"Location": location},
    }


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}


def _english(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("en") or next(iter(value.values())))
    return str(value)
