"""Execute requests that a form offers to be filled with.

The configuration names them, beside the process that they are for; a relative file is looked for
beside the configuration:

    resources:
      greet:
        type: process
        processor: {name: ..., cwl: ...}

Examples:
          - title: {en: Somebody, de: Irgendwer}
            request: examples/greet.json

Where it names none, the examples and defaults in the schemas of the inputs make one, if they
suffice.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8s_manager import description
from k8s_manager.cwl_model import Process
from k8s_manager.processor import example_inputs
from ogcapi.service import Service
from ogcapi.translation import N_

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A request with the name under which it is offered."""

    title: Any
    """A text, or texts by language."""
    request: Mapping[str, Any]


def examples_of(service: Service, process: Process) -> list[Example]:
    """Return the examples of a process; a file that cannot be read is logged and left out."""
    found = _configured(service, process)
    described = description.describe(process)
    if found or not any("example" in part["schema"] for part in described["inputs"].values()):
        return found
    request = _from_schemas(described)
    return [Example(N_("Example"), request)] if request else []


def example_request(service: Service, process: Process) -> Mapping[str, Any] | None:
    """Return one request that the process accepts; None where nobody gives one."""
    found = _configured(service, process)
    return found[0].request if found else _from_schemas(description.describe(process))


def _configured(service: Service, process: Process) -> list[Example]:
    resource = service.config["resources"].get(process.id) or {}
    folder = service.settings.config.absolute().parent
    found = []
    for entry in resource.get("examples") or []:
        request = _request(folder / str(entry["request"]))
        if request is not None:
            found.append(Example(entry.get("title", N_("Example")), request))
    return found


@functools.lru_cache(maxsize=256)
def _request(path: Path) -> Mapping[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        LOGGER.warning("an example is not offered: %s: %s", path, error)
        return None
    return document if isinstance(document, dict) else None


def _from_schemas(described: dict[str, Any]) -> Mapping[str, Any] | None:
    inputs = example_inputs(described)
    needed = {name for name, part in described["inputs"].items() if part.get("minOccurs", 1)}
    return {"inputs": inputs} if needed <= set(inputs) else None
