"""The page of a job: the document of the same address, and what a person wants to see beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Response

from k8s_manager.job_logs import JobLogs, Part, Selection
from k8s_manager.log_reader import LogReader
from k8s_manager.records import FINAL, Job
from ogcapi import attempt_views, pages, process_page, results, retry_views, tiles
from ogcapi.service import Service

MOST_LOGS = 40  # attempts whose logs can be chosen on the page, the newest
TAIL_BYTES = 8192  # of the newest log, what a page without JavaScript shows


@dataclass(frozen=True)
class Log:
    """One stream of one attempt, to be shown on the page."""

    title: str
    address: str
    """Below the service's root."""
    size: int


def show(service: Service, job: Job, document: dict[str, Any]) -> Response:
    """Answer with the page of a job, whose whole record is given."""
    logs = None
    if not job.removed:
        logs = JobLogs.of(service.store, service.workspace, job, Selection())
    found = attempt_views.for_page(service, job, logs)
    every = found.pop("every")
    shown, tail = _logs(job, logs, every)
    return pages.page(
        "job.html",
        document=document,
        process_title=process_page.titles(service).get(job.process_id, job.process_id),
        final=document["status"] in FINAL,
        # A job that is being dismissed has ended for everyone but the controller.
        stopping=job.dismiss_requested and job.status not in FINAL,
        dismissable=not (job.removed or job.dismiss_requested or job.status == "dismissed"),
        error=job.error,
        retry=retry_views.can_be_retried(job),
        drawings=tiles.drawings(service, job, found["steps"], every),
        logs=shown,
        tail=tail,
        output_titles=process_page.output_titles(service, job.process_id),
        links=results.links(service, job) if _has_results(job) else [],
        **found,
    )


def _has_results(job: Job) -> bool:
    return job.status == "successful" and job.why_files_are_gone is None


def _logs(job: Job, logs: JobLogs | None, attempts: list[dict[str, Any]]) -> tuple[list[Log], str]:
    """Return the logs that can be chosen, the one with the newest words first, and its end."""
    if logs is None or job.logs_expired:
        return [], ""
    parts: list[Part] = []
    for attempt in attempts[-MOST_LOGS:]:
        parts += logs.parts(Selection(attempt["step"], attempt.get("index"), attempt["attempt"]))
    if not parts:
        return [], ""
    parts.sort(key=lambda part: part.modified_ns, reverse=True)
    return [_log(job, part) for part in parts], _tail(logs, parts[0])


def _log(job: Job, part: Part) -> Log:
    where: dict[str, Any] = {"step": part.of.step}
    if part.of.scattered:
        where["index"] = part.of.index
    where |= {"attempt": part.of.attempt, "stream": part.stream}
    return Log(part.title, f"/jobs/{job.id}/logs?{urlencode(where)}", part.size)


def _tail(logs: JobLogs, part: Part) -> str:
    reader = LogReader(logs.root, [part], titled=False)
    try:
        reader.seek(max(0, part.size - TAIL_BYTES))
        return reader.read().decode("utf-8", "replace")
    except OSError:  # the file was removed meanwhile
        return ""
    finally:
        reader.close()
