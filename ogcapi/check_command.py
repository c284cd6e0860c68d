"""``cdi check``: whether a deployment is complete, and what to do where it is not."""

from __future__ import annotations

import logging
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from k8s_manager.checks.deployment import check
from k8s_manager.checks.finding import FAILED, NOTE, OK, Finding, failed
from k8s_manager.errors import ConfigError
from k8s_manager.settings import Settings
from ogcapi.terminal import OUT, Config

_MARKS = {OK: "[green]ok[/green]", NOTE: "[yellow]note[/yellow]", FAILED: "[red]failed[/red]"}


def check_deployment(
    config: Config = None,
    probe: Annotated[
        bool, typer.Option(help="Start a pod for each image; it does nothing and is removed.")
    ] = True,
    wait: Annotated[
        float, typer.Option(help="Seconds that such a pod may take, pulling included.", min=1)
    ] = 300.0,
) -> None:
    """Check a deployment: configuration, database, workspace, and the cluster with its images."""
    logging.getLogger("k8s_manager").setLevel(logging.CRITICAL)  # the findings say the same
    findings: list[Finding] = []
    try:
        settings = Settings.load(config=config)
        with OUT.status("checking") as status:
            for found in check(settings, probe=probe, probe_wait_s=wait):
                findings.append(found)
                status.update(f"checked: {escape(found.what)}")
    except ConfigError as error:
        findings.append(failed("configuration", str(error), "correct it (docs/settings.md)"))
    OUT.print(_table(findings))
    number = sum(found.state == FAILED for found in findings)
    if number:
        OUT.print(f"{number} of {len(findings)} checks failed.")
        raise typer.Exit(1)
    OUT.print("All is well." if all(found.state == OK for found in findings) else "Jobs can run.")


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for title in ("What", "Found", "What to do"):
        table.add_column(title, overflow="fold")
    for found in findings:
        texts = (found.what, found.found, found.advice)
        table.add_row(_MARKS[found.state], *(escape(text) for text in texts))
    return table
