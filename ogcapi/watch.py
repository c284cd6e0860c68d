"""Watching one job from the command line: a bar where there is a terminal, lines elsewhere."""

from __future__ import annotations

import signal

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from k8s_manager.controller import Controller
from k8s_manager.records import Job
from k8s_manager.store import Store


def watch(controller: Controller, store: Store, job: Job, console: Console) -> tuple[Job, bool]:
    """Show a job's progress until it ends; runs the controller here if nobody else does.

    Ctrl-C or SIGTERM dismisses the job.

    Returns:
        The job as it ended, and whether it was interrupted.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        show = _with_bar if console.is_terminal else _with_lines
        return show(controller, job, console), False
    except KeyboardInterrupt:
        console.print("Interrupted; dismissing the job.")
        store.request_dismiss(job.id)
        return controller.run_until(job.id, lambda _job: None), True


def _with_bar(controller: Controller, job: Job, console: Console) -> Job:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(job.status, total=100)

        def update(current: Job) -> None:
            progress.update(task, completed=current.progress, description=escape(current.message))

        return controller.run_until(job.id, update)


def _with_lines(controller: Controller, job: Job, console: Console) -> Job:
    shown = ""

    def update(current: Job) -> None:
        nonlocal shown
        line = f"{current.progress:3d} %  {current.message}"
        if line != shown:
            console.print(line, markup=False, highlight=False)
            shown = line

    return controller.run_until(job.id, update)
