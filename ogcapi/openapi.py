"""The API definition (OpenAPI 3.0), built from what is really served."""

from __future__ import annotations

from typing import Any

from k8s_manager import description
from ogcapi.collection_views import ITEM_PARAMETERS
from ogcapi.service import Service

JSON = "application/json"
HTML = "text/html"
GEOJSON = "application/geo+json"
PROBLEM = "application/problem+json"
COVERAGE_PARAMETERS = (
    *("bbox", "bbox-crs", "subset", "datetime", "properties", "scale-size", "scale-factor", "crs"),
)


def document(service: Service) -> dict[str, Any]:
    """Return the OpenAPI document for the collections and processes as they are now."""
    identification = service.config["metadata"]["identification"]
    return {
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
        "components": {"schemas": _schemas(), "parameters": _parameters(service)},
    }


def _site() -> dict[str, Any]:
    return {
        "/": _get("site", "landingPage", "Landing page"),
        "/conformance": _get("site", "conformance", "Conformance classes"),
        "/openapi": _get("site", "apiDefinition", "This document"),
        "/health": _get("site", "health", "Whether the server works", formats=(JSON,)),
    }


def _data(service: Service) -> dict[str, Any]:
    paths = {"/collections": _get("data", "collections", "All collections")}
    for name, resource in service.published().resources.items():
        if resource["type"] != "collection":
            continue
        path, key = f"/collections/{name}", name.replace("-", "_")
        paths[path] = _get("data", f"collection_{key}", _english(resource["title"]))
        paths[f"{path}/schema"] = _get("data", f"schema_{key}", f"Properties of {name}")
        if resource["providers"][0]["type"] == "feature":
            paths |= _features(path, key, name)
        else:
            paths[f"{path}/coverage"] = _get(
                "data",
                f"coverage_{key}",
                f"A window of {name}",
                [_reference(parameter) for parameter in COVERAGE_PARAMETERS],
                ("image/tiff; application=geotiff", "application/prs.coverage+json"),
            )
    return paths


