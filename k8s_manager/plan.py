"""From a workflow and what is known so far to the inputs of each step: a pure function of values.

CWL v1.2 (Workflow): sources, defaults, ``pickValue``, scatter element by element (dotproduct), and
gathering of what scattered steps gave. A single tool is a workflow of one step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k8s_manager.cwl import Process, Step, StepInput

_STEP_NAME = re.compile(r"[a-z0-9-]{1,20}")


class PlanError(Exception):
    """The values do not fit the workflow: arrays of different lengths, no value to pick."""


@dataclass(frozen=True)
class Plan:
    """The steps of a process, a single tool being one step."""

    process: Process
    steps: Mapping[str, Step]
    """In an order in which they can run."""

    def ready(self, step: Step, outputs: Mapping[str, Any]) -> bool:
        """Tell whether every step that `step` reads from is in `outputs`."""
        return all(
            source.partition("/")[0] in outputs for source in step.sources() if "/" in source
        )

    def inputs(
        self, step: Step, values: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the input values of each index of a step; one for a step without scatter.

        Args:
            step: A step that is `ready`.
            values: The job's input values.
            outputs: Output values by step and output id, gathered.

        Raises:
            PlanError: Scattered arrays differ in length, or a value is no array.
        """
        linked = {name: _linked(link, values, outputs) for name, link in step.inputs.items()}
        if not step.scatter:
            return [linked]
        lengths = set()
        for name in step.scatter:
            if not isinstance(linked[name], list):
                raise PlanError(f"step {step.id} scatters over {name}, which is no array")
            lengths.add(len(linked[name]))
        if len(lengths) != 1:
            raise PlanError(f"step {step.id} scatters over arrays of different lengths")
        return [
            linked | {name: linked[name][index] for name in step.scatter}
            for index in range(lengths.pop())
        ]

    def gathered(self, step: Step, committed: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the output values of a step all of whose indexes are committed."""
        names = list(step.process.outputs)
        if not step.scatter:
            return {name: committed[0].get(name) for name in names}
        return {name: [committed[index].get(name) for index in sorted(committed)] for name in names}

    def results(
        self, values: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return the output values of the whole process."""
        if self.process.tool is not None:
            return dict(next(iter(outputs.values())))
        return {
            output.id: _picked(
                [_source(source, values, outputs) for source in output.sources],
                output.many,
                output.pick_value,
                output.id,
            )
            for output in self.process.outputs.values()
        }

    def reads(self, step: Step, name: str) -> bool:
        """Tell whether a step reads the job's input `name`."""
        return name in step.sources()


def plan_of(process: Process) -> Plan:
    """Return the plan of a process."""
    if process.tool is None:
        return Plan(process, process.steps)
    name = process.id if _STEP_NAME.fullmatch(process.id) else "run"
    links = {item.id: StepInput(item.id, sources=(item.id,)) for item in process.inputs.values()}
    return Plan(process, {name: Step(name, process, links, out=tuple(process.outputs))})


def with_defaults(process: Process, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every input of a process: the given one, its default, or null."""
    return {
        name: declared.default if values.get(name) is None else values[name]
        for name, declared in process.inputs.items()
    }


def _linked(
    link: StepInput, values: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]
) -> Any:
    value = None
    if link.sources:
        found = [_source(source, values, outputs) for source in link.sources]
        value = _picked(found, link.many, link.pick_value, link.id)
    return link.default if value is None and link.has_default else value


def _source(
    source: str, values: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]
) -> Any:
    step, slash, name = source.partition("/")
    return outputs[step][name] if slash else values.get(source)


def _picked(found: list[Any], many: bool, pick: str | None, where: str) -> Any:
    """Apply ``pickValue``: to the list of sources, or to the list that a single source gives."""
    value = found if many else found[0]
    if pick is None or not isinstance(value, list):
        return value
    present = [item for item in value if item is not None]
    if pick == "all_non_null":
        return present
    if not present or (pick == "the_only_non_null" and len(present) > 1):
        raise PlanError(f"{where}: {pick} found {len(present)} values")
    return present[0]
