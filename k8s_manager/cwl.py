"""Loading a process: one CWL file, the single source of what a process is.

A stated subset of CWL v1.2 is understood. Everything else is refused when the process is loaded,
by name and place, so that no process starts that could not be run as its author meant it. The
loader has no dependency besides PyYAML and takes milliseconds; CWL's reference implementation
serves as the independent check in the tests instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from k8s_manager.cwl_document import Place, json_text, known_keys, prose, read_document, text
from k8s_manager.cwl_model import Input, Output, Process, Step, StepInput, Tool
from k8s_manager.cwl_parts import OGC, Scope, parse_inputs, parse_namespaces
from k8s_manager.cwl_tool import (
    TOOL_KEYS,
    TOOL_REFUSED,
    parse_outputs,
    parse_tool,
    read_named_types,
)
from k8s_manager.cwl_translation import translations_of
from k8s_manager.cwl_workflow import parse_steps, parse_workflow_outputs
from k8s_manager.errors import ProcessFileError

__all__ = ["Input", "Output", "Process", "Step", "StepInput", "Tool", "load_process", "process_of"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_COMMON = (
    "cwlVersion",
    "class",
    "id",
    "label",
    "doc",
    "inputs",
    "outputs",
    "requirements",
    "hints",
)


def load_process(path: str | Path) -> Process:
    """Read a process from its CWL file, the files of its steps, and its translations.

    Raises:
        ProcessFileError: The file cannot be read, is wrong, or uses what is not supported.
    """
    process = _Loader(Path(path).absolute(), {}, read=True).process()
    return replace(process, translations=translations_of(process))


def process_of(path: Path, documents: Mapping[str, Any]) -> Process:
    """Return the process of documents that were read before.

    Args:
        path: File that the process was read from; it need not exist any more.
        documents: Parsed documents by path relative to the folder of `path`.

    Raises:
        ProcessFileError: As for `load_process`.
    """
    return _Loader(Path(path), documents, read=False).process()


class _Loader:
    """Reads a document and those it names, each once."""

    def __init__(self, path: Path, documents: Mapping[str, Any], read: bool) -> None:
        self.path = path
        self.documents = dict(documents)
        self.read = read
        self.loaded: dict[str, Process] = {}

    def process(self) -> Process:
        return self._load(self.path.name)

    def _document(self, name: str, place: Place) -> dict[str, Any]:
        if name not in self.documents:
            if not self.read:
                place.refuse(f"the snapshot lacks {name}")
            self.documents[name] = read_document(Path(os.path.normpath(self.path.parent / name)))
        document = self.documents[name]
        assert isinstance(document, dict)  # noqa: S101  read_document gives nothing else
        return document

    def _load(self, name: str) -> Process:
        file = Path(os.path.normpath(self.path.parent / name))
        place = Place(str(file))
        document = self._document(name, place)
        scope = Scope(place, file.parent, parse_namespaces(document.get("$namespaces"), place))
        _check_kind(document, place)
        plain, extra = scope.extensions(document, place)
        workflow = plain["class"] == "Workflow"
        own = ("steps",) if workflow else TOOL_KEYS
        known_keys(
            plain,
            place,
            {*_COMMON, *own, "$namespaces", "$schemas"},
            {**TOOL_REFUSED, "$graph": "use one file per process"},
        )
        read_named_types(plain, scope)
        needless = {"inputBinding": "it belongs to the tools"} if workflow else {}
        inputs = parse_inputs(plain.get("inputs"), scope, needless)
        common = {**_about(plain, extra, place), "inputs": inputs, "path": file}
        if workflow:
            names: list[str] = []

            def load(run: str, where: Place) -> Process:
                return self._run(run, name, names, where)

            steps = parse_steps(plain, inputs, scope, load)
            outputs = parse_workflow_outputs(plain.get("outputs"), inputs, steps, scope)
            documents = {part: self.documents[part] for part in (name, *names)}
            return Process(
                **common,
                outputs=outputs,
                steps=steps,
                documents=documents,
                digest=_digest(documents),
            )
        tool = parse_tool(plain, inputs, scope)
        outputs, tool = parse_outputs(plain.get("outputs"), inputs, tool, scope)
        documents = {file.name: document}
        return Process(
            **common, outputs=outputs, tool=tool, documents=documents, digest=_digest(documents)
        )

    def _run(self, run: str, parent: str, names: list[str], place: Place) -> Process:
        if "://" in run or run.startswith(("/", "#")):
            place.refuse(f"{run!r} is not supported", "name a file relative to this one")
        name = os.path.normpath(Path(parent).parent / run)
        document = self._document(name, place)
        if document.get("class") == "Workflow":
            place.refuse(
                "a workflow as a step is not supported", "write all steps into one workflow"
            )
        if name not in self.loaded:
            self.loaded[name] = self._load(name)
        names.append(name)
        return self.loaded[name]


def _check_kind(document: Mapping[str, Any], place: Place) -> None:
    if "$graph" in document:
        (place / "$graph").refuse("is not supported", "use one file per process")
    if document.get("cwlVersion") != "v1.2":
        (place / "cwlVersion").refuse(f"is {document.get('cwlVersion')!r}", "expected v1.2")
    if document.get("class") not in ("CommandLineTool", "Workflow"):
        (place / "class").refuse(
            f"{document.get('class')!r} is not supported", "use CommandLineTool or Workflow"
        )


def _about(plain: Mapping[str, Any], extra: Mapping[str, Any], place: Place) -> dict[str, Any]:
    id_ = text(plain.get("id"), place / "id").removeprefix("#")
    if not _ID.fullmatch(id_):
        (place / "id").refuse(f"{id_!r} is no usable id", "use up to 64 letters, digits, . _ and -")
    label = prose(plain.get("label"), place / "label")
    keywords = extra.get("s:keywords")
    listed = keywords.split(",") if isinstance(keywords, str) else keywords or []
    version = extra.get("s:softwareVersion", "0.0.0")
    if not isinstance(version, str):
        (place / "s:softwareVersion").refuse(f"expected text, got {version!r}", "put it in quotes")
    return {
        "id": id_,
        "title": label or id_,
        "description": prose(plain.get("doc"), place / "doc") or label or id_,
        "version": version,
        "keywords": tuple(str(word).strip() for word in listed),
        "schema": json_text(extra.get(f"{OGC}schema"), place / "ogc:schema"),
    }


def _digest(documents: Mapping[str, Any]) -> str:
    try:
        canonical = json.dumps(documents, sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ProcessFileError(
            f"{next(iter(documents))}: holds a value without JSON form: {error}"
        ) from error
    return hashlib.sha256(canonical.encode()).hexdigest()
