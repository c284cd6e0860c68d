"""Clients that people use, each through a full cycle: what they parse is what we serve."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from owslib.ogcapi.processes import Processes

from tests.serving import Server

if TYPE_CHECKING:
    from cuiman import Client


def test_owslib_lists_describes_and_executes_synchronously(echo: Server) -> None:
    service = Processes(echo.url)
    assert [link["rel"] for link in service.links if link["rel"] == "service-desc"]
    assert f"{echo.url}/processes" in {link["href"] for link in service.links}
    [summary] = service.processes()
    description = service.process(summary["id"])
    assert description["inputs"]["stringInput"]["schema"]["type"] == "string"
    answer = service.execute("echo", {"stringInput": "a", "arrayInput": [1, 2]})
    assert answer == {"stringOutput": "a", "arrayOutput": {"value": [1, 2]}}
    chosen = service.execute("echo", {"stringInput": "a"}, {"stringOutput": {}})
    assert chosen == {"stringOutput": "a"}


def test_owslib_executes_asynchronously_and_follows_the_job(echo: Server) -> None:
    service = Processes(echo.url)
    accepted = service.execute("echo", {"stringInput": "b"}, async_=True)
    assert accepted["status"] == "accepted"
    assert service.response_headers["Preference-Applied"] == "respond-async"
    location = service.response_headers["Location"]
    assert location == f"{echo.url}/jobs/{accepted['jobID']}"
    echo.finish(accepted["jobID"])
    assert httpx.get(f"{location}/results").json() == {"stringOutput": "b"}


def test_owslib_shows_what_is_wrong_with_a_request(echo: Server) -> None:
    with pytest.raises(RuntimeError, match="stringInput"):
        Processes(echo.url).execute("echo", {"arrayInput": [1, 2]})


@pytest.fixture
def cuiman(echo: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Client]:
    """The typed client; a person's own settings of it stay away."""
    monkeypatch.setenv("HOME", str(tmp_path))
    module = pytest.importorskip("cuiman")
    client = module.Client(api_url=echo.url)
    yield client
    client.close()


def request_of(**members: Any) -> Any:
    from gavicore.models import ProcessRequest

    return ProcessRequest.model_validate(members)


def test_cuiman_reads_every_document(cuiman: Client, echo: Server) -> None:
    assert cuiman.get_capabilities().title == "Echo"
    assert any("conf/dismiss" in uri for uri in cuiman.get_conformance().conformsTo)
    [summary] = cuiman.get_processes().processes
    description = cuiman.get_process(summary.id)
    assert description.inputs is not None
    assert description.inputs["arrayInput"].schema_.maxItems == 10
    request = cuiman.create_execution_request("echo")
    assert request.inputs is not None
    assert "stringInput" in request.inputs


def test_cuiman_executes_follows_fetches_and_dismisses(cuiman: Client, echo: Server) -> None:
    from gavicore.models import JobStatus

    image = base64.b64encode(b"\x89PNG").decode()
    inputs = {"stringInput": "c", "doubleInput": 1.5, "imageInput": image}
    prefer = {"headers": {"Prefer": "respond-async"}}
    job = cuiman.execute_process("echo", request_of(inputs=inputs), **prefer)
    assert job.status == JobStatus.accepted
    until = time.monotonic() + 60
    while job.status not in (JobStatus.successful, JobStatus.failed) and time.monotonic() < until:
        time.sleep(0.1)
        job = cuiman.get_job(job.jobID)
    assert job.status == JobStatus.successful
    assert job.jobID in {entry.jobID for entry in cuiman.get_jobs().jobs}
    results = cuiman.get_job_results(job.jobID).root
    assert results is not None
    assert (results["stringOutput"], results["doubleOutput"]) == ("c", 1.5)
    assert str(getattr(results["imageOutput"], "href", "")).startswith(echo.url)
    assert cuiman.dismiss_job(job.jobID).status == JobStatus.dismissed
    assert cuiman.get_job(job.jobID).status == JobStatus.dismissed


def test_cuiman_understands_a_refusal(cuiman: Client) -> None:
    from cuiman import ClientError

    with pytest.raises(ClientError) as refused:
        cuiman.execute_process("echo", request_of(inputs={"stringInput": 5}))
    assert refused.value.api_error.title == "The request is not valid"
    with pytest.raises(ClientError) as unknown:
        cuiman.get_process("none")
    assert unknown.value.api_error.status == 404
