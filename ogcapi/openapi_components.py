"""The parameters and schemas that the API definition's paths refer to."""

from __future__ import annotations

from typing import Any

from k8s_manager.job_logs import FILES
from k8s_manager.records import STATUSES
from ogcapi import openapi_documents
from ogcapi.job_views import MOST_JOBS
from ogcapi.log_views import MOST_INDEX
from ogcapi.process_views import MOST_OFFSET, MOST_PROCESSES
from ogcapi.service import Service

STATES = ("waiting", "running", "done", "failed", "cancelled")  # of a step
PATH_PARAMETERS = {
    "jobId": "Identifier of the job",
    "output": "Name of the output",
    "file": "Name of the file; of several files the number of one; in a folder the path below it",
    "dataset": "Name of the dataset",
    "version": "Number of the release, six digits",
    "releaseFile": "File that the manifest names, or manifest.json, summary.json, report.html",
}
HEADERS = {
    "prefer": ("Prefer", "respond-async, or wait=N (RFC 7240)"),
    "range": ("Range", "bytes=first-last, one range (RFC 9110)"),
    "if-range": ("If-Range", "ETag of which a part is known already (RFC 9110)"),
}


def parameters(service: Service) -> dict[str, Any]:
    """Return the parameters that several paths share, by the names that they are referred to."""
    text: dict[str, Any] = {"type": "string", "pattern": r"^[^\u0000]*$"}
    numbers = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
    names = {"type": "array", "items": {"type": "string"}}  # as the standard publishes processID
    index = {"type": "integer", "minimum": 0, "maximum": MOST_INDEX}
    seconds = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
    limits = service.config["server"].get("limits") or {}
    items = _limit(limits.get("max_items", 10_000), limits.get("default_items", 10))
    queries: dict[str, tuple[dict[str, Any], str]] = {
        "f-any": (text, "Format of the answer"),
        "f-json-html": ({"type": "string", "enum": ["json", "html"]}, "Format of the answer"),
        "f-html": ({"type": "string", "enum": ["html"]}, "Format of the answer"),
        "f-json": ({"type": "string", "enum": ["json"]}, "Format of the answer"),
        "f-text": ({"type": "string", "enum": ["text"]}, "Format of the answer"),
        "lang": (text, "Language of pages: en or de"),
        "next": (text, "Path of the page to go on with"),
        "limit": (items, "At most so many features"),
        "limit-jobs": (_limit(MOST_JOBS, 20), "At most so many jobs"),
        "limit-processes": (_limit(MOST_PROCESSES, MOST_PROCESSES), "At most so many processes"),
        "offset": ({"type": "integer", "minimum": 0, "maximum": MOST_OFFSET}, "Skip so many"),
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
        "type": (_list(["process"]), "Types of jobs"),
        "processID": (names, "Jobs of these processes"),
        "status": (_list(list(STATUSES)), "Jobs in these states"),
        "minDuration": (seconds, "Seconds at least"),
        "maxDuration": (seconds, "Seconds at most"),
        "outputs": (names, "Only these outputs"),
        "step": (text, "Only this step"),
        "index": (index, "Only this index of a scattered step"),
        "attempt": (text, "Only this attempt"),
        "stream": ({"type": "string", "enum": list(FILES)}, "Only this stream"),
    }
    found: dict[str, Any] = {}
    for name, (schema, meaning) in queries.items():
        style = {"style": "form", "explode": False} if schema.get("type") == "array" else {}
        found[name] = {
            "name": name.partition("-")[0] if name.startswith(("limit-", "f-")) else name,
            "in": "query",
            "required": False,
            "description": meaning,
            "schema": schema,
            **style,
        }
    for name, meaning in PATH_PARAMETERS.items():
        found[name] = {
            "name": name,
            "in": "path",
            "required": True,
            "description": meaning,
            "schema": text,
        }
    for name, (header, meaning) in HEADERS.items():
        found[name] = {
            "name": header,
            "in": "header",
            "required": False,
            "description": meaning,
            "schema": text,
        }
    return found


def _list(values: list[str]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "enum": values}}


