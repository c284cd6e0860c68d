"""The command line ``cdi``: run processes without a server, serve, look at jobs and releases."""

from __future__ import annotations

import json
import logging
import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.markup import escape
from rich.table import Table

from k8s_manager import acceptance, controller_metrics
from k8s_manager.backends.choice import chosen_backend
from k8s_manager.controller import Controller
from k8s_manager.errors import CdiError, ConfigError
from k8s_manager.job_logs import Selection
from k8s_manager.records import FINAL, JobFilter
from k8s_manager.registry import Registry
from k8s_manager.settings import Settings, read_config
from k8s_manager.store import Store
from k8s_manager.workspace import Workspace
from ogcapi import cache_commands, log_printing, overview, token_commands
from ogcapi.callback_messages import CallbackMessages
from ogcapi.check_command import check_deployment
from ogcapi.job_commands import retry_job, see_through
from ogcapi.metadata import check_metadata
from ogcapi.terminal import OUT, Config, explained

app = typer.Typer(
    name="cdi",
    help="Copernicus Data Infrastructure NRW: watch meadow orchards from open data.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
jobs_app = typer.Typer(
    help="List, show, dismiss and retry jobs; print their logs.", invoke_without_command=True
)
app.add_typer(jobs_app, name="jobs")
datasets_app = typer.Typer(
    help="Show the current releases; roll one back.", invoke_without_command=True
)
app.add_typer(datasets_app, name="datasets")
app.add_typer(cache_commands.app, name="cache")
app.add_typer(token_commands.app, name="tokens")
jobs_app.command("retry")(retry_job)
app.command("check")(check_deployment)


@app.command()
def run(
    process: Annotated[str, typer.Argument(help="Process id; see [bold]cdi processes[/bold].")],
    inputs: Annotated[
        Path,
        typer.Option(
            "--inputs",
            "-i",
            help="JSON or YAML file: an execute request, or just the inputs. "
            "Files are named as {class: File, path: ...}, relative to this file.",
        ),
    ],
    config: Config = None,
    owner: Annotated[str, typer.Option(help="Owner written to the job's record.")] = "local",
    unless_released: Annotated[
        bool, typer.Option(help="Do nothing when the dataset has a release already.")
    ] = False,
) -> None:
    """Run any process without a server, and show its progress and its results."""
    settings = _settings(config)
    store = _store(settings)
    process_ = _registry(settings).get(process)
    new = acceptance.accept(settings, process_, _request(inputs), owner=owner, trusted=True)
    dataset = new.request["values"].get("dataset")
    if unless_released and dataset in store.current_releases():
        OUT.print(f"Dataset [bold]{dataset}[/bold] has a release already; nothing to do.")
        return
    job = store.create_job(new)
    OUT.print(f"Job [bold]{job.id}[/bold] of process [bold]{process}[/bold]")
    see_through(settings, store, job)


@app.command()
def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (CDI_HOST).")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port (CDI_PORT); a taken one is named.", min=1, max=65535)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Web workers (CDI_WORKERS).", min=1, max=64)
    ] = None,
    controller: Annotated[
        bool, typer.Option(help="Keep a controller beside the web workers.")
    ] = True,
) -> None:
    """Serve the processes and the results over HTTP, with a controller beside."""
    from dataclasses import replace

    from ogcapi import serve as supervisor

    settings = _settings(config)
    given: dict[str, Any] = {"host": host, "port": port, "workers": workers}
    settings = replace(settings, **{key: value for key, value in given.items() if value})
    if not 1 <= settings.port <= 65535 or settings.workers < 1:
        raise ConfigError(
            f"CDI_PORT is {settings.port} and CDI_WORKERS {settings.workers}; "
            "expected a port from 1 to 65535 and at least one worker"
        )
    check_metadata(read_config(settings.config), settings.config)
    _store(settings).close()
    _registry(settings)

    def say(line: str) -> None:
        OUT.print(line, highlight=False)

    run = run_controller if controller else None
    raise typer.Exit(supervisor.serve(settings, controller=run, say=say))


@app.command()
def controller(config: Config = None) -> None:
    """Run the controller alone: it starts the steps of accepted jobs and sees them through."""
    run_controller(_settings(config))


