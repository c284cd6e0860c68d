"""What a step gets, worked out by hand."""

from __future__ import annotations

import pytest

from k8s_manager.cwl import Process, Step, StepInput
from k8s_manager.cwl_model import Input, Output
from k8s_manager.cwl_types import Array, Primitive
from k8s_manager.plan import Plan, PlanError, plan_of, with_defaults
from tests.k8s_manager.installation import process_of

TEXT = Primitive("string")


def plan(step: Step, *outputs: Output) -> Plan:
    process = Process(
        "p", "", "", "0", {"x": Input("x", TEXT)}, {item.id: item for item in outputs},
        steps={step.id: step},
    )  # fmt: skip
    return Plan(process, {step.id: step})


def step(*inputs: StepInput, scatter: tuple[str, ...] = ()) -> Step:
    tool = Process("t", "", "", "0", {}, {"out": Output("out", TEXT)})
    return Step("s", tool, {item.id: item for item in inputs}, scatter, ("out",))


def test_a_step_is_ready_when_all_it_reads_from_is_done() -> None:
    reader = step(StepInput("a", ("x",)), StepInput("b", ("one/out", "two/out"), many=True))
    assert not plan(reader).ready(reader, {"one": {}})
    assert plan(reader).ready(reader, {"one": {}, "two": {}})


def test_values_come_from_inputs_outputs_and_defaults() -> None:
    reader = step(
        StepInput("a", ("x",)), StepInput("b", ("one/out",)),
        StepInput("c", ("y",), default=5, has_default=True),
        StepInput("d", default=6, has_default=True), StepInput("e"),
    )  # fmt: skip
    (given,) = plan(reader).inputs(reader, {"x": 1, "y": None}, {"one": {"out": 2}})
    assert given == {"a": 1, "b": 2, "c": 5, "d": 6, "e": None}


def test_scatter_takes_elements_side_by_side() -> None:
    reader = step(StepInput("a", ("x",)), StepInput("b", ("y",)), StepInput("c", ("z",)),
                  scatter=("a", "b"))  # fmt: skip
    values = {"x": [1, 2], "y": [3, 4], "z": [5, 6]}
    assert plan(reader).inputs(reader, values, {}) == [
        {"a": 1, "b": 3, "c": [5, 6]}, {"a": 2, "b": 4, "c": [5, 6]},
    ]  # fmt: skip
    assert plan(reader).inputs(reader, {"x": [], "y": [], "z": 1}, {}) == []


@pytest.mark.parametrize("values", [{"x": [1], "y": [1, 2]}, {"x": 1, "y": [1]}])
def test_scatter_over_what_does_not_fit(values: dict[str, object]) -> None:
    reader = step(StepInput("a", ("x",)), StepInput("b", ("y",)), scatter=("a", "b"))
    with pytest.raises(PlanError):
        plan(reader).inputs(reader, values, {})


def test_gathering_follows_the_indexes_not_the_order_of_arrival() -> None:
    scattered = step(StepInput("a", ("x",)), scatter=("a",))
    committed = {2: {"out": "c"}, 0: {"out": "a"}, 1: {}}
    assert plan(scattered).gathered(scattered, committed) == {"out": ["a", None, "c"]}
    assert plan(scattered).gathered(scattered, {}) == {"out": []}
    plain = step(StepInput("a", ("x",)))
    assert plan(plain).gathered(plain, {0: {"out": "a"}}) == {"out": "a"}


@pytest.mark.parametrize(
    ("pick", "expected"),
    [(None, [None, 1, 2]), ("all_non_null", [1, 2]), ("first_non_null", 1)],
)
def test_pick_value_on_a_gathered_list(pick: str | None, expected: object) -> None:
    given = Output("o", Array(TEXT), sources=("s/out",), pick_value=pick)
    whole = plan(step(), given)
    assert whole.results({}, {"s": {"out": [None, 1, 2]}}) == {"o": expected}


def test_pick_value_on_several_sources() -> None:
    given = Output("o", TEXT, sources=("x", "y"), many=True, pick_value="all_non_null")
    assert plan(step(), given).results({"x": None, "y": 3}, {}) == {"o": [3]}
    only = Output("o", TEXT, sources=("x", "y"), many=True, pick_value="the_only_non_null")
    with pytest.raises(PlanError):
        plan(step(), only).results({"x": 1, "y": 3}, {})


def test_a_tool_is_a_workflow_of_one_step() -> None:
    process = process_of("python")
    whole = plan_of(process)
    assert list(whole.steps) == ["python"]
    reader = whole.steps["python"]
    assert whole.inputs(reader, {"code": "x"}, {}) == [{"code": "x", "file": None}]
    assert whole.results({}, {"python": {"result": 1}}) == {"result": 1}


def test_defaults_fill_what_is_missing_or_null() -> None:
    process = process_of("chain")
    assert with_defaults(process, {"count": 2}) == {"count": 2, "code": "pass"}
    assert with_defaults(process, {"count": 2, "code": None})["code"] == "pass"
