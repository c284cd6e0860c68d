"""Nested processes (OGC API - Processes, Part 3): an input may be another process's output."""

from __future__ import annotations

from typing import Any

from tests.conformance.executing import execute, violations
from tests.conformance.published import check
from tests.serving import Server

ASYNC = "respond-async"


def nested(process: str = "echo", output: str | None = "stringOutput", **inputs: Any) -> Any:
    chosen = {} if output is None else {"outputs": {output: {}}}
    return {"process": process, "inputs": {"stringInput": "inner", **inputs}, **chosen}


def results(echo: Server, inputs: dict[str, Any], **members: Any) -> Any:
    answer = execute(echo, inputs, ASYNC, **members)
    assert answer.status_code == 201, answer.text
    check("statusInfo", answer.json())
    assert answer.json()["processID"] == "echo"
    job = answer.json()["jobID"]
    assert echo.finish(job)["status"] == "successful"
    return job, echo.get(f"/jobs/{job}/results").json()


def test_a_nested_process_gives_a_value_and_a_file_in_one_job(echo: Server) -> None:
    inner = nested(f"{echo.url}/processes/echo", "documentOutput", documentInput="<inner/>")
    inputs = {"stringInput": nested(), "documentInput": inner, "doubleInput": 1.5}
    outputs = {"documentOutput": {"transmissionMode": "value"}, "stringOutput": {}}
    job, document = results(echo, inputs, outputs=outputs)
    assert document["stringOutput"] == "inner"
    assert document["documentOutput"]["value"] == "<inner/>"
    steps = echo.get(f"/jobs/{job}/attempts").json()["steps"]
    assert sorted(step["step"] for step in steps) == ["echo", "n1-echo", "n2-echo"]


def test_processes_nest_to_several_levels_and_the_only_fitting_output_is_meant(
    echo: Server,
) -> None:
    inner = nested(output=None, stringInput=nested(output=None, stringInput="innermost"))
    _, document = results(echo, {"stringInput": inner})
    assert document == {"stringOutput": "innermost"}


def test_a_nested_job_that_fails_names_the_step(echo: Server) -> None:
    answer = execute(echo, {"stringInput": nested(stringInput="fail")}, ASYNC)
    job = answer.json()["jobID"]
    done = echo.finish(job)
    assert (done["status"], done["message"]) == (
        "failed",
        "failed: n1-echo: the echo was told to fail",
    )


def test_the_inputs_of_a_nested_process_are_checked_where_they_stand(echo: Server) -> None:
    inner = nested(arrayInput=[1], codeInput="x")
    found = violations(execute(echo, {"stringInput": inner, "doubleInput": 11}))
    assert set(found) == {
        "/inputs/stringInput/inputs/arrayInput",
        "/inputs/stringInput/inputs/codeInput",
        "/inputs/doubleInput",
    }
    assert {entry["input"] for entry in found.values()} == {"stringInput", "doubleInput"}
    missing = {"process": "echo", "inputs": {}}
    found = violations(execute(echo, {"stringInput": missing}))
    assert set(found) == {"/inputs/stringInput/inputs/stringInput"}


def test_what_cannot_be_nested_is_refused_with_all_reasons(echo: Server) -> None:
    deep: Any = "x"
    for _ in range(8):
        deep = nested(stringInput=deep)
    inputs = {
        "stringInput": nested("none"),
        "codeInput": nested("https://example.org/processes/echo"),
        "arrayInput": nested(),
        "documentInput": nested(output="imageOutput"),
        "choiceInput": nested(output="none"),
        "dateInput": nested(colour="red", program="x"),
        "geometryInput": {"process": "echo", "inputs": []},
        "doubleInput": nested(stringInput=deep),
    }
    found = violations(execute(echo, inputs))
    assert {pointer.removeprefix("/inputs/").partition("/")[0] for pointer in found} == set(inputs)
    assert found["/inputs/stringInput/process"]["expected"] == "one of the processes echo"
    assert "stringOutput, which gives string" in found["/inputs/arrayInput"]["got"]
    assert "image/png" in found["/inputs/documentInput"]["got"]
    assert "/inputs/dateInput/inputs/colour" in found
    assert "/inputs/dateInput/inputs/program" in found
    assert any("inside one another" in entry["expected"] for entry in found.values())


def test_a_nested_process_that_is_not_synchronous_gives_the_job(echo: Server) -> None:
    answer = execute(echo, {"stringInput": nested()})  # 60 s for each of both is too long to wait
    assert answer.status_code == 201
    echo.finish(answer.json()["jobID"])