def run_controller(settings: Settings) -> None:
    """Run a controller until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it names each of its plug-ins
    controller_metrics.listen(settings)
    message = CallbackMessages(settings)
    Controller(settings, _store(settings), chosen_backend(settings), message).run(stop)


@app.command()
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; succeed once it has been done.")
    ] = False,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the database, or for who migrates it.", min=0)
    ] = 0.0,
    config: Config = None,
) -> None:
    """Bring the tables of the job store up to date; harmless when they are."""
    from k8s_manager.migrations.upgrade import await_upgrade

    store = Store(_settings(config).database_url)

    def say(line: str) -> None:
        OUT.print(line, markup=False, highlight=False, soft_wrap=True)

    await_upgrade(store.database, upgrading=not check, wait_s=wait, say=say)
    say("The tables of the job store are up to date.")


@app.command()
def processes(
    process: Annotated[str | None, typer.Argument(help="Show one process in full.")] = None,
    config: Config = None,
) -> None:
    """List the processes, or describe one with its inputs and outputs."""
    registry = _registry(_settings(config))
    if process is not None:
        overview.show_process(OUT, registry.get(process))
        return
    table = Table("Process", "Version", "What it does", box=None)
    for entry in sorted(registry.processes.values(), key=lambda item: item.id):
        table.add_row(entry.id, entry.version, entry.title)
    OUT.print(table)


@jobs_app.callback()
def jobs(
    context: typer.Context,
    config: Config = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=1000)] = 20,
) -> None:
    """List the newest jobs."""
    if context.invoked_subcommand is not None:
        return
    store = _store(_settings(config))
    page = store.jobs(JobFilter(), limit=limit, after=None)
    table = Table(box=None, pad_edge=False)
    table.add_column("Job", no_wrap=True, min_width=32)  # whole: it is what the next command takes
    table.add_column("Status", no_wrap=True, min_width=len("running 99 %"))
    table.add_column("Created", no_wrap=True)
    table.add_column("Process and message", overflow="fold", min_width=len("orchard-monitoring:"))
    for job in store.queue.shown(page.jobs):
        status = "dismissed" if job.removed else job.status
        shown = f"{status} {job.progress} %" if status == "running" else status
        created = job.created[5:16].replace("T", " ")  # newest first: the year is seldom in doubt
        table.add_row(job.id, shown, created, escape(f"{job.process_id}: {job.message}"))
    OUT.print(table)
    if not page.jobs:
        OUT.print("No jobs yet.")


@jobs_app.command("show")
def show_job(job_id: Annotated[str, typer.Argument(help="Job id.")], config: Config = None) -> None:
    """Show one job with its steps, their attempts and its results."""
    settings = _settings(config)
    store = _store(settings)
    [job] = store.queue.shown([store.job(job_id)])
    overview.show_job(OUT, store, Workspace(settings.workspace), job)


@jobs_app.command("logs")
def job_logs(
    job_id: Annotated[str, typer.Argument(help="Job id.")],
    step: Annotated[str | None, typer.Option(help="Only this step.")] = None,
    index: Annotated[int | None, typer.Option(help="Only this index.", min=0)] = None,
    attempt: Annotated[str | None, typer.Option(help="Only this attempt.")] = None,
    stream: Annotated[
        str | None, typer.Option(help="Only this stream: stdout, stderr or runner.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
    config: Config = None,
) -> None:
    """Print what the programs of a job wrote, also while they run."""
    settings = _settings(config)
    wanted = Selection(step, index, attempt, stream)
    log_printing.print_logs(_store(settings), Workspace(settings.workspace), job_id, wanted, follow)


@jobs_app.command("dismiss")
def dismiss_job(
    job_id: Annotated[str, typer.Argument(help="Job id.")], config: Config = None
) -> None:
    """Cancel a job, or remove the results of a finished one; releases stay."""
    store = _store(_settings(config))
    job = store.job(job_id)
    job = store.remove(job_id) if job.status in FINAL else store.request_dismiss(job_id)
    OUT.print(f"Job {job.id}: {'results removed' if job.removed else 'dismissal recorded'}.")


@datasets_app.callback()
def datasets(context: typer.Context, config: Config = None) -> None:
    """Show what the current release of each dataset says."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings(config)
    overview.show_datasets(OUT, _store(settings), Workspace(settings.workspace), settings)


@datasets_app.command("rollback")
def rollback(
    dataset: Annotated[str, typer.Argument(help="Dataset name.")],
    version: Annotated[str, typer.Argument(help="Version to make current, for example 000001.")],
    config: Config = None,
) -> None:
    """Make an earlier release of a dataset the current one."""
    _store(_settings(config)).rollback(dataset, version)
    OUT.print(f"Dataset {dataset} now shows release {version}.")


def main() -> None:
    """Run the command line; an error that a person can do something about becomes one sentence."""
    explained(app)


def _settings(config: Path | None) -> Settings:
    return Settings.load(config=config)


def _store(settings: Settings) -> Store:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        advice = "name a folder that can be made and written to in CDI_HOME"
        raise ConfigError(f"{error.filename}: {error.strerror}; {advice}") from error
    store = Store(settings.database_url)
    store.migrate()
    return store


def _registry(settings: Settings) -> Registry:
    return Registry.from_config(read_config(settings.config), settings)


def _request(path: Path) -> dict[str, Any]:
    """Read an execute request, or bare inputs; file paths become addresses."""
    try:
        text = path.read_text(encoding="utf-8")
        body = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise CdiError(f"inputs {path} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise CdiError(f"inputs {path} cannot be read: nested too deeply") from error
    except (ValueError, yaml.YAMLError) as error:
        raise CdiError(f"inputs {path} cannot be read: {error}") from error
    if not isinstance(body, dict):
        raise CdiError(f"inputs {path}: expected an object of inputs by name")
    body = body if "inputs" in body else {"inputs": body}
    body["inputs"] = _with_addresses(body["inputs"], path.absolute().parent)
    return body


def _with_addresses(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        if value.get("class") in ("File", "Directory") and isinstance(value.get("path"), str):
            return {"href": (folder / value["path"]).resolve().as_uri()}
        return {key: _with_addresses(entry, folder) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_addresses(entry, folder) for entry in value]
    return value


if __name__ == "__main__":
    main()
