"""Nested requests become workflows whose links are those of the processes inside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from k8s_manager.cwl import Process, load_process
from k8s_manager.errors import InvalidInputs
from k8s_manager.nested import unfold
from k8s_manager.registry import Registry

DATA = Path(__file__).parents[1] / "data" / "processes"
ECHO = Path(__file__).parents[1] / "echo" / "echo.cwl"
MONITORING = Path(__file__).parents[2] / "processes" / "orchard_monitoring" / "process.cwl"


@pytest.fixture(scope="module")
def registry() -> Registry:
    files = (DATA / "greet.cwl", DATA / "chain" / "process.cwl", ECHO, MONITORING)
    found = [load_process(file) for file in files]
    return Registry({process.id: process for process in found})


def unfolded(registry: Registry, name: str, inputs: dict[str, Any]) -> Any:
    return unfold(registry, registry.get(name), {"inputs": inputs}, "http://localhost:5000")


def test_a_request_without_nested_processes_stays_as_it_is(registry: Registry) -> None:
    body = {"inputs": {"name": "Ada"}, "response": "raw"}
    request = unfold(registry, registry.get("greet"), body, "http://localhost:5000")
    assert request.process is registry.get("greet")
    assert request.body is body


def test_tools_become_steps_linked_by_the_nested_input(registry: Registry) -> None:
    inputs = {"name": {"process": "echo", "inputs": {"stringInput": "Ada"}}, "times": 2}
    request = unfolded(registry, "greet", inputs)
    process = request.process
    assert list(process.steps) == ["n1-echo", "greet"]
    assert process.steps["greet"].inputs["name"].sources == ("n1-echo/stringOutput",)
    assert request.body["inputs"] == {"times": 2, "n1-stringInput": "Ada"}
    assert (process.id, process.inputs["pause"].default) == ("greet", 0)
    assert set(process.outputs) == {"greeting", "record"}
    assert "n1-program" not in process.inputs
    assert [(part.id, values) for part, values in request.parts(request.body["inputs"])] == [
        ("greet", request.body["inputs"]),
        ("echo", {"stringInput": "Ada"}),
    ]


def test_the_steps_of_a_workflow_are_steps_of_the_job(registry: Registry) -> None:
    inner = {"process": "chain", "inputs": {"count": 2}, "outputs": {"squares": {}}}
    process = unfolded(registry, "echo", {"stringInput": "a", "documentsInput": inner}).process
    assert list(process.steps) == ["n1-split", "n1-work", "n1-join", "echo"]
    assert process.steps["n1-work"].scatter == ("part",)
    assert process.steps["n1-work"].inputs["part"].sources == ("n1-split/parts",)
    assert process.steps["echo"].inputs["documentsInput"].sources == ("n1-work/square",)


def test_a_workflow_takes_the_output_of_another_process(registry: Registry) -> None:
    code = {"process": "echo", "inputs": {"stringInput": "pass"}, "outputs": {"stringOutput": {}}}
    process = unfolded(registry, "chain", {"count": 2, "code": code}).process
    assert process.steps["work"].inputs["code"].sources == ("n1-echo/stringOutput",)
    assert process.outputs["total"].sources == ("join/total",)


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        ({"process": "orchard-monitoring"}, "for which the server itself fills source_config"),
        ({"process": "chain", "outputs": {"squares": {}}}, "squares, which gives File[]"),
        ({"process": "greet", "inputs": {"name": "a"}}, "several (none of them fits)"),
        ({"process": "greet", "outputs": {"record": {}, "greeting": {}}}, "several"),
    ],
)
def test_what_cannot_be_nested_is_refused(
    registry: Registry, inner: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidInputs) as refused:
        unfolded(registry, "echo", {"stringInput": inner})
    assert any(reason in violation.got for violation in refused.value.violations)


def test_an_output_that_may_be_missing_takes_no_place_of_a_default(registry: Registry) -> None:
    inner = {"process": "echo", "inputs": {"stringInput": "a"}, "outputs": {"choiceOutput": {}}}
    with pytest.raises(InvalidInputs) as refused:
        unfolded(registry, "chain", {"count": 2, "code": inner})
    [violation] = refused.value.violations
    assert (violation.pointer, violation.expected) == ("/inputs/code", "string")
    assert "choiceOutput" in violation.got


def test_what_is_wrong_is_reported_up_to_a_limit(registry: Registry) -> None:
    inner = {"process": "echo", "inputs": {f"x{number}": 1 for number in range(5000)}}
    with pytest.raises(InvalidInputs) as refused:
        unfolded(registry, "greet", {"name": inner})
    assert len(refused.value.violations) == 100


def test_a_snapshot_of_the_workflow_gives_it_back(registry: Registry) -> None:
    inputs = {"name": {"process": "echo", "inputs": {"stringInput": "Ada"}}}
    process = unfolded(registry, "greet", inputs).process
    again = Process.from_json(process.to_json())
    assert again.digest == process.digest
    assert {name: step.process.path for name, step in again.steps.items()} == {
        name: step.process.path for name, step in process.steps.items()
    }
    program = again.steps["n1-echo"].process.inputs["program"].default
    assert program["location"].endswith("/tests/echo/echo.py")
