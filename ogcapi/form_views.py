"""What forms of pages send: these addresses are for browsers and no part of the API.

A client executes with JSON at ``/processes/{id}/execution`` and dismisses with DELETE; a page
without JavaScript can do neither, so here a form becomes the same request, checked and recorded in
the same way, and the answer leads to the page of the job.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from flask import Blueprint, Response, current_app, request

from k8s_manager.errors import InvalidInputs
from ogcapi import examples, job_views, negotiation, pages, process_page
from ogcapi.access import accepted
from ogcapi.form_fields import fields_of
from ogcapi.form_request import read
from ogcapi.problems import Problem
from ogcapi.service import Service

BLUEPRINT = Blueprint("forms", __name__)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@BLUEPRINT.get("/processes/<process_id>/form")
def form(process_id: str) -> Response:
    """Show the form, filled with one of the examples where the query says which."""
    negotiation.known_parameters("example")
    service = _service()
    process = service.registry.get(process_id)
    number = negotiation.number("example", 0, 0, 1000)
    offered = examples.examples_of(service, process)
    if "example" not in request.args or number >= len(offered):
        return _to(f"/processes/{quote(process_id)}?lang={negotiation.language()}")
    return process_page.show(service, process, request=offered[number].request)


@BLUEPRINT.post("/processes/<process_id>/form")
def execute(process_id: str) -> Response:
    """Execute a process as the form says, and lead to the job; or show what is wrong with it."""
    negotiation.known_parameters("example")
    service = _service()
    process = service.registry.get(process_id)
    fields = fields_of(process, negotiation.language())
    document, found = read(fields, request.form, request.files)
    try:
        _, new = accepted(service, process, document)
    except InvalidInputs as error:
        unread = {violation.input for violation in found}
        found += [violation for violation in error.violations if violation.input not in unread]
    if found:
        return process_page.show(
            *(service, process),
            form=request.form,
            request=document,
            violations=found,
            status=400,
        )
    job = service.store.create_job(new)
    return _to(f"/jobs/{job.id}")


@BLUEPRINT.post("/processes/<process_id>/form/request")
def preview(process_id: str) -> Response:
    """Return, as part of a page, the request that a form stands for and commands that send it."""
    negotiation.known_parameters()
    service = _service()
    process = service.registry.get(process_id)
    fields = fields_of(process, negotiation.language())
    document, _ = read(fields, request.form, request.files, preview=True)
    return pages.page("request.html", **process_page.samples(service, process, document))


@BLUEPRINT.post("/jobs/<job_id>/dismiss")
def dismiss(job_id: str) -> Response:
    """Dismiss a job as DELETE does, and lead back to it."""
    negotiation.known_parameters()
    job_views.dismiss(job_id)
    return _to(f"/jobs/{quote(job_id)}")


@BLUEPRINT.get("/jobs/filter")
def filter_jobs() -> Response:
    """Lead to the job list with the filters of a form: what was left empty is no filter."""
    names = ("processID", "status", "minDuration", "maxDuration", "limit")
    negotiation.known_parameters(*names, "from", "to")
    query: list[tuple[str, Any]] = [
        (name, ",".join(values))
        for name in names
        if (values := [text for text in request.args.getlist(name) if text])
    ]
    begin, end = _day("from", "T00:00:00Z"), _day("to", "T23:59:59.999Z")
    if begin or end:
        query.append(("datetime", f"{begin or '..'}/{end or '..'}"))
    return _to("/jobs" + (f"?{urlencode(query, safe='/:,')}" if query else ""))


def _day(name: str, time: str) -> str | None:
    text = request.args.get(name, "")
    if text and not DAY.fullmatch(text):
        raise Problem(400, "Invalid query parameter", f"{name}={text}: expected YYYY-MM-DD")
    return text + time if text else None


def _to(path: str) -> Response:
    """Lead to another page of this service, whatever the name under which it was reached."""
    base = urlsplit(_service().settings.base_url).path
    return Response(status=303, headers={"Location": f"{base}{path}"})


def _service() -> Service:
    service: Service = current_app.extensions["cdi"]
    return service
