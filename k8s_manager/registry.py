"""The processes that a configuration names, loaded once and checked before anything is served."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import processes
from k8s_manager.cwl import load_process
from k8s_manager.cwl_model import Process
from k8s_manager.description import input_schema
from k8s_manager.errors import ConfigError, ProcessFileError, UnknownProcess
from k8s_manager.schema_check import violations
from k8s_manager.schema_keywords import schema_problem
from k8s_manager.settings import Settings

PROCESSOR = "k8s_manager.processor.CwlProcessor"
_MARKER = "cdi-nrw"


class Registry:
    """Processes by id."""

    def __init__(self, found: Mapping[str, Process]) -> None:
        self.processes = dict(found)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], settings: Settings) -> Registry:
        """Load every process that the configuration's ``resources`` name.

        Args:
            config: A pygeoapi configuration.
            settings: Knows the file that the configuration was read from.

        Raises:
            ConfigError: A file is missing or wrong, or another package named ``processes`` is
                installed.
        """
        check_marker()
        found = {}
        for name, resource in (config.get("resources") or {}).items():
            processor = resource.get("processor") if isinstance(resource, Mapping) else None
            if isinstance(processor, Mapping) and processor.get("name") == PROCESSOR:
                found[name] = load_resource(name, processor, settings.config)
        return cls(found)

    def get(self, process_id: str) -> Process:
        """Return a process.

        Raises:
            UnknownProcess: There is none of that id; the message names those that exist.
        """
        try:
            return self.processes[process_id]
        except KeyError:
            known = ", ".join(sorted(self.processes)) or "none"
            raise UnknownProcess(
                f"there is no process {process_id!r}; configured are {known}"
            ) from None


def load_resource(name: str, processor: Mapping[str, Any], config: Path) -> Process:
    """Load the process of one entry under ``resources``.

    Args:
        name: The entry's key, which is the process id.
        processor: Its ``processor`` section with ``cwl``.
        config: The configuration file.

    Raises:
        ConfigError: The file is missing, wrong, or describes a process of another id.
    """
    if not isinstance(processor.get("cwl"), str):
        raise ConfigError(f"process {name}: `processor` needs `cwl`, the path of a CWL file")
    process = load_process(find(name, processor["cwl"], config))
    if process.id != name:
        advice = f"name the resource {process.id!r}, or change `id` in the file"
        if process.id.replace("_", "-") == name.replace("_", "-"):
            advice = "hyphens and underscores differ; " + advice
        raise ConfigError(f"process {name}: {process.path} has the id {process.id!r}; {advice}")
    check_schemas(process)
    return process


def find(name: str, given: str, config: Path) -> Path:
    """Return the file that a ``cwl`` entry means.

    A relative path is looked up beside the configuration file, then in the current folder, then
    among the installed packages.

    Raises:
        ConfigError: It is in none of them; the message names all three.
    """
    path = Path(given)
    if path.is_absolute():
        candidates = [path]
    else:
        installed = Path(processes.__file__ or "").parent.parent
        candidates = [folder / path for folder in (config.absolute().parent, Path.cwd(), installed)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    raise ConfigError(f"process {name}: CWL file {given} not found; looked for {tried}")


def check_schemas(process: Process) -> None:
    """Check what CWL cannot: that each ``ogc:schema`` is one, and that defaults keep to it.

    Raises:
        ProcessFileError: One is not usable.
    """
    problem = schema_problem(process.schema)
    if problem:
        raise ProcessFileError(f"{process.path}: ogc:schema{problem}")
    for declared in process.inputs.values():
        place = f"{process.path}: inputs.{declared.id}.ogc:schema"
        schema = input_schema(declared)
        problem = schema_problem(schema)
        if problem:
            raise ProcessFileError(f"{place}{problem}")
        if "default" in schema:
            for pointer, expected, got in violations(schema, schema["default"]):
                raise ProcessFileError(
                    f"{place}: the default{pointer} breaks it: expected {expected}, got {got}"
                )
    for output in process.outputs.values():
        problem = schema_problem(output.schema)
        if problem:
            raise ProcessFileError(f"{process.path}: outputs.{output.id}.ogc:schema{problem}")


def check_marker() -> None:
    """Make sure that the package ``processes`` is ours; one of that name exists on PyPI.

    Raises:
        ConfigError: It is another one.
    """
    if getattr(processes, "CDI_NRW", None) == _MARKER:
        return
    spec = importlib.util.find_spec("processes")
    place = spec.origin if spec else None
    raise ConfigError(
        f"the Python package 'processes' in {place} is not the one of this project; "
        "uninstall it (pip uninstall processes) and install this project again"
    )
