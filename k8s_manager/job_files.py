"""The files that a job starts from and that tell a runner what to do.

What came inside a request becomes a file in the job's folder, and what the command line names is
copied there, so that a step only ever reads declared files. The configured sources are written
down as they were when the job began.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from k8s_manager import command, step_runner
from k8s_manager.backends.base import Round
from k8s_manager.cwl import Process
from k8s_manager.cwl_types import type_to_json
from k8s_manager.errors import ConfigError
from k8s_manager.fault_points import reached
from k8s_manager.input_fetching import InputUnavailable, fetch
from k8s_manager.records import Job
from k8s_manager.settings import Settings, expand
from k8s_manager.workspace import Workspace, partial_beside, write_whole

SOURCE_CONFIG = "source_config"


def job_values(settings: Settings, workspace: Workspace, job: Job, process: Process) -> Any:
    """Return the job's input values with every file in the job's folder; made once, then read.

    May take long: files are copied or fetched.

    Raises:
        OSError: A file cannot be written.
        InputUnavailable: A file that was named is gone or cannot be fetched.
        ConfigError: The configured sources cannot be read.
    """
    record = workspace.job(job.id) / "inputs.json"
    if record.exists():
        return json.loads(record.read_bytes())
    folder = workspace.job(job.id) / "inputs"
    values = {
        name: _settled(settings, workspace, folder / name, value)
        for name, value in _given(workspace, job).items()
    }
    declared = process.inputs.get(SOURCE_CONFIG)
    if declared is not None and declared.internal:
        path = folder / SOURCE_CONFIG / "sources.yml"
        write_whole(path, json.dumps(resolved_sources(settings), indent=1).encode())
        values[SOURCE_CONFIG] = _described(workspace, path)
    write_whole(record, json.dumps(values).encode())
    reached("inputs-settled")
    return values


def write_task(
    settings: Settings,
    workspace: Workspace,
    round_: Round,
    process: Process,
    values: Sequence[Mapping[str, Any]],
) -> None:
    """Write the task file of a round: the command of each of its indexes.

    Args:
        settings: Gives the limit of log files.
        workspace: Where files lie.
        round_: The round.
        process: The step's tool.
        values: Input values of each of the round's indexes, in its order.

    Raises:
        OSError: It cannot be written.
        ProcessFileError: The values do not fit the tool.
    """
    task = {
        "version": step_runner.VERSION,
        "job": round_.job,
        "step": round_.step,
        "round": round_.number,
        "epoch": round_.epoch,
        "scattered": round_.scattered,
        "time_limit_s": round_.time_limit_s,
        "ram_mb": round_.ram_mb,
        "log_limit_bytes": settings.log_limit_bytes,
        "network": round_.network,
        "in_place": _source_folders(workspace, values, in_place=True),
        "sources": _source_folders(workspace, values, in_place=False),
        "indexes": [
            _entry(workspace, round_, process, index, given)
            for index, given in zip(round_.indexes, values, strict=True)
        ],
    }
    write_whole(round_.task, json.dumps(task).encode())


def resolved_sources(settings: Settings) -> dict[str, Any]:
    """Return the configured sources with variables filled in and every root absolute.

    Raises:
        ConfigError: The file cannot be read or holds something else.
    """
    path = settings.sources or _default_sources()
    environment = {**os.environ, "CDI_HOME": str(settings.home)}
    try:
        document = yaml.safe_load(expand(path.read_text(encoding="utf-8"), environment))
    except OSError as error:
        raise ConfigError(f"sources {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"sources {path} is not valid YAML: {error}") from error
    sources = document.get("sources") if isinstance(document, dict) else None
    if not isinstance(sources, list) or not all(isinstance(item, dict) for item in sources):
        raise ConfigError(f"sources {path}: expected a list under 'sources'")
    for source in sources:
        if source.get("root"):
            source["root"] = os.path.normpath(path.parent / Path(source["root"]).expanduser())
    return dict(document)


def _default_sources() -> Path:
    found = importlib.util.find_spec("processes")
    if found is None or not found.submodule_search_locations:
        raise ConfigError("CDI_SOURCES is not set and the package 'processes' is not installed")
    return Path(found.submodule_search_locations[0]) / "ingest" / "sources.yml"


def _given(workspace: Workspace, job: Job) -> dict[str, Any]:
    """Return the values of a request; of a retry with the files as the job before had them."""
    given = dict(job.request["values"])
    if job.retry_of is not None:
        try:
            earlier = json.loads((workspace.job(job.retry_of) / "inputs.json").read_bytes())
        except OSError:  # it came to its end before it had its files
            return given
        given = {name: earlier.get(name, value) for name, value in given.items()}
    return given


def _settled(settings: Settings, workspace: Workspace, folder: Path, value: Any) -> Any:
    """Return a value whose files lie in `folder`."""
    if isinstance(value, list):
        items = enumerate(value)
        return [_settled(settings, workspace, folder / str(n), item) for n, item in items]
    if not isinstance(value, Mapping):
        return value
    if value.get("class") not in ("File", "Directory"):
        return {
            key: _settled(settings, workspace, folder / key, item) for key, item in value.items()
        }
    location = str(value.get("location") or "")
    path = folder / (Path(str(value.get("basename") or location)).name or "file")
    if "contents" in value:
        write_whole(path, value["contents"].encode())
    elif "contents_base64" in value:
        write_whole(path, base64.b64decode(value["contents_base64"]))
    elif location.startswith(("file://", "workspace:")):
        _copy(workspace.path(location), path)
    elif location.startswith(("https://", "http://")):
        fetch(location, path, settings.outside, value.get("mediaTypes", ()))
    else:
        return dict(value)
    return _described(workspace, path)


def _copy(source: Path, target: Path) -> None:
    """Copy by content: the original may change while the job runs."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        raise InputUnavailable(f"{source} does not exist any more")
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
        return
    partial = partial_beside(target)
    shutil.copyfile(source, partial)
    partial.replace(target)


