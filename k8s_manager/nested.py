"""Nested requests (OGC API - Processes, Part 3): an input may be the output of another process.

``{"inputs": {"trees": {"process": "detect", "inputs": {...}, "outputs": {"crowns": {}}}}}`` runs as
one job whose steps are those of both processes. Only processes of this server can be nested.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from k8s_manager.cwl_model import Input, Output, Process
from k8s_manager.cwl_types import (
    Array,
    CwlType,
    Optional,
    Record,
    accepts,
    describe_value,
    is_file_like,
    required,
    type_name,
)
from k8s_manager.description import file_variants
from k8s_manager.errors import InvalidInputs, ProcessFileError, UnknownProcess, Violation
from k8s_manager.inputs import MOST_VIOLATIONS, conditions
from k8s_manager.nested_workflow import Call, open_inputs, workflow_of
from k8s_manager.registry import Registry

MOST = 20
"""Processes in one request."""
DEEPEST = 5
"""Levels of processes inside one another."""
_MEMBERS = ("process", "inputs", "outputs", "response")


@dataclass(frozen=True)
class Request:
    """An execute request without nested processes, for the process that stands for all of them."""

    process: Process
    body: Mapping[str, Any]
    pointers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Of each input of an inner process: the outer input, and where its value stands."""
    inner: Mapping[str, Process] = field(default_factory=dict)
    """The nested processes, by what stands before the names of their inputs."""

    def parts(self, values: Mapping[str, Any]) -> Iterator[tuple[Process, Mapping[str, Any]]]:
        """Yield every process that is asked for, with those of the job's values that it takes."""
        yield self.process, values
        for prefix, process in self.inner.items():
            own = (name for name in values if name.startswith(prefix))
            yield process, {name.removeprefix(prefix): values[name] for name in own}

    @contextmanager
    def pointing_back(self) -> Iterator[None]:
        """Have violations name the places of the request as it was sent.

        Raises:
            InvalidInputs: With such violations.
        """
        try:
            yield
        except InvalidInputs as error:
            raise InvalidInputs([self._back(item) for item in error.violations]) from error

    def _back(self, violation: Violation) -> Violation:
        name, _, rest = violation.pointer.removeprefix("/inputs/").partition("/")
        if name not in self.pointers:
            return violation
        outer, place = self.pointers[name]
        return replace(violation, input=outer, pointer=place + (f"/{rest}" if rest else ""))


def unfold(registry: Registry, process: Process, body: Mapping[str, Any], base_url: str) -> Request:
    """Return the request with every nested process made a step.

    Args:
        registry: The processes that may be nested.
        process: The process to execute.
        body: The execute request as it was sent.
        base_url: Address of this server; addresses of processes below it are known.

    Raises:
        InvalidInputs: A nested process is unknown, cannot be nested, or gives what does not fit.
    """
    given = body.get("inputs")
    if not isinstance(given, Mapping) or not any(
        _is_call(process.inputs.get(name), value) for name, value in given.items()
    ):
        return Request(process, body)
    reading = _Reading(registry, base_url.rstrip("/"))
    call = reading.call(process, given, "", "", 0)
    if reading.found:
        raise InvalidInputs(reading.found[:MOST_VIOLATIONS])
    try:
        compiled = workflow_of(call)
    except ProcessFileError as error:
        reason = str(error).rpartition(": ")[2]
        raise InvalidInputs(
            [Violation("", "/inputs", "processes whose inputs and outputs fit", reason)]
        ) from error
    return Request(compiled, {**body, "inputs": reading.values}, reading.pointers, reading.inner)


