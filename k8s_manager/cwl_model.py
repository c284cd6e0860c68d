"""What a loaded process is: plain values that planning, binding, describing and pages share.

A process keeps the documents it was read from: written to a job's record they are its snapshot,
and reading them back gives an equal process, whatever happened to the files since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k8s_manager.cwl_types import Binding, CwlType


@dataclass(frozen=True)
class Input:
    """A declared input of a process."""

    id: str
    type: CwlType
    default: Any = None
    has_default: bool = False
    label: str | None = None
    doc: str | None = None
    schema: Mapping[str, Any] = field(default_factory=dict)
    """What CWL's types cannot say (``ogc:schema``): ranges, formats, media types."""
    internal: bool = False
    """The manager fills it: descriptions hide it and requests may not set it."""
    binding: Binding | None = None


@dataclass(frozen=True)
class Output:
    """A declared output: of a tool by `glob`, of a workflow by `sources`."""

    id: str
    type: CwlType
    label: str | None = None
    doc: str | None = None
    schema: Mapping[str, Any] = field(default_factory=dict)
    glob: tuple[str, ...] = ()
    """Patterns within the working folder, with parameter references; none: cwl.output.json."""
    sources: tuple[str, ...] = ()
    """``step/output`` or the id of an input of the workflow."""
    many: bool = False
    """`sources` was written as a list: the value is a list of the sources' values."""
    pick_value: str | None = None
    """``all_non_null`` leaves nulls out of a list."""


@dataclass(frozen=True)
class Argument:
    """An entry of ``arguments``; `value` may hold parameter references."""

    value: str
    binding: Binding


@dataclass(frozen=True)
class Resources:
    """What a tool asks for; memory in MiB."""

    cores_min: float = 1
    cores_max: float = 1
    ram_min: int = 256
    ram_max: int = 256


@dataclass(frozen=True)
class Gpu:
    """Hint ``cdi:GPU``: the tool uses a GPU where there is one."""

    count: int = 1


@dataclass(frozen=True)
class Tool:
    """What a CommandLineTool adds to its inputs and outputs."""

    base_command: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()
    stdout: str | None = None
    image: str | None = None
    gpu: Gpu | None = None
    resources: Resources = Resources()
    time_limit_s: int | None = None
    """Seconds; None where the tool sets none."""
    network: bool = False
    reuse: bool = True
    """An earlier result of the same command on the same inputs may be taken."""
    env: Mapping[str, str] = field(default_factory=dict)
    staged: tuple[str, ...] = ()
    """Ids of inputs whose files are placed into the working folder (InitialWorkDir)."""
    permanent_fail_codes: tuple[int, ...] = (65,)
    temporary_fail_codes: tuple[int, ...] = (75,)


@dataclass(frozen=True)
class StepInput:
    """A link into a step."""

    id: str
    sources: tuple[str, ...] = ()
    many: bool = False
    pick_value: str | None = None
    default: Any = None
    has_default: bool = False


@dataclass(frozen=True)
class Step:
    """A step of a workflow: a tool and where its inputs come from."""

    id: str
    process: Process
    inputs: Mapping[str, StepInput]
    scatter: tuple[str, ...] = ()
    """Inputs whose arrays are taken element by element, side by side (dotproduct)."""
    out: tuple[str, ...] = ()

    def sources(self) -> tuple[str, ...]:
        """Return every source of every input."""
        return tuple(source for link in self.inputs.values() for source in link.sources)


@dataclass(frozen=True)
class Texts:
    """What is said of a process, an input or an output in one language; None: not translated."""

    title: str | None = None
    description: str | None = None
    symbols: Mapping[str, str] = field(default_factory=dict)
    """Names of the words that an input offers to choose from."""


@dataclass(frozen=True)
class Translation:
    """The texts of a process in one language."""

    texts: Texts = Texts()
    inputs: Mapping[str, Texts] = field(default_factory=dict)
    outputs: Mapping[str, Texts] = field(default_factory=dict)
    digest: str = ""
    """SHA-256 (hex) of all of them."""

    def of_input(self, name: str) -> Texts:
        """Return the texts of an input."""
        return self.inputs.get(name, Texts())

    def of_output(self, name: str) -> Texts:
        """Return the texts of an output."""
        return self.outputs.get(name, Texts())


@dataclass(frozen=True)
class Process:
    """A process: a tool, or steps in an order in which they can run."""

    id: str
    title: str
    description: str
    version: str
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output]
    tool: Tool | None = None
    steps: Mapping[str, Step] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)
    """``ogc:schema`` of the document: conditions over several inputs."""
    translations: Mapping[str, Translation] = field(default_factory=dict, compare=False, repr=False)
    """By language besides English; no part of the documents, the digest and the snapshot."""
    digest: str = ""
    """SHA-256 (hex) of the documents: equal for equal processes."""
    path: Path = Path("process.cwl")
    documents: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The documents as read, by path relative to the folder of `path`."""

    def to_json(self) -> dict[str, Any]:
        """Return the snapshot that a job's record keeps."""
        return {"path": str(self.path), "documents": dict(self.documents)}

    @staticmethod
    def from_json(snapshot: Mapping[str, Any]) -> Process:
        """Return the process of a snapshot.

        Raises:
            ProcessFileError: The snapshot was made by a version that supported more.
        """
        from k8s_manager.cwl import process_of

        return process_of(Path(snapshot["path"]), snapshot["documents"])

    def translation(self, language: str) -> Translation:
        """Return the texts in a language, without any for English or where nobody translated."""
        return self.translations.get(language, Translation())

    def tools(self) -> Mapping[str, Process]:
        """Return the processes that run programs: by step id, or itself by its own id."""
        if self.tool is not None:
            return {self.id: self}
        return {step.id: step.process for step in self.steps.values()}
