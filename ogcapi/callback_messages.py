"""What subscribers are told: the documents that the job's own addresses answer at that moment."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from k8s_manager.callbacks import FAILED, SUCCESS, Callback
from k8s_manager.errors import JobGone
from k8s_manager.records import Job
from k8s_manager.settings import Settings

if TYPE_CHECKING:
    from flask import Flask


class CallbackMessages:
    """Makes messages in a process that serves nothing; builds what it needs with the first one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, event: str, job: Job) -> bytes:
        """Return the results document, or the status document, with the reason of a failed job.

        Raises:
            JobGone: There are no results any more.
        """
        from ogcapi import problems, results
        from ogcapi.documents import reply, status_document

        base = self._settings.base_url
        with self._app.test_request_context(f"/jobs/{job.id}/results", base_url=base):
            service = self._app.extensions["cdi"]
            if event == SUCCESS:
                try:
                    return results.response(service, job, document=True).get_data()
                except problems.Problem as problem:
                    raise JobGone(str(problem)) from problem
            document: dict[str, Any] = status_document(job)
            if event == FAILED and job.error is not None:
                document["exception"] = problems.of_job(job).document()
            return reply(document).get_data()

    @cached_property
    def _app(self) -> Flask:
        from ogcapi.app import create_app

        return create_app(self._settings)


def shown(callback: Callback) -> dict[str, Any]:
    """Return a callback as a job's status document shows it."""
    members = {
        "event": callback.event,
        "uri": callback.uri,
        "tries": callback.tries,
        "open": callback.open,
        "status": callback.status,
        "error": callback.error,
        "lastTry": callback.last_try,
        "nextTry": callback.next_try,
        "delivered": callback.delivered,
    }
    return {name: value for name, value in members.items() if value is not None}
