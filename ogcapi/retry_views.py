"""Trying a job again over HTTP: a new job, linked to the old one both ways (RFC 5829)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, request

from k8s_manager import records
from k8s_manager.callbacks import callbacks_of
from k8s_manager.cwl import Process
from k8s_manager.records import Job
from k8s_manager.retry import ReusedStep, retries_of, retry, reused_steps
from ogcapi import forgery, negotiation
from ogcapi.access import require_for_release
from ogcapi.callback_messages import shown
from ogcapi.documents import link, reply, status_document
from ogcapi.problems import Problem
from ogcapi.service import Service

BLUEPRINT = Blueprint("retry", __name__)
NEWER = "successor-version"


@BLUEPRINT.post("/jobs/<job_id>/retry")
def retry_job(job_id: str) -> Response:
    """Accept a new job with the same process, inputs and outputs as one that did not succeed."""
    negotiation.known_parameters()
    if request.get_data(parse_form_data=True).strip() or set(request.form) - {forgery.FIELD}:
        raise Problem(
            400,
            "A retry takes no body",
            "It has the inputs of the job before; execute the process to change them.",
        )
    service: Service = current_app.extensions["cdi"]
    older = service.store.job(job_id)
    require_for_release(Process.from_json(older.process), older.request["values"])
    job = retry(service.settings, service.store, job_id)
    address = f"{service.settings.base_url}/jobs/{job.id}"
    if negotiation.is_browser():  # a form was sent: show the new job
        return Response(status=303, headers={"Location": urlsplit(address).path})
    answer = reply(document_of(service, job), 201)
    answer.headers["Location"] = address
    return answer


def document_of(service: Service, job: Job) -> dict[str, Any]:
    """Return the status document of one job, with its retries, callbacks and what it took over."""
    document = status_document(job)
    database = service.store.database
    if _ended_badly(job):  # others cannot have been tried again
        document["links"] += [
            link(f"/jobs/{newer}", NEWER, negotiation.JSON, "The job that tries this one again")
            for newer in retries_of(database, job.id)
        ]
    if job.has_callbacks:
        document["callbacks"] = [shown(item) for item in callbacks_of(database, job.id)]
    if job.retry_of is not None:
        document["reused"] = [_reused(step) for step in reused_steps(database, job.id)]
    return document


def can_be_retried(job: Job) -> bool:
    """Tell whether a page should offer to try a job again."""
    return _ended_badly(job) and job.why_files_are_gone is None


def _ended_badly(job: Job) -> bool:
    return job.outcome in (records.FAILED, records.DISMISSED)


def _reused(step: ReusedStep) -> dict[str, Any]:
    return {"step": step.step, "indexes": list(step.indexes), "jobID": step.job}