def _features(path: str, key: str, name: str) -> dict[str, Any]:
    item = {
        "name": "featureId",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Identifier of the feature",
    }
    return {
        f"{path}/queryables": _get("data", f"queryables_{key}", f"What {name} can be filtered by"),
        f"{path}/items": _get(
            "data",
            f"items_{key}",
            f"Features of {name}",
            [_reference(parameter) for parameter in ITEM_PARAMETERS],
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


def _processes(service: Service) -> dict[str, Any]:
    paths = {
        "/processes": _get(
            "processes", "processes", "All processes", [_reference("limit"), _reference("offset")]
        )
    }
    for process in service.registry.processes.values():
        key = process.id.replace("-", "_")
        paths[f"/processes/{process.id}"] = _get("processes", f"describe_{key}", process.title)
        described = description.describe(process)
        required = [
            name for name, entry in described["inputs"].items() if entry.get("minOccurs", 1)
        ]
        body = {
            "type": "object",
            "properties": {
                "inputs": {
                    "type": "object",
                    "properties": {
                        name: {"description": entry.get("title", name)}
                        for name, entry in described["inputs"].items()
                    },
                    **({"required": required} if required else {}),
                },
                "outputs": {"type": "object"},
                "response": {"type": "string", "enum": ["raw", "document"]},
                "subscriber": {"type": "object"},
            },
        }
        paths[f"/processes/{process.id}/execution"] = {
            "post": {
                "tags": ["processes"],
                "operationId": f"execute_{key}",
                "summary": f"Execute: {process.title}",
                "description": f"See /processes/{process.id} for the inputs.",
                "parameters": [_reference("prefer")],
                "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
                "responses": {
                    "200": {"description": "The results (synchronous execution)"},
                    "201": _json("The job (asynchronous execution)", "statusInfo"),
                    **_errors("400", "404", "415", "503"),
                },
            }
        }
    return paths


def _jobs() -> dict[str, Any]:
    job = _reference("jobId")
    output = _reference("output")
    names = ("type", "processID", "status", "datetime", "minDuration", "maxDuration")
    status = _get("jobs", "jobStatus", "Status of a job", [job])
    status["get"]["responses"]["200"] = _json("Status", "statusInfo")
    status["delete"] = {
        "tags": ["jobs"],
        "operationId": "dismiss",
        "summary": "Cancel a job, or remove the results of a finished one",
        "parameters": [job],
        "responses": {"200": _json("Status", "statusInfo"), **_errors("404", "410")},
    }
    return {
        "/jobs": _get(
            "jobs",
            "jobs",
            "Jobs, newest first",
            [*(_reference(name) for name in names), _reference("limit"), _reference("after")],
        ),
        "/jobs/{jobId}": status,
        "/jobs/{jobId}/results": _get(
            "jobs", "results", "Results of a job", [job, _reference("outputs")]
        ),
        "/jobs/{jobId}/results/{output}": _get(
            "jobs", "result", "One result", [job, output], ("*/*",)
        ),
    }


def _get(
    tag: str,
    operation: str,
    summary: str,
    parameters: list[Any] | None = None,
    formats: tuple[str, ...] = (JSON, HTML),
) -> dict[str, Any]:
    content: dict[str, Any] = {media: {"schema": {}} for media in formats}
    return {
        "get": {
            "tags": [tag],
            "operationId": operation,
            "summary": summary,
            "parameters": [*(parameters or []), _reference("f")],
            "responses": {
                "200": {"description": summary, "content": content},
                **_errors("400", "404", "406"),
            },
        }
    }


def _errors(*codes: str) -> dict[str, Any]:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/problem"}}}
    return {code: {"description": "Problem", "content": content} for code in codes}


def _json(text: str, schema: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}


def _parameters(service: Service) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    numbers = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
    names = {"type": "array", "items": text}
    limits = service.config["server"]["limits"]
    limit = {"type": "integer", "minimum": 1, "maximum": limits["max_items"]}
    queries: dict[str, tuple[dict[str, Any], str]] = {
        "f": (text, "Format of the answer"),
        "limit": ({**limit, "default": limits["default_items"]}, "At most so many"),
        "offset": ({"type": "integer", "minimum": 0}, "Skip so many"),
        "after": (text, "Begin behind this job"),
        "bbox": (numbers, "Rectangle, CRS84 unless bbox-crs is given"),
        "bbox-crs": (text, "CRS of bbox"),
        "datetime": (text, "Instant or interval; .. is an open end"),
        "crs": (text, "CRS of the answer"),
        "properties": (names, "Only these properties"),
        "skipGeometry": ({"type": "boolean"}, "Leave the geometries out"),
        "sortby": (text, "Property to sort by; - before it sorts downwards"),
        "resulttype": ({"type": "string", "enum": ["results", "hits"]}, "hits only counts"),
        "subset": (text, "Ranges by axis, for example E(350000:351000)"),
        "scale-size": (text, "Size of the answer by axis, for example E(500),N(500)"),
        "scale-factor": ({"type": "number", "minimum": 0}, "Divide both sizes by this"),
        "type": ({"type": "string", "enum": ["process"]}, "Type of jobs"),
        "processID": (names, "Jobs of these processes"),
        "status": (names, "Jobs in these states"),
        "minDuration": ({"type": "integer", "minimum": 0}, "Seconds at least"),
        "maxDuration": ({"type": "integer", "minimum": 0}, "Seconds at most"),
        "outputs": (names, "Only these outputs"),
    }
    parameters: dict[str, Any] = {}
    for name, (schema, meaning) in queries.items():
        style = {"style": "form", "explode": False} if schema.get("type") == "array" else {}
        parameters[name] = {
            "name": name,
            "in": "query",
            "required": False,
            "description": meaning,
            "schema": schema,
            **style,
        }
    for name, meaning in (("jobId", "Identifier of the job"), ("output", "Name of the output")):
        parameters[name] = {
            "name": name,
            "in": "path",
            "required": True,
            "description": meaning,
            "schema": text,
        }
    parameters["prefer"] = {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "respond-async, or wait=N (RFC 7240)",
        "schema": text,
    }
    return parameters


def _schemas() -> dict[str, Any]:
    text = {"type": "string"}
    moment = {"type": "string", "format": "date-time"}
    link = {"type": "object", "required": ["href"], "properties": {"href": text, "rel": text}}
    return {
        "problem": {
            "type": "object",
            "required": ["type", "title", "status"],
            "properties": {
                "type": text,
                "title": text,
                "status": {"type": "integer"},
                "detail": text,
                "instance": text,
                "violations": {"type": "array", "items": {"type": "object"}},
            },
        },
        "statusInfo": {
            "type": "object",
            "required": ["jobID", "status", "type"],
            "properties": {
                "jobID": text,
                "processID": text,
                "type": {"type": "string", "enum": ["process"]},
                "status": {
                    "type": "string",
                    "enum": ["accepted", "running", "successful", "failed", "dismissed"],
                },
                "message": text,
                "progress": {"type": "integer", "minimum": 0, "maximum": 100},
                **dict.fromkeys(("created", "started", "finished", "updated"), moment),
                "links": {"type": "array", "items": link},
            },
        },
    }


def _english(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("en") or next(iter(value.values())))
    return str(value)
