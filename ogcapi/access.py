"""What each route asks of whom, in one table, and the gate that every request passes.

A route that is not in the table keeps the application from starting. Routes whose path names a job
are for its owner and for administrators; to others there is no such job, in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import current_app, request
from werkzeug.routing import Map

from k8s_manager import acceptance, nested
from k8s_manager.cwl import Process
from k8s_manager.identity import Identity, Role
from k8s_manager.records import NewJob
from k8s_manager.releases import dataset_of
from k8s_manager.store import no_such_job
from ogcapi.forgery import SAFE, refuse_forged
from ogcapi.identification import asking, unidentified
from ogcapi.problems import Problem
from ogcapi.service import Service

EVERYBODY = None
JOB = "job_id"
"""The part of a path that names a job."""

# endpoint -> the role that it needs
ACCESS: Mapping[str, Role | None] = {
    "static": EVERYBODY,
    "site.landing_page": EVERYBODY,
    "site.conformance": EVERYBODY,
    "site.health": EVERYBODY,
    "monitoring.alive": EVERYBODY,
    "monitoring.ready": EVERYBODY,
    "monitoring.metrics": EVERYBODY,  # its own setting decides, CDI_METRICS
    "sign_in.form": EVERYBODY,
    "sign_in.sign_in": EVERYBODY,
    "sign_in.sign_out": EVERYBODY,
    "site.api_definition": Role.VIEWER,
    "collections.collections": Role.VIEWER,
    "collections.collection": Role.VIEWER,
    "collections.schema": Role.VIEWER,
    "collections.queryables": Role.VIEWER,
    "collections.items": Role.VIEWER,
    "collections.item": Role.VIEWER,
    "collections.collection_coverage": Role.VIEWER,
    "release_files.release_file": Role.VIEWER,
    "processes.process_list": Role.VIEWER,
    "processes.process_description": Role.VIEWER,
    "processes.execution": Role.RUNNER,
    "jobs.job_list": Role.RUNNER,
    "jobs.job_status": Role.RUNNER,
    "jobs.job_results": Role.RUNNER,
    "jobs.job_result_file": Role.RUNNER,
    "jobs.dismiss": Role.RUNNER,
    "logs.job_logs": Role.RUNNER,
    "attempts.job_attempts": Role.RUNNER,
    "retry.retry_job": Role.RUNNER,
    "forms.form": Role.VIEWER,
    "forms.preview": Role.VIEWER,
    "forms.execute": Role.RUNNER,
    "forms.filter_jobs": Role.RUNNER,
    "forms.dismiss": Role.RUNNER,
}

LISTS = {"jobs.job_list"}
"""Routes that list jobs: everybody sees their own there, administrators all."""

RELEASING = {"processes.execution", "forms.execute", "retry.retry_job"}
"""Routes that start jobs; for one that makes a release they ask `require_for_release`."""
TO_RELEASE = Role.PUBLISHER


def check_routes(routes: Map) -> None:
    """Make sure that every route says who may use it.

    Raises:
        LookupError: One does not; it is named.
    """
    missing = sorted({rule.endpoint for rule in routes.iter_rules()} - ACCESS.keys())
    if missing:
        raise LookupError(
            f"{', '.join(missing)}: no role is declared; add a line to ACCESS in ogcapi/access.py "
            "and run python docs/make_identity.py"
        )


def gate() -> None:
    """Let the current request pass, or say why not; runs before every view.

    Raises:
        Problem: 401 or 403.
        NoSuchJob: The path names a job of somebody else, or none.
    """
    if request.endpoint is None:  # there is no such path or method
        return
    needed = ACCESS[request.endpoint]
    changes = request.method not in SAFE
    if needed is EVERYBODY and "Authorization" not in request.headers:
        if changes:  # also by who comes with a cookie that counts no more: to sign in anew, or out
            refuse_forged(request)
        return
    who = asking()
    if needed is not EVERYBODY:
        _require(who, needed)
    if changes and who.ambient:
        refuse_forged(request)
    job_id = (request.view_args or {}).get(JOB)
    if job_id is not None:
        _check_owner(who, job_id)


def accepted(service: Service, process: Process, body: Mapping[str, Any]) -> tuple[Process, NewJob]:
    """Validate an execute request of whom asks, who then owns the job.

    Returns:
        The process that the job runs (of nested ones the workflow of all of them), and the job.

    Raises:
        InvalidInputs: The request breaks the description.
        Problem: 401 or 403, where a process of it would make a release and who asks may not.
    """
    sent = nested.unfold(service.registry, process, body, service.settings.base_url)
    with sent.pointing_back():
        new = acceptance.accept(service.settings, sent.process, sent.body, owner=asking().name)
    for part, values in sent.parts(new.request["values"]):
        require_for_release(part, values)
    return sent.process, new


def require_for_release(process: Process, values: Mapping[str, Any]) -> None:
    """Refuse to run what would change what everybody sees, unless publishing is one's role.

    Raises:
        Problem: 401 or 403.
    """
    service: Service = current_app.extensions["cdi"]
    dataset = dataset_of(service.settings, process, values)
    if dataset is not None:
        reason = f"It makes a release of the dataset {dataset!r}, which everybody sees. "
        _require(asking(), TO_RELEASE, reason)


def _require(who: Identity, role: Role, reason: str = "") -> None:
    if who.may(role):
        return
    if not who.known:
        raise unidentified(
            f"{reason}This needs the role {role}. Send an API token as 'Authorization: Bearer "
            "cdi_...', or sign in at /sign-in; an administrator gives tokens (cdi tokens create)."
        )
    held = ", ".join(sorted(who.roles)) or "no role"
    raise Problem(
        403,
        "Not allowed",
        f"{reason}This needs the role {role}; {who.name} has {held}. An administrator can give it.",
    )


def _check_owner(who: Identity, job_id: str) -> None:
    if who.jobs_of is None:
        return
    service: Service = current_app.extensions["cdi"]
    if service.store.owner(job_id) != who.jobs_of:
        raise no_such_job(job_id)