class _Reading:
    """Reads a request from the outside in and gathers all that is wrong."""

    def __init__(self, registry: Registry, base_url: str) -> None:
        self.registry, self.base_url = registry, base_url
        self.found: list[Violation] = []
        self.values: dict[str, Any] = {}
        self.pointers: dict[str, tuple[str, str]] = {}
        self.inner: dict[str, Process] = {}
        self.count = 0

    def call(
        self, process: Process, given: Mapping[str, Any], place: str, outer: str, depth: int
    ) -> Call:
        """Read the inputs of a process; `outer` is the input of the request that this is for."""
        prefix = f"n{self.count}-" if depth else ""
        nested = {}
        for name, value in given.items():
            if len(self.found) >= MOST_VIOLATIONS:
                break
            at, top = f"{place}/inputs/{name}", outer or name
            declared = process.inputs.get(name)
            if declared is not None and not declared.internal and _is_call(declared, value):
                inner = self._nested(declared, value, at, top, depth + 1)
                if inner is not None:
                    nested[name] = inner
            elif not depth:
                self.values[name] = value
            elif declared is None or declared.internal:
                known = ", ".join(item.id for item in process.inputs.values() if not item.internal)
                got = f"the unknown input {name!r}"
                self.found.append(Violation(top, at, f"one of the inputs {known}", got))
            else:
                self.values[prefix + name] = value
        call = Call(process, nested, prefix)
        if depth:
            self.inner[prefix] = process
        for declared in open_inputs(call) if depth else ():
            self.pointers[prefix + declared.id] = (outer, f"{place}/inputs/{declared.id}")
        self.found += [
            replace(item, input=outer, pointer=place + item.pointer)
            for item in islice(conditions(process, given), MOST_VIOLATIONS)
        ]
        return call

    def _nested(
        self, declared: Input, value: Mapping[str, Any], at: str, top: str, depth: int
    ) -> tuple[Call, str] | None:
        before = len(self.found)
        self.count += 1
        if depth > DEEPEST or self.count > MOST:
            expected = f"at most {MOST} nested processes, {DEEPEST} inside one another"
            self._wrong(top, at, expected, "more")
            return None
        process = self._process(value["process"], f"{at}/process", top)
        inner_given = value.get("inputs") or {}
        if not isinstance(inner_given, Mapping):
            self._wrong(top, f"{at}/inputs", "an object", describe_value(inner_given))
        if process is None or not isinstance(inner_given, Mapping):
            return None
        for reason in _obstacles(process):
            self._wrong(top, f"{at}/process", "a process that can be nested", reason)
        output = self._output(process, declared, value.get("outputs"), at, top)
        call = self.call(process, inner_given, at, top, depth)
        if output is None or len(self.found) > before:
            return None
        return call, output

    def _process(self, named: str, at: str, top: str) -> Process | None:
        match = re.fullmatch(r"(?:(.*)/processes/)?([^/]+)", named)
        if match is None or (
            match[1] is not None and match[1].rstrip("/") not in ("", self.base_url)
        ):
            expected = f"the id of a process, or its address below {self.base_url}/processes/"
            self._wrong(top, at, expected, describe_value(named))
            return None
        try:
            return self.registry.get(match[2])
        except UnknownProcess:
            known = ", ".join(sorted(self.registry.processes))
            self._wrong(top, at, f"one of the processes {known}", describe_value(named))
            return None

    def _output(
        self, process: Process, declared: Input, asked: Any, at: str, top: str
    ) -> str | None:
        """Return which output is meant: the one named, or the only one that fits."""
        where = f"{at}/outputs"
        if asked is not None and not isinstance(asked, Mapping):
            self._wrong(top, where, "an object", describe_value(asked))
            return None
        for name in asked or ():
            if name not in process.outputs:
                expected = "one of the outputs " + ", ".join(process.outputs)
                self._wrong(top, f"{where}/{name}", expected, f"the unknown output {name!r}")
                return None
        chosen = [process.outputs[name] for name in asked or process.outputs]
        fitting = [item for item in chosen if not _misfit(declared, item)]
        if len(fitting) == 1 and (len(chosen) == 1 or not asked):
            return fitting[0].id
        if len(chosen) == 1:
            expected, got = _misfit(declared, chosen[0]) or ("", "")
            self._wrong(top, at, expected, got)
        else:
            names = ", ".join(item.id for item in fitting) or "none of them fits"
            expected = f"one output of {process.id} to become {declared.id}"
            self._wrong(top, where, expected, f"several ({names})")
        return None

    def _wrong(self, input_: str, pointer: str, expected: str, got: str) -> None:
        self.found.append(Violation(input_, pointer, expected, got))


def _is_call(declared: Input | None, value: Any) -> bool:
    """Tell whether the value is a process to be run and no value of the input's own type."""
    if not isinstance(value, Mapping) or not isinstance(value.get("process"), str):
        return False
    type_ = None if declared is None else required(declared.type)
    own = isinstance(type_, Record) and type_.field("process") is not None
    return not own and set(value) <= set(_MEMBERS)


def _obstacles(process: Process) -> Iterator[str]:
    for declared in process.inputs.values():
        filled = declared.internal and not declared.has_default
        if filled and not isinstance(declared.type, Optional):
            yield f"{process.id}, for which the server itself fills {declared.id}"
    parts: list[Input | Output] = [*process.inputs.values(), *process.outputs.values()]
    if any(_is_named_record(part.type) for part in parts):
        yield f"{process.id}, which uses imported types"


def _is_named_record(type_: CwlType) -> bool:
    inner = required(type_)
    while isinstance(inner, Array):
        inner = required(inner.items)
    return isinstance(inner, Record) and (inner.open or ".yaml#" in (inner.name or ""))


def _misfit(declared: Input, output: Output) -> tuple[str, str] | None:
    """Return what the input takes and what the output gives, where that does not fit."""
    if output.many or output.pick_value is not None:
        return type_name(declared.type), f"{output.id}, which is gathered from several steps"
    if not accepts(declared.type, output.type):
        return type_name(declared.type), f"{output.id}, which gives {type_name(output.type)}"
    if is_file_like(declared.type):
        wanted, given = _media_types(declared), _media_types(output)
        anything = "application/octet-stream"
        if anything not in wanted | given and not wanted & given:
            return " or ".join(sorted(wanted)), f"{output.id}, which gives " + " or ".join(given)
    return None


def _media_types(part: Input | Output) -> set[str]:
    schema = part.schema.get("items") or part.schema
    variants = file_variants(schema)
    return {str(variant["contentMediaType"]).split(";")[0].strip() for variant in variants}
