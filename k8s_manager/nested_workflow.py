"""From processes that stand inside one another to one workflow, written as CWL.

A nested request becomes an ordinary workflow, so that planning, running, retrying and showing it is
what it is for every other job, and its links are checked by the reader that checks any workflow.
The document stands beside the outer process's file by name only; nothing is written to disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k8s_manager.cwl import process_of
from k8s_manager.cwl_model import Input, Output, Process, Step, StepInput
from k8s_manager.cwl_types import type_to_json
from k8s_manager.plan import plan_of

LONGEST_STEP = 20
"""Characters of a step's name (`cwl_workflow`)."""
_NAME = "nested.cwl"


@dataclass(frozen=True)
class Call:
    """A process with where its inputs come from."""

    process: Process
    nested: Mapping[str, tuple[Call, str]]
    """Inputs that are an output of another process: the process, and the name of the output."""
    prefix: str
    """Stands before the names of its inputs and steps, so that none is there twice; of the outer
    process it is empty."""


def workflow_of(outer: Call) -> Process:
    """Return the workflow of a nested request; it has the id and the outputs of the outer process.

    Its inputs are those of every process, the inner ones with their call's prefix before the name.

    Raises:
        ProcessFileError: An output does not fit the input that it is to be.
    """
    process, folder = outer.process, outer.process.path.parent
    inputs: dict[str, Any] = {}
    steps: dict[str, Any] = {}
    documents: dict[str, Any] = {}
    for call in _inside_first(outer):
        inputs |= {call.prefix + declared.id: _input(declared) for declared in open_inputs(call)}
        for step in plan_of(call.process).steps.values():
            file = step.process.path
            run = os.path.relpath(file, folder)
            steps[_step_name(call, step.id)] = {"run": run, **_step(call, step)}
            own = os.path.relpath(file, call.process.path.parent)
            documents[run] = call.process.documents[own]
    document = {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "$namespaces": {
            "ogc": "http://www.opengis.net/spec/ogcapi-processes-1/1.0/",
            "s": "https://schema.org/",
        },
        "id": process.id,
        "label": process.title,
        "doc": process.description,
        "s:softwareVersion": process.version,
        "requirements": {"ScatterFeatureRequirement": {}, "MultipleInputFeatureRequirement": {}},
        "inputs": inputs,
        "outputs": {output.id: _output(outer, output) for output in process.outputs.values()},
        "steps": steps,
    }
    return process_of(folder / _NAME, {_NAME: document, **documents})


def open_inputs(call: Call) -> Iterator[Input]:
    """Yield the inputs of a process that the workflow has too.

    Of the internal ones those that the manager fills, which only the outer process may have; a
    default of a tool, such as its own program, stays in the tool's file.
    """
    for declared in call.process.inputs.values():
        if declared.internal:
            if not call.prefix and not declared.has_default:
                yield declared
        elif declared.id not in call.nested:
            yield declared


def _inside_first(call: Call) -> Iterator[Call]:
    for inner, _ in call.nested.values():
        yield from _inside_first(inner)
    yield call


def _input(declared: Input) -> dict[str, Any]:
    entry = _typed(declared)
    if declared.has_default:
        entry["default"] = declared.default
    return entry


def _output(outer: Call, output: Output) -> dict[str, Any]:
    sources = list(output.sources)
    if not sources:  # a tool's
        [step] = plan_of(outer.process).steps
        sources = [f"{step}/{output.id}"]
    named = [_source(outer, source) for source in sources]
    entry = {**_typed(output), "outputSource": named if output.many else named[0]}
    return entry if output.pick_value is None else {**entry, "pickValue": output.pick_value}


def _typed(part: Input | Output) -> dict[str, Any]:
    told = {"label": part.label, "doc": part.doc}
    entry: dict[str, Any] = {"type": type_to_json(part.type)}
    entry |= {name: text for name, text in told.items() if text}
    if part.schema:
        entry["ogc:schema"] = json.dumps(part.schema)
    return entry


def _step(call: Call, step: Step) -> dict[str, Any]:
    links = {link.id: _link(call, link) for link in step.inputs.values()}
    entry: dict[str, Any] = {
        "in": {name: link for name, link in links.items() if link},
        "out": list(step.out),
    }
    if step.scatter:
        entry["scatter"] = list(step.scatter)
    if len(step.scatter) > 1:
        entry["scatterMethod"] = "dotproduct"
    return entry


def _link(call: Call, link: StepInput) -> dict[str, Any]:
    """Return a step's link; an empty one for an input that the workflow leaves to the tool."""
    known = {declared.id for declared in open_inputs(call)} | set(call.nested)
    sources = [source for source in link.sources if "/" in source or source in known]
    named = [_source(call, source) for source in sources]
    entry: dict[str, Any] = {}
    if named:
        entry["source"] = named if link.many else named[0]
    if link.pick_value is not None and named:
        entry["pickValue"] = link.pick_value
    if link.has_default:
        entry["default"] = link.default
    return entry


def _source(call: Call, source: str) -> str:
    """Return a source of a process as the workflow names it."""
    step, slash, name = source.partition("/")
    if slash:
        return f"{_step_name(call, step)}/{name}"
    if source not in call.nested:
        return call.prefix + source
    inner, output = call.nested[source]
    declared = inner.process.outputs[output]
    if not declared.sources:  # a tool's
        [step] = plan_of(inner.process).steps
        return f"{_step_name(inner, step)}/{output}"
    return _source(inner, declared.sources[0])


def _step_name(call: Call, step: str) -> str:
    """Return a step's name in the workflow; a long one gives way to its number."""
    name = f"{call.prefix}{step}".replace("_", "-")
    if len(name) <= LONGEST_STEP:
        return name
    number = list(plan_of(call.process).steps).index(step) + 1
    return f"{call.prefix.replace('_', '-')}step-{number}"
