"""Checks of a whole deployment, in the order in which the parts need each other."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k8s_manager.checks.finding import FAILED, Finding, failed, note, ok
from k8s_manager.database import Database
from k8s_manager.errors import CdiError, ConfigError
from k8s_manager.job_files import resolved_sources
from k8s_manager.migrations.upgrade import missing_revision
from k8s_manager.registry import Registry
from k8s_manager.settings import Settings, read_config

SCARCE_BYTES = 10 * 10**9
"""Free space of the workspace below which it is said: one area of 10 km2 takes about 1 GB."""
SKEW_S = 5.0
"""Seconds that the clocks of this machine and of the database may differ: pauses before another
try are told by this one, the lease by the other."""


def check(settings: Settings, *, probe: bool, probe_wait_s: float) -> Iterator[Finding]:
    """Look at everything that the settings name; a part that fails hides only what needs it.

    Args:
        settings: The deployment's.
        probe: Start a pod for each image, on the Kubernetes backend.
        probe_wait_s: How long such a pod may take to its end.
    """
    try:
        registry = Registry.from_config(read_config(settings.config), settings)
    except ConfigError as error:
        yield failed("processes", str(error), f"correct {settings.config} or the file it names")
        return
    names = ", ".join(sorted(registry.processes)) or "none"
    yield ok("processes", f"{names} ({settings.config})")
    yield from _database(settings)
    workspace = _workspace(settings)
    yield workspace
    yield from _sources(settings)
    if settings.backend == "kubernetes":
        from k8s_manager.checks import cluster  # 50 MB of client, where wanted

        usable = workspace.state != FAILED
        yield from cluster.check(
            settings, registry, usable=usable, probe=probe, probe_wait_s=probe_wait_s
        )
    else:
        yield ok("backend", f"local: {settings.local_slots} steps at once on this machine")


def _database(settings: Settings) -> Iterator[Finding]:
    what = "database"
    try:
        database = Database(settings.database_url)
        if not database.exists:
            yield ok(what, f"{database.place} will be made at the first start")
            return
        asked = time.time()
        with database.read() as connection:
            skew = database.now(connection) - (asked + time.time()) / 2
        missing = missing_revision(database)
        database.close()
    except CdiError as error:
        yield failed(what, str(error), "start it, or correct CDI_DATABASE_URL")
        return
    if missing:
        yield failed(what, f"{database.place}: {missing}", "run `cdi migrate`")
    else:
        yield ok(what, f"{database.place} is reachable and up to date")
    if abs(skew) > SKEW_S:
        yield failed(
            "clocks", f"this machine and the database differ by {skew:.1f} s", "set both by NTP"
        )


def _workspace(settings: Settings) -> Finding:
    folder = settings.workspace
    what = f"workspace {folder}"
    made = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=made) as stream:
            stream.write(b"x")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        advice = f"let user {os.geteuid()} write there, or name another folder in CDI_WORKSPACE"
        return failed(what, f"{made} cannot be written to: {error.strerror}", advice)
    if made != folder and settings.backend == "kubernetes":
        advice = "mount the volume of CDI_KUBERNETES_CLAIM there, or correct CDI_WORKSPACE"
        return failed(what, "is not there", advice)
    free = shutil.disk_usage(made).free
    found = f"writable, {free / 10**9:.1f} GB free"
    if free < SCARCE_BYTES:
        return note(what, found, "make room: `cdi cache prune`, or a larger volume")
    return ok(what, found)


def _sources(settings: Settings) -> Iterator[Finding]:
    try:
        sources: list[dict[str, Any]] = resolved_sources(settings)["sources"]
    except ConfigError as error:
        yield failed("sources", str(error), "correct CDI_SOURCES or the file it names")
        return
    troubles = [found for source in sources for found in _of_source(source, settings)]
    yield from troubles
    if not troubles:
        yield ok("sources", ", ".join(str(source.get("name")) for source in sources) or "none")


def _of_source(source: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    what = f"source {source.get('name')}"
    if secret := source.get("secret"):
        folder = settings.secrets_dir
        if folder is None:
            yield failed(what, f"needs the secret {secret}", "set CDI_SECRETS_DIR")
        elif not os.access(folder / str(secret), os.R_OK):
            found = f"its secret {folder / str(secret)} cannot be read"
            yield failed(what, found, "put it there, readable for this user")
    if not (root := source.get("root")):
        return
    if settings.backend == "kubernetes":
        claims = settings.kubernetes.source_claims
        if not any(f"{root}/".startswith(f"{held}/") for held in claims):
            advice = "name the claim that holds it in CDI_KUBERNETES_SOURCE_CLAIMS"
            yield note(what, f"steps in the cluster cannot see {root}", advice)
    elif not os.access(root, os.R_OK | os.X_OK) or not Path(root).is_dir():
        yield note(what, f"folder {root} cannot be read", "mount it, or requests must not name it")
