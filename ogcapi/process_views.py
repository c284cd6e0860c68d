"""Processes: list, description and execution (OGC API - Processes, Part 1)."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.http import parse_list_header

from k8s_manager import description
from k8s_manager.cwl import Process
from k8s_manager.records import FINAL, Job, NewJob
from ogcapi import negotiation, pages, process_page, request_body, results
from ogcapi.access import accepted
from ogcapi.documents import here, link, reply, status_document
from ogcapi.problems import Problem
from ogcapi.service import Service

BLUEPRINT = Blueprint("processes", __name__)
MOST_PROCESSES = 1000  # of one page
EXPECTED = "an execute request: an object with 'inputs'"
MOST_OFFSET = 1_000_000
EXECUTE = "http://www.opengis.net/def/rel/ogc/1.0/execute"


@BLUEPRINT.get("/processes")
def process_list() -> Response:
    """List the processes, a page of them when ``limit`` is given."""
    negotiation.known_parameters("limit", "offset")
    media = negotiation.representation()
    service = _service()
    everything = sorted(service.registry.processes.values(), key=lambda process: process.id)
    limit = negotiation.number("limit", MOST_PROCESSES, 1, MOST_PROCESSES)
    offset = negotiation.number("offset", 0, 0, MOST_OFFSET)
    chosen = everything[offset : offset + limit]
    links = [
        link(here(), "self", negotiation.JSON, "This document"),
        link(here(f="html"), "alternate", negotiation.HTML, "This document as HTML"),
    ]
    if offset + limit < len(everything):
        target = here(limit=str(limit), offset=str(offset + limit))
        links.append(link(target, "next", negotiation.JSON, "Next page"))
    if offset > 0:
        target = here(limit=str(limit), offset=str(max(offset - limit, 0)))
        links.append(link(target, "prev", negotiation.JSON, "Previous page"))
    document = {"processes": [_summary(process) for process in chosen], "links": links}
    if media == negotiation.HTML:
        language = negotiation.language()
        said = {process.id: process.translation(language).texts for process in chosen}
        return pages.page("processes.html", document=document, said=said)
    return reply(document)


@BLUEPRINT.get("/processes/<process_id>")
def process_description(process_id: str) -> Response:
    """Describe one process."""
    negotiation.known_parameters()
    media = negotiation.representation()
    process = _service().registry.get(process_id)
    document = description.describe(process)
    document["links"] = _links(process)
    if media == negotiation.HTML:
        return process_page.show(_service(), process)
    return reply(document)


@BLUEPRINT.post("/processes/<process_id>/execution")
def execution(process_id: str) -> Response:
    """Accept an execution, asynchronous or (where the process allows it) synchronous."""
    negotiation.known_parameters()
    service = _service()
    process = service.registry.get(process_id)
    executed, new = accepted(service, process, request_body.read(EXPECTED))
    options = description.job_control_options(executed)
    asynchronous, wait_s, applied = _preference(options, service.settings.sync_limit_s)
    if asynchronous:
        job = service.store.create_job(new)
    else:
        job = _run_and_wait(service, new, wait_s)
        if job.status in FINAL:
            return _with_preference(_with_monitor(results.response(service, job), job), applied)
        applied = "respond-async"  # the work outlasted the wait: the client gets the job
    answer = reply(status_document(job), 201)
    answer.headers["Location"] = f"{service.settings.base_url}/jobs/{job.id}"
    return _with_preference(answer, applied)


def _service() -> Service:
    service: Service = current_app.extensions["cdi"]
    return service


def _preference(options: list[str], limit_s: float) -> tuple[bool, float, str | None]:
    """Read ``Prefer`` (RFC 7240).

    Returns:
        Whether to answer asynchronously, the seconds to wait otherwise, the preference honoured.
    """
    preferences: dict[str, str] = {}
    for token in parse_list_header(",".join(request.headers.getlist("Prefer"))):
        name, _, value = token.partition(";")[0].partition("=")
        preferences.setdefault(name.strip().lower(), value.strip(' "'))
    asynchronous = "respond-async" in preferences
    if "sync-execute" not in options:
        return True, 0.0, "respond-async" if asynchronous else None
    if re.fullmatch("[0-9]{1,9}", preferences.get("wait", "")):
        wait_s = min(float(preferences["wait"]), limit_s)
        return False, wait_s, f"wait={int(wait_s)}"
    return asynchronous, limit_s, "respond-async" if asynchronous else None


def _run_and_wait(service: Service, new: NewJob, seconds: float) -> Job:
    """Create a job and wait for its end; the record stays if the client goes away."""
    waiting = current_app.extensions.setdefault(
        "cdi-waiting", threading.BoundedSemaphore(service.settings.max_sync_waiting)
    )
    if not waiting.acquire(blocking=False):
        raise Problem(
            503,
            "Too many synchronous requests are waiting",
            "Try again soon, or send 'Prefer: respond-async'.",
            headers={"Retry-After": "5"},
        )
    try:
        job = service.store.create_job(new)
        until = time.monotonic() + seconds
        while job.status not in FINAL and time.monotonic() < until:
            time.sleep(0.05)
            job = service.store.job(job.id)
        return job
    finally:
        waiting.release()


def _with_monitor(answer: Response, job: Job) -> Response:
    """Name the job that a synchronous execution has made; a 204 names results and nothing else."""
    if answer.status_code == 200:
        target = link(f"/jobs/{job.id}", "monitor", negotiation.JSON, "Status of the job")
        answer.headers.add("Link", f'<{target["href"]}>; rel="monitor"; type="{target["type"]}"')
    return answer


def _with_preference(answer: Response, applied: str | None) -> Response:
    if applied:
        answer.headers["Preference-Applied"] = applied
    return answer


def _summary(process: Process) -> dict[str, Any]:
    return {**description.summarise(process), "links": _links(process)[:2]}


def _links(process: Process) -> list[dict[str, str]]:
    path = f"/processes/{process.id}"
    return [
        link(path, "self", negotiation.JSON, "Process description"),
        link(f"{path}?f=html", "alternate", negotiation.HTML, "Process description as HTML"),
        link(f"{path}/execution", EXECUTE, negotiation.JSON, "Execute this process"),
        link(
            f"/jobs?processID={process.id}",
            "http://www.opengis.net/def/rel/ogc/1.0/job-list",
            negotiation.JSON,
            "Jobs of this process",
        ),
    ]