def _limit(most: int, default: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": default}


def schemas() -> dict[str, Any]:
    """Return the schemas that several answers share."""
    text = {"type": "string"}
    moment = {"type": "string", "format": "date-time"}
    address = {"type": "string", "format": "uri"}
    link = {"$ref": "#/components/schemas/link"}
    return {
        **openapi_documents.schemas(),
        "attempts": _attempts(link),
        "problem": {
            "type": "object",
            "required": ["type", "title", "status"],
            "properties": {
                "type": text,
                "title": text,
                "status": {"type": "integer"},
                "detail": text,
                "instance": text,
                "violations": {
                    "type": "array",
                    "description": "All that is wrong with the request",
                    "items": {
                        "type": "object",
                        "required": ["input", "pointer", "expected", "got"],
                        "properties": dict.fromkeys(("input", "pointer", "expected", "got"), text),
                    },
                },
            },
        },
        "subscriber": {
            "type": "object",
            "nullable": True,
            "description": "Who is told what becomes of the job; hosts have to be allowed. Nobody "
            "where this is left out or null",
            "required": ["successUri"],
            "properties": dict.fromkeys(("successUri", "inProgressUri", "failedUri"), address),
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
                "exception": {
                    "description": "Why the job failed, in what its subscriber is told",
                    "allOf": [{"$ref": "#/components/schemas/problem"}],
                },
                "callbacks": {"type": "array", "items": _callback(moment)},
                "reused": {
                    "type": "array",
                    "description": "Of a job that tries another one again: what it took over",
                    "items": {
                        "type": "object",
                        "properties": {
                            "step": text,
                            "indexes": {"type": "array", "items": {"type": "integer"}},
                            "jobID": {**text, "description": "Job in which it ran"},
                        },
                    },
                },
            },
        },
    }


def callbacks() -> dict[str, Any]:
    """Return what a subscriber is told; the answer matters only as a yes or no."""
    status = {"$ref": "#/components/schemas/statusInfo"}
    told = {
        "successUri": ("jobSuccessful", "The results document", {"type": "object"}),
        "inProgressUri": ("jobRunning", "Status of the job, as it goes on", status),
        "failedUri": ("jobFailed", "Status of the failed or dismissed job", status),
    }
    return {
        name: {
            f"{{$request.body#/subscriber/{uri}}}": {
                "post": {
                    "summary": meaning,
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": schema}},
                    },
                    "responses": {"2XX": {"description": "It was taken; anything else is no"}},
                }
            }
        }
        for uri, (name, meaning, schema) in told.items()
    }


def _callback(moment: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what became of a callback."""
    whole = {"type": "integer"}
    return {
        "type": "object",
        "required": ["event", "uri", "tries", "open"],
        "properties": {
            "event": {"type": "string", "enum": ["inProgress", "success", "failed"]},
            "uri": {"type": "string", "format": "uri"},
            "tries": {**whole, "description": "Messages sent"},
            "open": {"type": "boolean", "description": "Whether more may be sent"},
            "status": {**whole, "description": "HTTP status of the last answer"},
            "error": {"type": "string", "description": "Why the last try did not succeed"},
            "lastTry": moment,
            "nextTry": moment,
            "delivered": moment,
        },
    }


def _attempts(link: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what a job's steps and attempts were."""
    text, whole = {"type": "string"}, {"type": "integer"}
    moment = {"type": "string", "format": "date-time"}
    error = {"type": "object", "properties": {"title": text, "detail": text}}
    step = {
        **{"step": text, "state": {"type": "string", "enum": list(STATES)}},
        **{"progress": {"type": "integer", "minimum": 0, "maximum": 100}},
        **{"done": whole, "total": whole, "started": moment, "finished": moment},
    }
    attempt = {
        **{"step": text, "index": whole, "attempt": text, "round": whole, "verdict": text},
        **{"exitCode": whole, "signal": whole, "reason": text, "error": error},
        **{"started": moment, "ended": moment, "cpuSeconds": {"type": "number"}},
        **{"peakMemoryMB": {"type": "number"}, "imageDigest": text},
        "links": {"type": "array", "items": link},
    }
    items = {
        "steps": {"type": "object", "required": ["step", "state"], "properties": step},
        "attempts": {"type": "object", "required": ["step", "attempt"], "properties": attempt},
    }
    arrays = {name: {"type": "array", "items": schema} for name, schema in items.items()}
    return {
        "type": "object",
        "required": ["jobID", "steps", "attempts", "links"],
        "properties": {"jobID": text, **arrays, "links": {"type": "array", "items": link}},
    }
