"""Reading a Workflow, and checking every link of it before anything runs.

A wrong link found in the middle of a job costs hours; here it costs milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from k8s_manager.cwl_document import Place, entries, json_text, known_keys, prose, text, texts
from k8s_manager.cwl_model import Input, Output, Process, Step, StepInput
from k8s_manager.cwl_parts import OGC, Scope, identifier, parse_type
from k8s_manager.cwl_tool import requirement_entries
from k8s_manager.cwl_types import Array, CwlType, Optional, accepts, mismatches, required, type_name

_STEP_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_STEP_REFUSED = {
    "when": "let the step give an empty result",
    "requirements": "write them into the tool's own file",
    "hints": "write them into the tool's own file",
}
_LINK_REFUSED = {
    "valueFrom": "let a step make the value",
    "linkMerge": "sources in a list give a list of their values (merge_nested)",
    "loadContents": "pass the file",
    "loadListing": "pass the Directory",
}
_KNOWN: dict[str, set[str]] = {
    "ScatterFeatureRequirement": set(),
    "MultipleInputFeatureRequirement": set(),
    "SchemaDefRequirement": {"types"},
    "WorkReuse": {"enableReuse"},
}


def parse_steps(
    document: Mapping[str, Any],
    inputs: Mapping[str, Input],
    scope: Scope,
    load: Callable[[str, Place], Process],
) -> dict[str, Step]:
    """Return the steps in an order in which they can run, all links checked.

    Args:
        document: The workflow.
        inputs: Its inputs.
        scope: Its namespaces and named types.
        load: Gives the process of a step's ``run`` file.

    Raises:
        ProcessFileError: A step or a link is wrong or not supported.
    """
    classes = {class_ for class_, _, _ in requirement_entries(document, scope, _KNOWN, set())}
    steps = {}
    for where, entry in entries(document.get("steps"), scope.place / "steps", "id", None):
        plain, _ = scope.extensions(entry, where)
        step = _step(plain, where, load)
        if step.scatter and "ScatterFeatureRequirement" not in classes:
            (where / "scatter").refuse("needs `ScatterFeatureRequirement: {}` under requirements")
        many = any(len(link.sources) > 1 for link in step.inputs.values())
        if many and "MultipleInputFeatureRequirement" not in classes:
            (where / "in").refuse("needs `MultipleInputFeatureRequirement: {}` under requirements")
        steps[step.id] = step
    if not steps:
        scope.place.refuse("has no steps")
    ordered = _order(steps, scope.place / "steps")
    for step in ordered.values():
        _check_step(step, inputs, ordered, scope.place / "steps" / step.id)
    return ordered


def parse_workflow_outputs(
    value: Any, inputs: Mapping[str, Input], steps: Mapping[str, Step], scope: Scope
) -> dict[str, Output]:
    """Return the outputs of a workflow, their links checked."""
    result = {}
    for where, entry in entries(value, scope.place / "outputs", "id", "type"):
        plain, more = scope.extensions(entry, where)
        known = {"id", "type", "label", "doc", "outputSource", "pickValue"}
        known_keys(
            plain,
            where,
            known,
            {
                **_LINK_REFUSED,
                "secondaryFiles": "declare an output for each file",
                "format": "name the media type in ogc:schema as contentMediaType",
            },
        )
        given = plain.get("outputSource")
        if given is None:
            where.refuse("has no outputSource")
        output = Output(
            id=identifier(entry["id"], where),
            type=parse_type(plain.get("type"), scope, where / "type"),
            label=prose(plain.get("label"), where / "label"),
            doc=prose(plain.get("doc"), where / "doc"),
            schema=json_text(more.get(f"{OGC}schema"), where / "ogc:schema"),
            sources=texts(given, where / "outputSource"),
            many=isinstance(given, list) and len(given) > 1,
            pick_value=_pick_value(plain.get("pickValue"), where / "pickValue"),
        )
        link = _link_type(output.sources, output.many, output.pick_value, inputs, steps, where)
        if not accepts(output.type, link):
            where.refuse(
                f"is {type_name(output.type)}, but its source gives {type_name(link)}",
                _hint(output.type, link),
            )
        result[output.id] = output
    return result


def _step(entry: dict[str, Any], place: Place, load: Callable[[str, Place], Process]) -> Step:
    known = {"id", "in", "out", "run", "scatter", "scatterMethod", "label", "doc"}
    known_keys(entry, place, known, _STEP_REFUSED)
    name = entry["id"]
    if not _STEP_ID.fullmatch(name):
        place.refuse(
            f"step id {name!r} is not usable", "use at most 20 characters of a-z, 0-9 and -"
        )
    run = entry.get("run")
    if not isinstance(run, str):
        (place / "run").refuse(
            "expected the file of a tool", "write an embedded tool to its own file"
        )
    links = {}
    for where, link in entries(entry.get("in"), place / "in", "id", "source"):
        links[link["id"]] = _link(link, where)
    scatter = texts(entry.get("scatter"), place / "scatter")
    method = entry.get("scatterMethod")
    if method not in (None, "dotproduct"):
        (place / "scatterMethod").refuse(f"{method!r} is not supported", "use dotproduct")
    if len(scatter) > 1 and method is None:
        (place / "scatterMethod").refuse("is missing", "write `scatterMethod: dotproduct`")
    return Step(
        id=name,
        process=load(run, place / "run"),
        inputs=links,
        scatter=tuple(item.rsplit("/", 1)[-1] for item in scatter),
        out=tuple(item["id"] for _, item in _outs(entry.get("out"), place / "out")),
    )


def _outs(value: Any, place: Place) -> list[tuple[Place, dict[str, Any]]]:
    listed = [{"id": item} if isinstance(item, str) else item for item in value or []]
    return entries(listed, place, "id", None)


def _link(link: dict[str, Any], place: Place) -> StepInput:
    known_keys(link, place, {"id", "source", "default", "pickValue", "label"}, _LINK_REFUSED)
    source = link.get("source")
    default = link.get("default")
    if source is None and default is None:
        place.refuse("has neither source nor default")
    return StepInput(
        id=link["id"],
        sources=tuple(item.removeprefix("#") for item in texts(source, place / "source")),
        many=isinstance(source, list) and len(source) > 1,
        pick_value=_pick_value(link.get("pickValue"), place / "pickValue"),
        default=default,
        has_default=default is not None,
    )


def _pick_value(value: Any, place: Place) -> str | None:
    if value not in (None, "all_non_null"):
        place.refuse(f"{value!r} is not supported", "use all_non_null")
    return None if value is None else text(value, place)


def _order(steps: Mapping[str, Step], place: Place) -> dict[str, Step]:
    needs: dict[str, list[str]] = {}
    for step in steps.values():
        needs[step.id] = []
        for source in step.sources():
            first, _, output = source.partition("/")
            if output and first not in steps:
                (place / step.id).refuse(
                    f"source {source!r} names no step", f"there are {', '.join(steps)}"
                )
            if output:
                needs[step.id].append(first)
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        place.refuse("steps wait for one another: " + " -> ".join(error.args[1]))
    return {name: steps[name] for name in order}


def _check_step(
    step: Step, inputs: Mapping[str, Input], steps: Mapping[str, Step], place: Place
) -> None:
    tool = step.process
    for name in step.out:
        if name not in tool.outputs:
            (place / "out").refuse(
                f"{tool.id} has no output {name!r}", f"it has {', '.join(tool.outputs)}"
            )
    for name in step.scatter:
        if name not in step.inputs:
            (place / "scatter").refuse(f"{name!r} is no input of this step")
    for link in step.inputs.values():
        if link.id not in tool.inputs:
            (place / "in" / link.id).refuse(
                f"{tool.id} has no such input", f"it has {', '.join(tool.inputs)}"
            )
        _check_link(link, step, inputs, steps, place / "in" / link.id)
    for wanted in tool.inputs.values():
        if (
            wanted.id not in step.inputs
            and not wanted.has_default
            and not isinstance(wanted.type, Optional)
        ):
            (place / "in").refuse(f"{tool.id} needs input {wanted.id!r} ({type_name(wanted.type)})")


def _check_link(
    link: StepInput,
    step: Step,
    inputs: Mapping[str, Input],
    steps: Mapping[str, Step],
    place: Place,
) -> None:
    declared = step.process.inputs[link.id]
    sink: CwlType = Optional(declared.type) if declared.has_default else declared.type
    if link.id in step.scatter:
        sink = Array(sink)
    if link.has_default:
        for pointer, expected, got in mismatches(required(sink), link.default):
            (place / "default").refuse(f"{pointer or 'the value'}: expected {expected}, got {got}")
        sink = Optional(sink)
    if link.sources:
        source = _link_type(link.sources, link.many, link.pick_value, inputs, steps, place)
        if not accepts(sink, source):
            place.refuse(
                f"takes {type_name(sink)}, but its source gives {type_name(source)}",
                _hint(sink, source),
            )


def _link_type(
    sources: tuple[str, ...],
    many: bool,
    pick_value: str | None,
    inputs: Mapping[str, Input],
    steps: Mapping[str, Step],
    place: Place,
) -> CwlType:
    """Return the type of the values that arrive over a link."""
    types = [_source_type(source, inputs, steps, place) for source in sources]
    type_ = types[0]
    if many:
        widest = next((t for t in types if all(accepts(t, other) for other in types)), None)
        if widest is None:
            place.refuse("its sources differ in type: " + ", ".join(map(type_name, types)))
        type_ = Array(widest)
    if pick_value is not None:
        if not isinstance(type_, Array):
            place.refuse("pickValue needs a list", "remove it, or name several sources")
        type_ = Array(required(type_.items))
    return type_


def _source_type(
    source: str, inputs: Mapping[str, Input], steps: Mapping[str, Step], place: Place
) -> CwlType:
    name, _, output = source.partition("/")
    if not output:
        if name not in inputs:
            place.refuse(
                f"source {source!r} names no input", f"there are {', '.join(inputs) or 'none'}"
            )
        given = inputs[name]
        return required(given.type) if given.has_default else given.type
    step = steps.get(name)
    if step is None:
        place.refuse(f"source {source!r} names no step", f"there are {', '.join(steps)}")
    if output not in step.out:
        place.refuse(
            f"step {name} gives no {output!r}",
            f"it gives {', '.join(step.out) or 'nothing'}; see its `out`",
        )
    type_ = step.process.outputs[output].type
    return Array(type_) if step.scatter else type_


def _hint(sink: CwlType, source: CwlType) -> str:
    if isinstance(source, Optional) and accepts(sink, source.item):
        return "make it optional (`?`), or give the source a default"
    if isinstance(source, Array) and accepts(sink, Array(required(source.items))):
        return "add `pickValue: all_non_null`"
    if isinstance(source, Array) and accepts(sink, source.items):
        return "add `scatter`, or take the array"
    return ""
