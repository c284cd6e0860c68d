"""Every error as an RFC 9457 problem document: one table from exceptions to answers."""

from __future__ import annotations

import json
import logging
from typing import Any

from flask import Response, request
from werkzeug.exceptions import HTTPException

from k8s_manager import errors
from k8s_manager.records import Job

LOGGER = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = "30"
"""Seconds after which a job of an owner who has too many may have ended."""
KEPT_HEADERS = ("Allow", "Content-Range", "Retry-After", "WWW-Authenticate")
OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"

# exception -> (status, type, title)
TABLE: dict[type[Exception], tuple[int, str, str]] = {
    errors.UnknownProcess: (404, OGC + "no-such-process", "No such process"),
    errors.NoSuchJob: (404, OGC + "no-such-job", "No such job"),
    errors.NoSuchToken: (404, "about:blank", "No such token"),
    errors.NotIdentified: (401, "about:blank", "Who is asking?"),
    errors.NoSuchLog: (404, "about:blank", "No such part of the job"),
    errors.ResultNotReady: (404, OGC + "result-not-ready", "Results are not ready"),
    errors.JobGone: (410, "about:blank", "The job was dismissed"),
    errors.FilesExpired: (410, "about:blank", "The files of the job were deleted"),
    errors.NotRetryable: (409, "about:blank", "The job cannot be retried"),
    errors.TooManyJobs: (429, "about:blank", "Too many unfinished jobs"),
    errors.UnknownDataset: (404, "about:blank", "No such dataset"),
    errors.InvalidInputs: (400, OGC + "invalid-parameter-value", "The request is not valid"),
    errors.StoreError: (503, "about:blank", "The job store cannot be used now"),
    errors.ConfigError: (500, "about:blank", "The server is not configured correctly"),
}


class Problem(Exception):  # noqa: N818  the standard's word
    """An answer other than success that a view gives on purpose."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        type_: str = "about:blank",
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or title)
        self.status, self.title, self.detail, self.type = status, title, detail, type_
        self.headers, self.members = headers or {}, members

    def document(self) -> dict[str, Any]:
        """Return the problem as the answer to this request."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail or self.title,
            "instance": request.path,
            **self.members,
        }


def response(problem: Problem) -> Response:
    """Turn a problem into an HTTP answer."""
    # A request may hold half a surrogate pair, which has no UTF-8 form, and the problem quotes it.
    body = json.dumps(problem.document(), ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)


def of_job(job: Job) -> Problem:
    """Return why a job failed."""
    error = dict(job.error or {})
    return Problem(
        int(error.pop("status", 500)),
        error.pop("title", "The job failed"),
        error.pop("detail", job.message),
        error.pop("type", "about:blank"),
        **error,
    )


def from_exception(error: Exception) -> Problem:
    """Find the answer to an exception; what nobody expected is logged and answered 500."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _from_http(error)
    for kind in type(error).__mro__:
        if kind in TABLE:
            status, type_, title = TABLE[kind]
            members: dict[str, Any] = {}
            if isinstance(error, errors.InvalidInputs):
                members["violations"] = [
                    {
                        "input": violation.input,
                        "pointer": violation.pointer,
                        "expected": violation.expected,
                        "got": violation.got,
                    }
                    for violation in error.violations
                ]
            headers = {"Retry-After": RETRY_AFTER_S} if status == 429 else None
            return Problem(status, title, str(error), type_, headers, **members)
    LOGGER.exception("unexpected error at %s %s", request.method, request.path)
    return Problem(
        500,
        "Internal Server Error",
        "The server met an error of its own; it is in the server's log. Your request may be fine.",
    )


def _from_http(error: HTTPException) -> Problem:
    headers = dict(error.get_headers(request.environ))
    keep = {name: value for name, value in headers.items() if name in KEPT_HEADERS}
    return Problem(error.code or 500, error.name, error.description or "", headers=keep)
