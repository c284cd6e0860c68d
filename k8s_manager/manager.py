"""The pygeoapi manager: what lets a plain pygeoapi list our processes and run them as jobs.

It writes job records and reads them; the controller, a process of its own, does the rest. pygeoapi
builds a manager for every ``API`` object, for the OpenAPI document and on its command line, so the
constructor does nothing but keep its settings.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pygeoapi.process.base import (
    JobNotFoundError,
    JobResultNotFoundError,
    ProcessorExecuteError,
    UnknownProcessError,
)
from pygeoapi.process.manager.base import BaseManager
from pygeoapi.util import JobStatus

from k8s_manager.description import allows_sync
from k8s_manager.errors import InvalidInputs, NoSuchJob, TooManyJobs
from k8s_manager.identity import LOCAL
from k8s_manager.processor import CwlProcessor, config_path
from k8s_manager.records import FINAL, SUCCESSFUL, Job, JobFilter
from k8s_manager.result_values import plain_results
from k8s_manager.settings import Settings

if TYPE_CHECKING:
    from k8s_manager.store import Store

_PAGE = 1000


class InvalidRequest(ProcessorExecuteError):  # type: ignore[misc]  # noqa: N818
    """An execute request that breaks the description; pygeoapi answers 400 with its text."""

    ogc_exception_code = "InvalidParameterValue"
    http_status_code = 400


class TooManyRequests(InvalidRequest):
    """The owner has too many unfinished jobs."""

    http_status_code = 429


class KubernetesManager(BaseManager):  # type: ignore[misc]
    """Jobs as records in the store that `server.manager.connection` names."""

    def __init__(self, manager_def: dict[str, Any]) -> None:
        """Keep the definition; nothing is opened before the first request.

        Args:
            manager_def: ``server.manager`` of the configuration; ``connection`` is the store's
                URL, ``output_dir`` the workspace.
        """
        super().__init__(manager_def)
        self.is_async = True
        self.supports_subscribing = True
        self._definition = {key: value for key, value in manager_def.items() if key != "processes"}
        self._lock = threading.Lock()
        self._opened: tuple[Settings, Store] | None = None

    def get_processor(self, process_id: str) -> Any:
        """Return the processor of a process.

        Raises:
            UnknownProcessError: There is none of that id.
            ConfigError: Its CWL file is missing, wrong, or describes a process of another id.
        """
        processor = super().get_processor(process_id)
        if isinstance(processor, CwlProcessor) and processor.process.id != process_id:
            raise UnknownProcessError(
                f"resource {process_id} names a file that describes {processor.process.id}"
            )
        return processor

    def get_jobs(
        self, status: Any = None, limit: int | None = None, offset: int | None = None
    ) -> dict[str, Any]:
        """Return a page of jobs, newest first, and how many there are."""
        _, store = self._open()
        wanted = JobFilter(statuses=(status.value,) if status is not None else ())
        first = offset or 0
        page = store.jobs(wanted, limit=first + (limit or _PAGE))
        return {
            "jobs": [_metadata(job) for job in store.queue.shown(page.jobs[first:])],
            "numberMatched": page.matched,
        }

    def get_job(self, job_id: str) -> dict[str, Any]:
        """Return a job.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        _, store = self._open()
        [job] = store.queue.shown([self._job(job_id)])
        return _metadata(job)

    def get_job_result(self, job_id: str) -> tuple[str, Any]:
        """Return media type and value of a job's results.

        Raises:
            JobNotFoundError: There is none of that id.
            JobResultNotFoundError: It has no results (any more).
        """
        job = self._job(job_id)
        if job.why_files_are_gone is not None or job.status != SUCCESSFUL or job.results is None:
            raise JobResultNotFoundError(f"job {job_id} is {job.status} and has no results")
        settings, _ = self._open()
        return plain_results(job, settings.workspace)

    def delete_job(self, job_id: str) -> bool:
        """Stop a job that runs; remove the results of one that has ended.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        _, store = self._open()
        job = self._job(job_id)
        if job.finished_at_all:
            store.remove(job_id)
        else:
            store.request_dismiss(job_id)
        return True

    def execute_process(
        self,
        process_id: str,
        data_dict: dict[str, Any],
        execution_mode: Any = None,
        requested_outputs: dict[str, Any] | None = None,
        subscriber: Any = None,
        requested_response: Any = "raw",
        **_: Any,
    ) -> tuple[str, Any, Any, Any, dict[str, str] | None]:
        """Record a job, and wait for its end where the process may run synchronously.

        Returns:
            Job id, media type, results, status, headers; as pygeoapi wants them.

        Raises:
            UnknownProcessError: There is no process of that id.
            InvalidRequest: The inputs break its description.
            TooManyRequests: There are too many unfinished jobs.
        """
        from k8s_manager import acceptance

        process = self.get_processor(process_id).process
        settings, store = self._open()
        body = {
            "inputs": data_dict,
            "outputs": _requested(requested_outputs),
            "response": getattr(requested_response, "value", requested_response),
            "subscriber": _subscriber(subscriber),
        }
        try:
            job = store.create_job(acceptance.accept(settings, process, body, owner=LOCAL.name))
        except InvalidInputs as error:
            raise InvalidRequest(user_msg=str(error)) from error
        except TooManyJobs as error:
            raise TooManyRequests(user_msg=str(error)) from error
        mode = getattr(execution_mode, "value", execution_mode)
        if mode == "respond-async" or not allows_sync(process, settings.sync_limit_s):
            headers = {"Preference-Applied": "respond-async"}
            return job.id, "application/json", None, JobStatus.accepted, headers
        job = _wait(store, job, settings)
        return self._answer(job, settings, mode)

    def close(self) -> None:
        """Close the store; it opens again at the next use."""
        with self._lock:
            if self._opened is not None:
                self._opened[1].close()
            self._opened = None

    def _answer(
        self, job: Job, settings: Settings, mode: str | None
    ) -> tuple[str, Any, Any, Any, dict[str, str] | None]:
        applied = {"Preference-Applied": "wait"} if mode == "wait" else None
        if job.status not in FINAL:
            headers = {"Preference-Applied": "respond-async"}
            return job.id, "application/json", None, JobStatus.accepted, headers
        if job.status == SUCCESSFUL:
            media_type, value = plain_results(job, settings.workspace)
            return job.id, media_type, value, JobStatus.successful, applied
        problem = {"type": "about:blank", "code": "InvalidParameterValue", **(job.error or {})}
        problem["description"] = problem.get("detail") or job.message
        return job.id, "application/json", problem, JobStatus.failed, applied

    def _job(self, job_id: str) -> Job:
        _, store = self._open()
        try:
            return store.job(job_id)
        except NoSuchJob as error:
            raise JobNotFoundError(str(error)) from error

    def _open(self) -> tuple[Settings, Store]:
        from k8s_manager.store import open_store

        with self._lock:
            if self._opened is None:
                settings = Settings.from_manager(self._definition, config_path())
                store = open_store(settings.database_url, Path(settings.workspace))
                self._opened = settings, store
            return self._opened


def _wait(store: Store, job: Job, settings: Settings) -> Job:
    """Return the job when it has ended or the longest synchronous time is over."""
    deadline = time.monotonic() + settings.sync_limit_s
    while job.status not in FINAL and time.monotonic() < deadline:
        time.sleep(settings.poll_s)
        job = store.job(job.id)
    return job


def _metadata(job: Job) -> dict[str, Any]:
    """Return a job as pygeoapi's own managers write it; it sorts by ``started``."""
    status = "dismissed" if job.removed is not None else job.status
    return {
        "type": "process",
        "identifier": job.id,
        "process_id": job.process_id,
        "status": status,
        "message": job.message or status,
        "progress": job.progress,
        "created": job.created,
        "started": job.started or job.created,
        "finished": job.finished,
        "updated": job.updated,
        "location": None,
        "mimetype": "application/json",
    }


def _requested(outputs: Any) -> dict[str, Any] | None:
    if isinstance(outputs, list):
        return {str(name): {} for name in outputs}
    return dict(outputs) if isinstance(outputs, Mapping) else None


def _subscriber(given: Any) -> dict[str, str] | None:
    if given is None:
        return None
    named = {
        "successUri": given.success_uri,
        "inProgressUri": given.in_progress_uri,
        "failedUri": given.failed_uri,
    }
    return {name: uri for name, uri in named.items() if uri}