def _described(workspace: Workspace, path: Path) -> dict[str, Any]:
    described: dict[str, Any] = {
        "class": "Directory" if path.is_dir() else "File",
        "location": workspace.location(path),
        "basename": path.name,
    }
    if path.is_dir():
        listing = [_described(workspace, entry) for entry in sorted(path.iterdir())]
        return described | {"listing": listing}
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return described | {"checksum": f"sha256${digest}", "size": path.stat().st_size}


def _source_folders(
    workspace: Workspace, values: Sequence[Mapping[str, Any]], in_place: bool
) -> list[str]:
    """Return the folders of sources that a step reads.

    Args:
        workspace: Where the job's source file lies.
        values: Input values of each of the round's indexes.
        in_place: Those of which it may name files without copying them, or the others.
    """
    given = values[0].get(SOURCE_CONFIG) if values else None
    if not isinstance(given, Mapping):
        return []
    document = yaml.safe_load(workspace.path(given["location"]).read_bytes())
    return [
        source["root"]
        for source in document["sources"]
        if source.get("root") and (source.get("copy") is False) == in_place
    ]


def _entry(
    workspace: Workspace, round_: Round, process: Process, index: int, values: Mapping[str, Any]
) -> dict[str, Any]:
    invocation = command.build(process, values, cores=round_.cores, ram_mb=round_.ram_mb)
    return {
        "index": index,
        "argv": list(invocation.argv),
        "env": dict(invocation.env),
        "stdout": invocation.stdout,
        "inputs": [
            {
                "path": workspace.relative(link.location),
                "basename": link.basename,
                "checksum": link.checksum,
            }
            for link in invocation.inputs
        ],
        "staged": [list(item) for item in invocation.staged],
        "outputs": {
            name: {"type": type_to_json(spec.type), "glob": list(spec.glob)}
            for name, spec in invocation.outputs.items()
        },
    }
