"""Results in the form that was asked for: document, raw, links, page."""

from __future__ import annotations

import pytest

from tests.serving import Server

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
REFERENCE = {"transmissionMode": "reference"}


def execute(server: Server, prefer: str, **members: object) -> str:
    body = {"inputs": {"name": "Ada"}, **members}
    answer = server.post("/processes/greet/execution", body, headers={"Prefer": prefer})
    assert answer.status_code == 201
    job: str = answer.json()["jobID"]
    assert server.finish(job)["status"] == "successful"
    return job


def test_raw_results_by_reference_are_links_in_the_header(server: Server) -> None:
    body = {
        "inputs": {"name": "Ada"},
        "response": "raw",
        "outputs": {"greeting": REFERENCE, "record": REFERENCE},
    }
    answer = server.post("/processes/greet/execution", body)
    assert (answer.status_code, answer.content) == (204, b"")
    links = answer.headers.get_list("Link")
    assert len(links) == 2
    address = links[0][1 : links[0].index(">")]
    assert server.get(address).text == "Hello Ada\n"


def test_several_raw_results_are_the_parts_of_one_answer(server: Server) -> None:
    body = {"inputs": {"name": "Ada"}, "response": "raw"}
    answer = server.post("/processes/greet/execution", body)
    assert answer.headers["Content-Type"].startswith("multipart/related")
    assert "Hello Ada\n" in answer.text
    mixed = {**body, "outputs": {"greeting": REFERENCE, "record": {}}}
    answer = server.post("/processes/greet/execution", mixed)
    assert "Content-Location: http" in answer.text
    assert "Hello Ada" not in answer.text


def test_results_of_a_raw_job_are_raw_and_a_document_or_a_page_when_asked(server: Server) -> None:
    job = execute(server, "respond-async", response="raw", outputs={"greeting": {}})
    path = f"/jobs/{job}/results"
    assert server.get(path).text == "Hello Ada\n"
    assert set(server.get(f"{path}?f=json").json()) == {"greeting"}
    assert server.get(path, headers=BROWSER).headers["Content-Type"].startswith("text/html")


def test_results_are_negotiated(server: Server) -> None:
    path = f"/jobs/{execute(server, 'respond-async')}/results"
    assert set(server.get(path).json()) == {"greeting", "record"}
    assert set(server.get(f"{path}?outputs=record").json()) == {"record"}
    assert "greeting.txt" in server.get(path, headers=BROWSER).text
    assert "greeting.txt" not in server.get(f"{path}?outputs=record&f=html").text
    assert server.get(f"{path}?f=xml").status_code == 400
    assert server.get(f"{path}?outputs=none").status_code == 400
    assert server.get(path, headers={"Accept": "image/png"}).status_code == 406


def test_files_that_processes_wrote_run_no_script(server: Server) -> None:
    job = execute(server, "respond-async")
    answer = server.get(f"/jobs/{job}/results/greeting")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("prefer", ['wait="0"', "respond-async; x=y", "handling=strict, WAIT=0"])
def test_preferences_are_read_as_rfc_7240_writes_them(server: Server, prefer: str) -> None:
    execute(server, prefer)


def test_links_of_a_list_keep_its_filters(server: Server) -> None:
    execute(server, "respond-async")
    execute(server, "respond-async")
    links = server.get("/jobs?status=successful&limit=1").json()["links"]
    assert {entry["rel"] for entry in links} == {"self", "alternate", "next"}
    assert all("status=successful&limit=1" in entry["href"] for entry in links)
