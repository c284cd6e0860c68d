"""What made an output: a number that is equal only for equal programs on equal inputs.

Files count by what is in them and by their names, never by where they lie, so that a job that
tries another one again finds what that one has done already.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from k8s_manager import command
from k8s_manager.cwl import Process
from k8s_manager.cwl_types import type_to_json

_FORMAT = 1
_CACHED = re.compile(r"cache:(sha256)/([0-9a-f]{64})")


class _UnknownContentError(Exception):
    """A file or folder of which nobody has noted what is in it."""


def reuse_key(process: Process, values: Mapping[str, Any], code: str | None) -> str | None:
    """Return the SHA-256 (hex) of command, inputs, outputs wanted and code of a step's index.

    Memory and cores count as the process file's least: a second round may have more of them.

    Args:
        process: The step's tool.
        values: Input values of the index.
        code: What identifies the code that runs.

    Returns:
        None where that cannot be said, or where the tool's ``WorkReuse`` forbids reuse.

    Raises:
        ProcessFileError: The values do not fit the tool.
    """
    if code is None or process.tool is None or not process.tool.reuse:
        return None
    invocation = command.build(process, values)
    try:
        inputs = [
            item
            for declared in process.inputs.values()
            for item in _contents(
                declared.default if values.get(declared.id) is None else values[declared.id]
            )
        ]
    except _UnknownContentError:
        return None
    made_of = {
        "format": _FORMAT,
        "code": code,
        "argv": invocation.argv,
        "env": dict(invocation.env),
        "stdout": invocation.stdout,
        "staged": invocation.staged,
        "inputs": inputs,
        "outputs": {
            name: [type_to_json(spec.type), spec.glob] for name, spec in invocation.outputs.items()
        },
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _contents(value: Any) -> Iterator[list[Any]]:
    """Yield name and content of each file and folder in a value, in the order of its links."""
    if isinstance(value, list):
        for item in value:
            yield from _contents(item)
    elif isinstance(value, Mapping):
        if value.get("class") in ("File", "Directory"):
            yield _content(value)
        else:
            for item in value.values():
                yield from _contents(item)


def _content(value: Mapping[str, Any]) -> list[Any]:
    location = str(value.get("location") or "")
    name = value.get("basename") or location.rstrip("/").rsplit("/", 1)[-1]
    if value["class"] == "Directory":
        if "listing" not in value:
            raise _UnknownContentError(location)
        return [name, sorted(_content(entry) for entry in value["listing"])]
    checksum = value.get("checksum")
    if checksum is None and location.startswith("file:///"):
        checksum = _sha256(Path(unquote(location.removeprefix("file://"))))
    if match := _CACHED.fullmatch(location):
        checksum = f"{match.group(1)}${match.group(2)}"
    if checksum is None:
        raise _UnknownContentError(location)
    if not checksum.startswith("sha256$"):
        # Size and time of change tell versions of one file apart, not one file from another.
        checksum = f"{checksum} {location}"
    return [name, checksum]


def _sha256(path: Path) -> str:
    """Return the checksum of a file that stands beside a process file, as an input's default."""
    try:
        with path.open("rb") as stream:
            return f"sha256${hashlib.file_digest(stream, 'sha256').hexdigest()}"
    except OSError as error:
        raise _UnknownContentError(str(path)) from error
