"""Logs of jobs, as text: while the steps run as well as long after their processes are gone."""

from __future__ import annotations

from typing import IO, cast

from flask import Blueprint, Response, current_app, request
from werkzeug.wsgi import FileWrapper

from k8s_manager.job_logs import FILES, JobLogs, Selection, refuse_expired, state_of
from k8s_manager.log_reader import LogReader
from ogcapi import file_answers, negotiation
from ogcapi.problems import Problem
from ogcapi.service import Service

BLUEPRINT = Blueprint("logs", __name__)
TEXT = "text/plain"
CHUNK = 65_536  # bytes of one log that are in memory at a time
MOST_INDEX = 10_000_000


@BLUEPRINT.get("/jobs/<job_id>/logs")
def job_logs(job_id: str) -> Response:
    """Send what the programs of a job wrote until now; ranges and If-None-Match are honoured."""
    negotiation.known_parameters("step", "index", "attempt", "stream")
    negotiation.representation((TEXT,), {"text": TEXT})
    service: Service = current_app.extensions["cdi"]
    wanted = selection()
    job = service.store.job(job_id, whole=False)
    refuse_expired(job)
    logs = JobLogs.of(service.store, service.workspace, job, wanted)
    parts = logs.parts(wanted)
    # One file is sent as it is, so that it can be followed by asking for what lies behind it.
    alone = wanted.attempt is not None and wanted.stream is not None and len(parts) <= 1
    reader = LogReader(logs.root, parts, titled=not alone)
    body = FileWrapper(cast("IO[bytes]", reader), CHUNK)
    answer = Response(body, content_type=f"{TEXT}; charset=utf-8")
    answer.direct_passthrough = True
    answer.content_length = reader.size
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["Content-Security-Policy"] = file_answers.POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.set_etag(state_of(parts))
    answer.make_conditional(request, _one_range(reader.size), reader.size)
    return answer


def selection() -> Selection:
    """Read from the query which part of a job is wanted.

    Raises:
        Problem: 400 for a stream that does not exist or an index that is no number.
    """
    stream = request.args.get("stream")
    if stream is not None and stream not in FILES:
        known = ", ".join(FILES)
        raise Problem(400, "Invalid query parameter", f"stream={stream}: expected one of {known}")
    return Selection(
        step=request.args.get("step"),
        index=negotiation.number("index", 0, 0, MOST_INDEX) if "index" in request.args else None,
        attempt=request.args.get("attempt"),
        stream=stream,
    )


def _one_range(size: int) -> bool:
    """Tell whether a part is asked for that can be sent; other ranges may be ignored (RFC 9110).

    So is one of the last bytes that are more than there are: Werkzeug takes it for an error.
    """
    asked = request.range
    if request.method != "GET" or asked is None or asked.units != "bytes":
        return False
    return len(asked.ranges) == 1 and asked.ranges[0][0] >= -size
