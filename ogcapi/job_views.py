"""Jobs: list, status, results, dismissal (OGC API - Processes, Part 1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, current_app, request

from k8s_manager.errors import JobGone
from k8s_manager.records import FINAL, STATUSES, JobFilter
from ogcapi import job_page, jobs_page, negotiation, results, retry_views
from ogcapi.documents import here, link, reply, status_document
from ogcapi.identification import asking
from ogcapi.problems import Problem
from ogcapi.service import Service

BLUEPRINT = Blueprint("jobs", __name__)
MOST_JOBS = 1000  # of one page


@BLUEPRINT.get("/jobs")
def job_list() -> Response:
    """List jobs, newest first, with the standard's filters; pages are found by key."""
    negotiation.known_parameters(
        *("type", "processID", "status", "datetime", "minDuration", "maxDuration", "limit", "after")
    )
    media = negotiation.representation()
    limit = negotiation.number("limit", 20, 1, MOST_JOBS)
    store = _service().store
    page = store.jobs(_filter(), limit=limit, after=request.args.get("after"))
    links = [
        link(here(), "self", negotiation.JSON, "This document"),
        link(here(f="html"), "alternate", negotiation.HTML, "This document as HTML"),
    ]
    if page.next:
        links.append(link(here(after=page.next), "next", negotiation.JSON, "Older jobs"))
    shown = [status_document(job) for job in store.queue.shown(page.jobs)]
    document = {"jobs": shown, "links": links}
    if media == negotiation.HTML:
        return jobs_page.show(_service(), document)
    return reply(document)


@BLUEPRINT.get("/jobs/<job_id>")
def job_status(job_id: str) -> Response:
    """Show the status of one job."""
    negotiation.known_parameters()
    media = negotiation.representation()
    service = _service()
    [job] = service.store.queue.shown([service.store.job(job_id, whole=media == negotiation.HTML)])
    document = retry_views.document_of(service, job)
    if media == negotiation.HTML:
        return job_page.show(service, job, document)
    answer = reply(document)
    if job.status not in FINAL:
        answer.headers["Retry-After"] = "2"
    return answer


@BLUEPRINT.get("/jobs/<job_id>/results")
def job_results(job_id: str) -> Response:
    """Return the results of a finished job."""
    negotiation.known_parameters("outputs")
    service = _service()
    job = service.store.job(job_id)
    chosen = request.args.get("outputs")
    only = chosen.split(",") if chosen else None
    rows = results.links(service, job, only)  # first: without results, any format gets the reason
    raw = job.request.get("response") == "raw" and "f" not in request.args
    if raw and not negotiation.is_browser():
        return results.response(service, job, only=only)
    if negotiation.representation() == negotiation.HTML:
        return results.page(service, job, rows)
    return results.response(service, job, only=only, document=True)


@BLUEPRINT.get("/jobs/<job_id>/results/<output>")
@BLUEPRINT.get("/jobs/<job_id>/results/<output>/<path:path>")
def job_result_file(job_id: str, output: str, path: str = "") -> Response:
    """Send one file of the results, or list a folder."""
    negotiation.known_parameters()
    service = _service()
    return results.file_response(service, service.store.job(job_id), output, path)


@BLUEPRINT.delete("/jobs/<job_id>")
def dismiss(job_id: str) -> Response:
    """Dismiss a job: a running one is cancelled, a finished one loses its results."""
    store = _service().store
    job = store.job(job_id)
    stopping = job.dismiss_requested and job.status not in FINAL
    if job.removed or job.status == "dismissed" or stopping:
        raise JobGone(f"job {job_id} was dismissed before")
    job = store.remove(job_id) if job.status in FINAL else store.request_dismiss(job_id)
    document = status_document(job)
    document["status"] = "dismissed"
    return reply(document)


def _service() -> Service:
    service: Service = current_app.extensions["cdi"]
    return service


def _filter() -> JobFilter:
    kinds = _list("type")
    if kinds and "process" not in kinds:
        raise Problem(400, "Invalid query parameter", "type: this server knows only 'process'")
    statuses = _list("status")
    unknown = sorted(set(statuses) - set(STATUSES))
    if unknown:
        raise Problem(
            400,
            "Invalid query parameter",
            f"status={','.join(unknown)}: expected {', '.join(STATUSES)}",
        )
    start, end = _interval(request.args.get("datetime"))
    return JobFilter(
        process_ids=tuple(_list("processID")),
        statuses=tuple(statuses),
        created_from=start,
        created_to=end,
        min_duration_s=_seconds("minDuration"),
        max_duration_s=_seconds("maxDuration"),
        owner=asking().jobs_of,
    )


def _list(name: str) -> list[str]:
    return [part for text in request.args.getlist(name) for part in text.split(",") if part]


def _seconds(name: str) -> float | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        raise Problem(400, "Invalid query parameter", f"{name}={text}: expected whole seconds")
    return float(text)


def _interval(text: str | None) -> tuple[float | None, float | None]:
    """Read an RFC 3339 instant or interval; ``..`` or nothing is an open end."""
    if text is None:
        return None, None
    parts = text.split("/")
    if len(parts) > 2:
        raise Problem(400, "Invalid query parameter", f"datetime={text}: expected start/end")
    ends: list[Any] = [None if part in ("", "..") else _instant(part) for part in parts]
    start, end = (ends[0], ends[0]) if len(ends) == 1 else (ends[0], ends[1])
    # Documents show milliseconds: what began within one is found by it.
    return start, None if end is None else end + 0.000_999


def _instant(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise Problem(
            400, "Invalid query parameter", f"datetime: {text} is no RFC 3339 date-time"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
