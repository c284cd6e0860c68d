"""What a job's steps and attempts were: one document, and the same as a part of the job's page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app

from k8s_manager.job_logs import JobLogs, Selection
from k8s_manager.records import AttemptRecord, Job, StepRecord
from ogcapi import negotiation, pages
from ogcapi.documents import link, reply, status_document
from ogcapi.log_views import selection
from ogcapi.service import Service

BLUEPRINT = Blueprint("attempts", __name__)
MOST_ON_PAGE = 50  # attempts; the document has them all
# member of the document -> member of attempt.json
MEMBERS = {
    "exitCode": "exit_code",
    "signal": "signal",
    "reason": "reason",
    "started": "started",
    "ended": "ended",
    "cpuSeconds": "cpu_s",
    "peakMemoryMB": "ram_peak_mb",
    "imageDigest": "image_digest",
    "error": "error",
}


@BLUEPRINT.get("/jobs/<job_id>/attempts")
def job_attempts(job_id: str) -> Response:
    """Show the steps of a job and every attempt of them: what it took, how it ended, its logs."""
    negotiation.known_parameters("step", "index", "attempt")
    media = negotiation.representation()
    service: Service = current_app.extensions["cdi"]
    wanted = selection()
    job = service.store.job(job_id, whole=False)
    logs = JobLogs.of(service.store, service.workspace, job, wanted)
    found = _document(service, job, wanted, logs)
    if media == negotiation.HTML:
        return pages.page("attempts.html", document=status_document(job), **found, hidden=0)
    path = f"/jobs/{job.id}"
    links = [
        link(f"{path}/attempts", "self", negotiation.JSON, "This document"),
        link(f"{path}/attempts?f=html", "alternate", negotiation.HTML, "This document as HTML"),
        link(path, "up", negotiation.JSON, "Status of the job"),
    ]
    return reply({"jobID": job.id, **found, "links": links})


def for_page(service: Service, job: Job, logs: JobLogs | None) -> dict[str, Any]:
    """Return steps and attempts as the page of a job shows them; only steps without `logs`.

    Besides the last of them (``attempts``) there are ``every`` one and the number ``hidden``.
    """
    if logs is None:
        steps = [_step(step) for step in service.store.steps(job.id)]
        return {"steps": steps, "attempts": [], "every": [], "hidden": 0}
    found = _document(service, job, Selection(), logs)
    every = found["attempts"]
    hidden = max(0, len(every) - MOST_ON_PAGE)
    return found | {"attempts": every[hidden:], "every": every, "hidden": hidden}


def _document(service: Service, job: Job, wanted: Selection, logs: JobLogs) -> dict[str, Any]:
    steps = {step.step: step for step in service.store.steps(job.id)}
    ended = {
        (record.step, record.index, record.attempt): record
        for record in service.store.attempts(job.id)
        if wanted.step in (None, record.step)
        and wanted.index in (None, record.index)
        and wanted.attempt in (None, record.attempt)
    }
    running = [
        _entry(job, found.step, found.index, found.attempt, found.scattered)
        for found in logs.attempts(wanted)
        if (found.step, found.index, found.attempt) not in ended
    ]
    return {
        "steps": [_step(step) for step in steps.values() if wanted.step in (None, step.step)],
        "attempts": [
            _entry(job, record.step, record.index, record.attempt, steps[record.step].scattered)
            | _ending(record)
            for record in ended.values()
        ]
        + running,
    }


def _step(step: StepRecord) -> dict[str, Any]:
    values = {
        "step": step.step,
        "state": step.state,
        "progress": round(100 * step.progress),
        "done": step.done,
        "total": step.total,
        "started": step.started,
        "finished": step.finished,
    }
    return {name: value for name, value in values.items() if value is not None}


def _entry(job: Job, step: str, index: int, attempt: str, scattered: bool) -> dict[str, Any]:
    """Return the members of any attempt; one without verdict has not ended, as far as is known."""
    where = {"step": step, **({"index": index} if scattered else {}), "attempt": attempt}
    logs = f"/jobs/{job.id}/logs?{urlencode(where)}"
    return {**where, "links": [link(logs, "related", "text/plain", "Logs of the attempt")]}


def _ending(record: AttemptRecord) -> dict[str, Any]:
    values: dict[str, Any] = {"round": record.round, "verdict": record.verdict}
    document = record.document or {}
    values |= {name: document.get(member) for name, member in MEMBERS.items()}
    return {name: value for name, value in values.items() if value is not None}
