"""How a dataset gets a new version: readers see the old release or the new one, never half.

The folder is put together beside its place, then renamed and switched to in one transaction that
counts only if the release that the publishing step started from is still the current one. If
another came in between, the step runs again on that one, so that both are in the result.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from k8s_manager import judge, schema
from k8s_manager.cwl import Process
from k8s_manager.cwl_types import Primitive, required
from k8s_manager.database import Database
from k8s_manager.dataset_fit import request_misfits
from k8s_manager.errors import InvalidInputs, Violation
from k8s_manager.fault_points import reached
from k8s_manager.ledger import Judged, Ledger, write_judged
from k8s_manager.plan import Plan, with_defaults
from k8s_manager.records import version_text
from k8s_manager.settings import Settings
from k8s_manager.workspace import Workspace, copy_tree, remove_tree

RELEASE = "release"
DATASET = "dataset"
PREVIOUS = "previous"


def check_dataset(settings: Settings, process: Process, values: Mapping[str, Any]) -> None:
    """Refuse a request whose release could not be published.

    Args:
        settings: Names the datasets, their writers, CRS and area.
        process: The process to execute.
        values: Its input values; what is missing has its default.

    Raises:
        InvalidInputs: The dataset is not configured, not for this process, has another CRS or does
            not cover the box of the run.
    """
    own = sorted(_written_by(settings, process.id))
    given = with_defaults(process, values)
    name = given.get(DATASET)
    if not own or name is None:
        return
    if name not in own:
        expected = "one of " + ", ".join(own)
        raise InvalidInputs([Violation(DATASET, f"/inputs/{DATASET}", expected, repr(name))])
    misfits = list(request_misfits(settings.datasets[name], given))
    if misfits:
        raise InvalidInputs(misfits)


def can_publish(settings: Settings, process: Process) -> bool:
    """Tell whether a process gives a release and may write a dataset, so that jobs may publish."""
    output = process.outputs.get(RELEASE)
    gives = output is not None and required(output.type) == Primitive("Directory")
    return gives and bool(_written_by(settings, process.id))


def dataset_of(settings: Settings, process: Process, values: Mapping[str, Any]) -> str | None:
    """Return the dataset that a job publishes to; None when its outputs stay its own."""
    if not can_publish(settings, process):
        return None
    name = with_defaults(process, values).get(DATASET)
    return name if name in _written_by(settings, process.id) else None


def publishing_step(plan: Plan) -> str:
    """Return the step that gives the output `release`."""
    if plan.process.tool is not None:
        return next(iter(plan.steps))
    return plan.process.outputs[RELEASE].sources[0].partition("/")[0]


def current_version(database: Database, dataset: str) -> int | None:
    """Return the number of the dataset's current release."""
    with database.read() as connection:
        return _current(connection, dataset)


def previous_value(workspace: Workspace, dataset: str, version: int | None) -> Any:
    """Return the input `previous` for a step that starts from that release."""
    if version is None:
        return None
    name = version_text(version)
    return {
        "class": "Directory",
        "location": workspace.location(workspace.release(dataset, name)),
        "basename": name,
    }


def publish(
    ledger: Ledger,
    workspace: Workspace,
    dataset: str,
    base: int | None,
    job_id: str,
    judged: Judged,
) -> bool:
    """Make the release that a publishing step wrote the current one, and commit its attempt.

    Returns:
        False when another release became current since the step started from `base`; then the
        attempt is written down as superseded.

    Raises:
        LeaseLost: Another controller has taken over.
        OSError: The folder cannot be made; nothing has changed.
    """
    written = dict(judged.document or {})["outputs"][RELEASE]
    # Named by the epoch too: a controller that was stopped here and goes on after another has taken
    # over deletes its own copy and not that of the other.
    staged = _staging(workspace, dataset, f"{job_id}-{judged.attempt}-{ledger.epoch}")
    remove_tree(staged)
    try:
        copy_tree(workspace.path(written["location"]), staged)
        reached("release-copied")
        with ledger.write() as connection:
            switched = _switch(connection, workspace, staged, dataset, base, job_id, judged)
        reached("release-switched")
        return switched
    finally:
        remove_tree(staged)
        _remove_replaced(workspace, dataset)


def remove_staged(workspace: Workspace, job_id: str) -> None:
    """Remove what a controller that was killed left of a job's half-made releases."""
    for folder in (workspace.root / "releases").glob(f"*/.new-{job_id}-*"):
        remove_tree(folder)


def _switch(
    connection: Connection,
    workspace: Workspace,
    staged: Path,
    dataset: str,
    base: int | None,
    job_id: str,
    judged: Judged,
) -> bool:
    if _current(connection, dataset, lock=True) != base:
        write_judged(connection, job_id, replace(judged, verdict=judge.SUPERSEDED))
        return False
    table = schema.releases
    newest = connection.execute(
        select(func.max(table.c.version)).where(table.c.dataset == dataset)
    ).scalar()
    version = (newest or 0) + 1
    target = workspace.release(dataset, version_text(version))
    if target.exists():
        # Left by a controller that was killed between renaming and committing. It is safe to
        # move away here: nobody else can commit while this transaction holds the lease's row.
        target.rename(_staging(workspace, dataset, f"replaced-{time.time_ns()}"))
    staged.rename(target)
    reached("release-renamed")
    connection.execute(
        insert(table).values(
            dataset=dataset,
            version=version,
            path=workspace.location(target),
            created=time.time(),
            job_id=job_id,
            previous=base,
        )
    )
    pointer = schema.datasets
    if base is None:
        connection.execute(insert(pointer).values(dataset=dataset, version=version))
    else:
        connection.execute(
            update(pointer).where(pointer.c.dataset == dataset).values(version=version)
        )
    counter = schema.counters
    connection.execute(
        update(counter).where(counter.c.name == "generation").values(value=counter.c.value + 1)
    )
    write_judged(connection, job_id, judged)
    return True


def _current(connection: Connection, dataset: str, lock: bool = False) -> int | None:
    query = select(schema.datasets.c.version).where(schema.datasets.c.dataset == dataset)
    return connection.execute(query.with_for_update() if lock else query).scalar()


def _written_by(settings: Settings, process_id: str) -> set[str]:
    return {name for name, item in settings.datasets.items() if process_id in item.writers}


def _staging(workspace: Workspace, dataset: str, name: str) -> Path:
    return workspace.release(dataset, f".new-{name}")


def _remove_replaced(workspace: Workspace, dataset: str) -> None:
    for folder in (workspace.root / "releases" / dataset).glob(".new-replaced-*"):
        with contextlib.suppress(OSError):  # the next release tries again
            remove_tree(folder)
