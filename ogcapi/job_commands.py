"""Seeing a job through on the command line, and ``cdi jobs retry``."""

from __future__ import annotations

from typing import Annotated

import typer

from k8s_manager import retry
from k8s_manager.backends.choice import chosen_backend
from k8s_manager.controller import Controller
from k8s_manager.records import Job
from k8s_manager.settings import Settings
from k8s_manager.store import Store, open_store
from k8s_manager.workspace import Workspace
from ogcapi import overview
from ogcapi.callback_messages import CallbackMessages
from ogcapi.terminal import ERR, OUT, Config, complain
from ogcapi.watch import watch


def see_through(settings: Settings, store: Store, job: Job) -> None:
    """Show a job's progress until it ends, then its results or why there are none.

    Raises:
        typer.Exit: It did not succeed (1), or was interrupted (130).
    """
    backend, message = chosen_backend(settings), CallbackMessages(settings)
    job, interrupted = watch(Controller(settings, store, backend, message), store, job, OUT)
    if job.status != "successful":
        error = job.error or {}
        complain(f"{job.status}: {error.get('title') or job.message or 'no reason was recorded'}")
        if error.get("detail"):
            ERR.print(str(error["detail"]), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(130 if interrupted else 1)
    overview.show_results(OUT, store, Workspace(settings.workspace), job)


def retry_job(
    job_id: Annotated[str, typer.Argument(help="Job that failed or was dismissed.")],
    config: Config = None,
    wait: Annotated[
        bool, typer.Option(help="Show its progress; --no-wait leaves it to a controller.")
    ] = True,
) -> None:
    """Try a job again in a new one, which does only what is not done yet."""
    settings = Settings.load(config=config)
    store = open_store(settings.database_url, settings.workspace)
    job = retry.retry(settings, store, job_id)
    OUT.print(f"Job [bold]{job.id}[/bold] tries job [bold]{job_id}[/bold] again", soft_wrap=True)
    if not wait:
        return
    try:
        see_through(settings, store, job)
    finally:
        for part in retry.reused_steps(store.database, job.id):
            OUT.print(f"{part.step}: {len(part.indexes)} taken over from job {part.job}")
