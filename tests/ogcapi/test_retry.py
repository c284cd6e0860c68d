"""Trying a job again over HTTP and on the command line."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.ogcapi.test_command_line import cdi
from tests.serving import Server, serving

ROOT = Path(__file__).parents[2]
PROCESSES = ROOT / "tests" / "data" / "processes"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def configuration(folder: Path) -> Path:
    """Write a configuration with a chain of three steps and a small process."""
    config = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    name = "k8s_manager.processor.CwlProcessor"
    files = {"chain": PROCESSES / "chain" / "process.cwl", "greet": PROCESSES / "greet.cwl"}
    config["resources"] = {
        process: {"type": "process", "processor": {"name": name, "cwl": str(path)}}
        for process, path in files.items()
    }
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("chains")
    with serving(configuration(folder), folder / "var", env={"CDI_WORKERS": "1"}) as running:
        yield running


def execute(server: Server, process: str, inputs: dict[str, Any], **members: Any) -> str:
    body = {"inputs": inputs, **members}
    headers = {"Prefer": "respond-async"}
    answer = server.post(f"/processes/{process}/execution", body, headers=headers)
    return str(answer.json()["jobID"])


def retry(server: Server, job: str, **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/jobs/{job}/retry", timeout=60, **options)


def links(document: dict[str, Any], rel: str) -> list[str]:
    return [entry["href"] for entry in document["links"] if entry["rel"] == rel]


def failed_chain(server: Server, marker: Path) -> str:
    """Execute two parts of which one fails until `marker` is there."""
    code = f"import time\nif part == 'p1' and not pathlib.Path({str(marker)!r}).exists():\n"
    code += (
        "    while not list(pathlib.Path('../../../0').glob('*/attempt.json')): time.sleep(.02)\n"
    )
    code += "    time.sleep(1); raise SystemExit(65)\n"
    job = execute(server, "chain", {"count": 2, "code": code}, outputs={"total": {}})
    assert server.finish(job)["status"] == "failed"
    return job


def test_a_retry_is_a_new_job_linked_both_ways(chains: Server, tmp_path: Path) -> None:
    job = failed_chain(chains, tmp_path / "m")
    (tmp_path / "m").touch()
    answer = retry(chains, job)
    assert answer.status_code == 201
    new = answer.json()
    assert answer.headers["Location"] == f"{chains.url}/jobs/{new['jobID']}"
    assert (new["status"], new["processID"]) == ("accepted", "chain")
    assert links(new, "predecessor-version") == [f"{chains.url}/jobs/{job}"]
    old = chains.get(f"/jobs/{job}").json()
    assert links(old, "successor-version") == [answer.headers["Location"]]
    assert old["status"] == "failed"
    done = chains.finish(new["jobID"])
    assert done["status"] == "successful"
    assert done["reused"] == [
        {"step": "split", "indexes": [0], "jobID": job},
        {"step": "work", "indexes": [0], "jobID": job},
    ]
    results = chains.get(f"/jobs/{new['jobID']}/results").json()
    assert set(results) == {"total"}  # what was asked for the first time
    assert chains.get(results["total"]["href"]).text == "5"


def test_the_page_of_a_failed_job_has_a_button_that_works(chains: Server, tmp_path: Path) -> None:
    job = failed_chain(chains, tmp_path / "m")
    page = chains.get(f"/jobs/{job}", headers=BROWSER).text
    form = re.search(r'<form method="post" action="([^"]+)"', page)
    assert form is not None
    answer = httpx.post(chains.url + form[1], headers=BROWSER, timeout=60)
    assert answer.status_code == 303
    new = answer.headers["Location"]
    assert chains.finish(new.rpartition("/")[2])["status"] == "failed"
    page = chains.get(new, headers=BROWSER).text
    assert f'href="/jobs/{job}"' in page
    assert "1 taken over from job" in page
    running = execute(chains, "greet", {"name": "Ada", "pause": 59})
    assert "/retry" not in chains.get(f"/jobs/{running}", headers=BROWSER).text
    chains.delete(f"/jobs/{running}")


def test_what_cannot_be_retried_is_answered_with_the_reason(chains: Server, tmp_path: Path) -> None:
    assert retry(chains, "0" * 32).status_code == 404
    running = execute(chains, "greet", {"name": "Ada", "pause": 59})
    for _ in range(2):
        answer = retry(chains, running)
        assert (answer.status_code, answer.json()["title"]) == (409, "The job cannot be retried")
        assert answer.headers["Content-Type"] == "application/problem+json"
    chains.delete(f"/jobs/{running}")
    assert chains.finish(running)["status"] == "dismissed"
    first = retry(chains, running)
    assert first.status_code == 201
    second = retry(chains, running)
    assert (second.status_code, first.json()["jobID"] in second.json()["detail"]) == (409, True)
    chains.delete(f"/jobs/{first.json()['jobID']}")
    good = execute(chains, "greet", {"name": "Ada"})
    chains.finish(good)
    answer = retry(chains, good)
    assert (answer.status_code, "was successful" in answer.json()["detail"]) == (409, True)
    bad = failed_chain(chains, tmp_path / "m")
    answer = retry(chains, bad, json={"inputs": {"count": 1}})
    assert (answer.status_code, answer.json()["title"]) == (400, "A retry takes no body")
    assert retry(chains, bad, params={"inputs": "1"}).status_code == 400
    assert chains.get(f"/jobs/{bad}/retry").status_code == 405
    chains.delete(f"/jobs/{bad}")
    answer = retry(chains, bad)
    assert (answer.status_code, "its files were removed" in answer.json()["detail"]) == (410, True)


def test_results_whose_time_is_over_are_gone_and_the_record_stays(tmp_path: Path) -> None:
    days = "0.00001"  # about a second
    env = {"CDI_KEEP_WORKSPACE_DAYS": days, "CDI_KEEP_LOGS_DAYS": days, "CDI_TIDY_S": "0.2"}
    env["CDI_WORKERS"] = "1"
    with serving(configuration(tmp_path), tmp_path / "var", env=env) as server:
        job = execute(server, "greet", {"name": "Ada"})
        server.finish(job)
        until = time.monotonic() + 120
        while {server.get(f"/jobs/{job}/{of}").status_code for of in ("results", "logs")} != {410}:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert "the logs of job" in server.get(f"/jobs/{job}/logs").json()["detail"]
        (attempt,) = server.get(f"/jobs/{job}/attempts").json()["attempts"]
        assert attempt["exitCode"] == 0
        problem = server.get(f"/jobs/{job}/results").json()
        assert problem["title"] == "The files of the job were deleted"
        assert "execute greet again" in problem["detail"]
        document = server.get(f"/jobs/{job}").json()
        assert document["status"] == "successful"
        assert "its files were deleted on" in document["message"]
        assert not [entry for entry in document["links"] if entry["rel"].endswith("/results")]
        assert server.get(f"/jobs/{job}", headers=BROWSER).status_code == 200
        assert retry(server, job).status_code == 410


def test_the_command_line_tries_again_what_failed(tmp_path: Path) -> None:
    configuration(tmp_path)
    marker = tmp_path / "m"
    code = f"if part == 'p1' and not pathlib.Path({str(marker)!r}).exists(): raise SystemExit(65)"
    (tmp_path / "inputs.yml").write_text(yaml.safe_dump({"count": 2, "code": code}))
    status, out, _ = cdi(tmp_path, "run", "chain", "--inputs", "inputs.yml")
    found = re.search(r"Job ([0-9a-f]{32})", out)
    assert status == 1
    assert found is not None
    marker.touch()
    status, out, error = cdi(tmp_path, "jobs", "retry", found[1])
    assert (status, error) == (0, "")
    assert f"split: 1 taken over from job {found[1]}" in out
    assert "total.txt" in out
    new = re.search(r"Job ([0-9a-f]{32}) tries", out)
    assert new is not None
    assert f"Tried again by job {new[1]}" in cdi(tmp_path, "jobs", "show", found[1])[1]
    assert f"Tries job {found[1]} again" in cdi(tmp_path, "jobs", "show", new[1])[1]
    status, _, error = cdi(tmp_path, "jobs", "retry", new[1])
    assert (status, "was successful" in error) == (2, True)
