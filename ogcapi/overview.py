"""Tables for the command line: what a release says, what a job did, what a process takes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from k8s_manager import description
from k8s_manager.cwl import Process
from k8s_manager.records import AttemptRecord, Job
from k8s_manager.retry import retries_of, reused_steps
from k8s_manager.settings import Settings
from k8s_manager.store import Store
from k8s_manager.workspace import Workspace


def show_results(console: Console, store: Store, workspace: Workspace, job: Job) -> None:
    """Show a successful job's result files, and what its summary says if it has one."""
    results = job.results or {}
    table = Table("Output", Column("Value", overflow="fold"), box=None)
    for name, value in results.items():
        for item in value if isinstance(value, list) else [value]:
            table.add_row(name, escape(_place(workspace, item)))
    console.print(table)
    summary = results.get("summary")
    if isinstance(summary, dict) and summary.get("class") == "File":
        document = json.loads(workspace.path(summary["location"]).read_text(encoding="utf-8"))
        if isinstance(document.get("objects"), dict):  # the chain's; other processes have their own
            show_summary(console, document, core_seconds(store, job.id))


def show_datasets(console: Console, store: Store, workspace: Workspace, settings: Settings) -> None:
    """Show what the current release of each dataset says."""
    current = store.current_releases()
    for name, release in sorted(current.items()):
        console.print(f"[bold]{name}[/bold], release {release.version} of {release.created[:19]}")
        path = workspace.path(release.path) / "summary.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        show_summary(console, document, core_seconds(store, release.job))
    for name in sorted(set(settings.datasets) - set(current)):
        console.print(f"[bold]{name}[/bold]: no release yet")


def show_summary(console: Console, summary: dict[str, Any], seconds: float) -> None:
    """Show objects by verdict and main reason, trees, km² and what the run cost."""
    objects = summary["objects"]
    if summary.get("test_bench"):
        console.print("[yellow]Test bench: a made-up landscape, not a real place.[/yellow]")
    table = Table("Verdict", "Main reason", "Objects", box=None)
    for verdict, count in objects["by_verdict"].items():
        table.add_row(verdict, "", str(count), style="bold")
        for reason, number in (objects.get("by_verdict_reason", {}).get(verdict) or {}).items():
            table.add_row("", reason, str(number))
    console.print(table)
    area = float(summary.get("run_area_km2") or summary["area_km2"])
    cost = f", {seconds / area:.1f} core-seconds per km²" if area and seconds else ""
    console.print(
        f"{summary['trees']} trees, {summary['candidates']} candidates, {area:.2f} km²{cost}",
        highlight=False,
    )


def show_job(console: Console, store: Store, workspace: Workspace, job: Job) -> None:
    """Show a job with its steps and results."""
    console.print(f"[bold]{job.id}[/bold]  {job.process_id}  {job.status}  {job.progress} %")
    console.print(job.message, markup=False)
    if job.retry_of:
        console.print(f"Tries job {job.retry_of} again.")
    reused: Counter[str] = Counter()
    for part in reused_steps(store.database, job.id):
        reused[part.step] += len(part.indexes)
    table = Table("Step", "State", "%", "Done", "Of", "Reused", "Started", "Finished", box=None)
    for step in store.steps(job.id):
        numbers = (f"{100 * step.progress:.0f}", str(step.done), str(step.total or "?"))
        times = (_moment(step.started), _moment(step.finished))
        table.add_row(step.step, step.state, *numbers, str(reused[step.step] or ""), *times)
    console.print(table)
    show_attempts(console, store.attempts(job.id))
    for newer in retries_of(store.database, job.id):
        console.print(f"Tried again by job {newer}.")
    if job.error:
        text = f"{job.error.get('title', '')}: {job.error.get('detail', '')}"
        console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    if job.status == "successful" and job.why_files_are_gone is None:
        show_results(console, store, workspace, job)


def show_attempts(console: Console, attempts: Sequence[AttemptRecord]) -> None:
    """Show what each ended attempt was: how it ended, what it took."""
    titles = ("Step", "Index", "Round", "Verdict", "Reason", "Exit", "Signal", "Started", "Ended")
    numbers = (Column("CPU s", justify="right"), Column("Peak MB", justify="right"))
    table = Table(*titles, *numbers, "Image", Column("Attempt", no_wrap=True), box=None)
    for attempt in attempts:
        document = attempt.document or {}
        where = (attempt.step, str(attempt.index), str(attempt.round), attempt.verdict)
        members = ("reason", "exit_code", "signal")
        ending = [_text(document.get(member)) for member in members]
        times = [_moment(document.get(member)) for member in ("started", "ended")]
        usage = [_text(document.get(member)) for member in ("cpu_s", "ram_peak_mb")]
        image = _text(document.get("image_digest"))[-12:]
        table.add_row(*where, *map(escape, ending), *times, *usage, image, attempt.attempt)
    if attempts:
        console.print(table)


def show_process(console: Console, process: Process) -> None:
    """Show a process with its inputs and outputs."""
    document = description.describe(process)
    console.print(f"[bold]{process.id}[/bold] {process.version}: {process.title}")
    console.print(_flowing(document.get("description", "")), markup=False, highlight=False)
    table = Table("Input", "Required", "Default", "Meaning", box=None)
    for name, entry in document["inputs"].items():
        default = entry["schema"].get("default", "")
        required = "yes" if entry.get("minOccurs", 1) else ""
        meaning = ": ".join(text for text in (entry.get("title"), entry.get("description")) if text)
        table.add_row(name, required, escape(str(default)), escape(_flowing(meaning)))
    console.print(table)
    table = Table("Output", "Meaning", box=None)
    for name, entry in document["outputs"].items():
        table.add_row(name, escape(entry.get("title", "")))
    console.print(table)


def _flowing(text: str) -> str:
    """Undo the line breaks within paragraphs: the terminal has its own width."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())


def _moment(time: str | None) -> str:
    return (time or "")[:19].replace("T", " ")


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def core_seconds(store: Store, job_id: str) -> float:
    """Return the CPU seconds of all attempts of a job, also those that were not committed."""
    return sum(
        float((attempt.document or {}).get("cpu_s") or 0.0) for attempt in store.attempts(job_id)
    )


def _place(workspace: Workspace, value: Any) -> str:
    if isinstance(value, dict) and "location" in value:
        path = workspace.path(value["location"])
        return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    return json.dumps(value, ensure_ascii=False)
