"""Small building blocks of JSON answers: links and status documents."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from flask import Response, current_app, request

from k8s_manager.records import FINAL, Job
from ogcapi import negotiation

RESULTS = "http://www.opengis.net/def/rel/ogc/1.0/results"
EXCEPTIONS = "http://www.opengis.net/def/rel/ogc/1.0/exceptions"


def link(path: str, rel: str, media: str, title: str, language: str = "en") -> dict[str, str]:
    """Return a link object; `path` starts at the service's root, the address is absolute."""
    base = current_app.extensions["cdi"].settings.base_url
    address = path if "://" in path else f"{base}{path}"
    return {"href": address, "rel": rel, "type": media, "title": title, "hreflang": language}


def here(**changes: str) -> str:
    """Return the path of this request with its query, in which `changes` replace parameters."""
    kept = [(key, text) for key, text in request.args.items(multi=True) if key not in changes]
    query = urlencode([*kept, *changes.items()])
    return quote(request.path) + (f"?{query}" if query else "")


def reply(
    document: Any, status: int = 200, media: str = negotiation.JSON, headers: Any = None
) -> Response:
    """Return a JSON answer."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(text, status, headers, media)


def status_document(job: Job) -> dict[str, Any]:
    """Return the statusInfo document of a job (OGC 18-062r2, 7.13)."""
    path = f"/jobs/{job.id}"
    status, message = job.status, job.message
    if job.removed:
        status, message = "dismissed", f"results removed; the job was {job.outcome}"
    elif job.files_expired:
        message = f"{message}; its files were deleted on {job.files_expired[:10]}"
    document: dict[str, Any] = {
        "jobID": job.id,
        "processID": job.process_id,
        "type": "process",
        "status": status,
        "message": message,
        "progress": job.progress,
        "created": job.created,
        "updated": job.updated,
    }
    document |= {
        name: value
        for name, value in (("started", job.started), ("finished", job.finished))
        if value
    }
    links = [
        link(path, "self", negotiation.JSON, "Status of the job"),
        link(f"{path}?f=html", "alternate", negotiation.HTML, "Status of the job as HTML"),
        link("/jobs", "up", negotiation.JSON, "All jobs"),
    ]
    if not job.removed:
        if not job.logs_expired:
            links.append(link(f"{path}/logs", "related", "text/plain", "Logs of all steps"))
        attempts = "Steps and attempts"
        links.append(link(f"{path}/attempts", "related", negotiation.JSON, attempts))
    if job.status not in FINAL:
        links.append(link(path, "monitor", negotiation.JSON, "Status of the job"))
    elif status == "successful" and not job.files_expired:
        links.append(link(f"{path}/results", RESULTS, negotiation.JSON, "Results"))
    elif status == "failed":
        links.append(link(f"{path}/results", EXCEPTIONS, negotiation.PROBLEM, "Why the job failed"))
    if job.retry_of:
        older = "The job that this one tries again"
        links.append(link(f"/jobs/{job.retry_of}", "predecessor-version", negotiation.JSON, older))
    document["links"] = links
    return document
