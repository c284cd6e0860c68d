"""How stock pygeoapi sees a process: the metadata of a processor, read from its CWL file.

pygeoapi runs a processor inside its own process; ours are programs that the controller starts, so
`KubernetesManager` records a job instead and never calls `CwlProcessor.execute`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pygeoapi.process.base import BaseProcessor, ProcessorExecuteError

from k8s_manager.cwl import load_process
from k8s_manager.cwl_model import Process
from k8s_manager.description import describe
from k8s_manager.registry import check_schemas, find


class CwlProcessor(BaseProcessor):  # type: ignore[misc]
    """A process described by the CWL file that ``processor.cwl`` names."""

    def __init__(self, processor_def: dict[str, Any]) -> None:
        """Load the process.

        Args:
            processor_def: ``{name, cwl}``; see `registry.find` for where the file is looked for.

        Raises:
            ConfigError: The file is missing or wrong.
        """
        given = str(processor_def["cwl"])
        self.process = load_process(find(Path(given).stem, given, config_path()))
        check_schemas(self.process)
        super().__init__(processor_def, metadata(self.process))
        self.supports_outputs = True

    def execute(self, data: dict[str, Any], outputs: dict[str, Any] | None = None) -> Any:
        """Refuse: only the manager can run the process."""
        raise ProcessorExecuteError(
            user_msg="this process needs server.manager.name: k8s_manager.manager.KubernetesManager"
        )


def metadata(process: Process) -> dict[str, Any]:
    """Return the description as pygeoapi's plugins give it: texts by language, links, example."""
    described = describe(process)
    for name in ("title", "description"):
        said = {key: getattr(of.texts, name) for key, of in process.translations.items()}
        if any(said.values()):
            described[name] = {"en": described[name]} | {k: v for k, v in said.items() if v}
    described["links"] = []
    described["example"] = {"inputs": example_inputs(described)}
    return described


def example_inputs(described: dict[str, Any]) -> dict[str, Any]:
    """Return the examples and defaults that the schemas of a description hold."""
    found = {}
    for name, part in described["inputs"].items():
        schema = part["schema"]
        if "example" in schema or "default" in schema:
            found[name] = schema.get("example", schema.get("default"))
    return found


def config_path() -> Path:
    """Return the configuration file: CDI_CONFIG, PYGEOAPI_CONFIG or the default."""
    named = os.environ.get("CDI_CONFIG") or os.environ.get("PYGEOAPI_CONFIG")
    return Path(named or "pygeoapi-config.yml").absolute()
