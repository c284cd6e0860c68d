"""What a client gets wrong is answered 4xx with a problem, never 500, and reaches no other file."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.serving import Server

JSON = {"Content-Type": "application/json"}


def finished(server: Server, **members: object) -> str:
    body = {"inputs": {"name": "Ada"}, **members}
    answer = server.post("/processes/greet/execution", body, headers={"Prefer": "respond-async"})
    job: str = answer.json()["jobID"]
    assert server.finish(job)["status"] == "successful"
    return job


@pytest.mark.parametrize(
    "body",
    [
        rb'{"inputs": {"name": "\u0000"}}',
        rb'{"inputs": {"name": "\ud800"}}',
        rb'{"inputs": {"\udfff": "a"}}',
        rb'{"inputs": {"name": "a"}, "outputs": {"\ud800": {}}}',
    ],
)
def test_text_that_no_program_can_take_is_refused(server: Server, body: bytes) -> None:
    answer = httpx.post(f"{server.url}/processes/greet/execution", content=body, headers=JSON)
    assert answer.status_code == 400
    assert "NUL" in answer.json()["detail"]


def test_escapes_that_only_look_like_it_are_accepted(server: Server) -> None:
    body = rb'{"inputs": {"name": "\ud83c\udf33 \\u0000"}, "response": "raw"}'
    answer = httpx.post(f"{server.url}/processes/greet/execution", content=body, headers=JSON)
    assert answer.status_code == 200
    assert "\N{DECIDUOUS TREE} \\u0000" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/jobs?limit=%C2%B2",
        "/jobs?limit=0",
        "/jobs?limit=1001",
        "/jobs?minDuration=%D9%A3",
        "/processes?limit=%C2%B2",
        "/processes?offset=99999999999999999999",
        "/health?f=html",
        "/releases/demo-rural/000001/manifest.json?colour=red",
    ],
)
def test_parameters_that_are_no_numbers_or_unknown_are_refused(server: Server, path: str) -> None:
    assert server.get(path).status_code == 400


@pytest.mark.parametrize("path", ["x", "%2e%2e", "%2e%2e/%2e%2e/task-r1.json", "%00", "a" * 3000])
def test_results_hold_no_other_file(server: Server, path: str) -> None:
    job = finished(server)
    for output in ("greeting", "everything", "none"):
        answer = server.get(f"/jobs/{job}/results/{output}/{path}")
        assert answer.status_code == 404, answer.text


def test_a_job_that_is_being_dismissed_is_not_dismissed_again(server: Server) -> None:
    answer = server.post(
        "/processes/greet/execution",
        {"inputs": {"name": "Ada", "pause": 59}},
        headers={"Prefer": "respond-async"},
    )
    job = answer.json()["jobID"]
    assert server.delete(f"/jobs/{job}").status_code == 200
    assert server.delete(f"/jobs/{job}").status_code == 410


def memory_mb(server: Server) -> float:
    """Return the most memory (MB) that one of the server's processes has had."""
    (web,) = (
        child
        for child in psutil.Process(server.process.pid).children()
        if child.name() == "cdi-web"
    )
    processes = [web, *web.children()]  # none that comes and goes with a step
    found = []
    for process in processes:
        text = Path(f"/proc/{process.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", text)
        found.append(int(peak[1]) / 1000 if peak else 0.0)
    return max(found)


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """Check that an answer is a problem document that tells nothing of the program's inside."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert {"type", "title", "detail", "instance"} <= set(problem)
    assert not re.search(r"Traceback|File \"|\.py\b|sys\.", answer.text)
    return problem


def send(server: Server, body: Any, **headers: str) -> httpx.Response:
    address = f"{server.url}/processes/greet/execution"
    return httpx.post(address, content=body, headers={**JSON, **headers}, timeout=60)


def chunks(size: int) -> Iterator[bytes]:
    yield b'{"inputs": {"name": "'
    for _ in range(size // 1_000_000):
        yield b"x" * 1_000_000


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_100_mb_is_refused_without_taking_memory(server: Server, announced: bool) -> None:
    send(server, b"x" * 31_000_000)  # what is allowed takes its memory
    before = memory_mb(server)
    length = {"Content-Length": str(21 + 100_000_000)} if announced else {}
    problem = problem_of(send(server, chunks(100_000_000), **length))
    assert problem["status"] == 413
    assert "At most 32,000,000 bytes" in problem["detail"]
    assert "by reference" in problem["detail"]
    assert memory_mb(server) - before < 60


def test_a_body_of_many_small_parts_is_refused(server: Server) -> None:
    problem = problem_of(send(server, b"[" + b"[]," * 10_000_000 + b"[]]"))
    assert problem["status"] == 413
    assert "2,000,000 arrays and objects" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Expecting value"),
        (b'{"inputs": {"name": "A', "Unterminated string"),
        (b'{"inputs": {"name": "Ada"}', "Expecting ',' delimiter"),
        (b'{"inputs": {"name": "Ada"}}}', "Extra data"),
        (b'{"inputs": {"name": "Ada", "name": "Eve"}}', "'name' twice"),
        (b'{"inputs": {"name": "Ada"}, "inputs": {}}', "'inputs' twice"),
        (b'{"inputs": {"pause": NaN}}', "NaN is not a JSON number"),
        (b'{"inputs": {"pause": -Infinity}}', "-Infinity is not a JSON number"),
        (b'{"inputs": {"pause": 1' + b"0" * 5000 + b"}}", "thousands of digits"),
        (b'{"inputs": {"name": "\xe4"}}', "Byte 21 is not UTF-8"),
        ('{"inputs": {"name": "Ada"}}'.encode("utf-16"), "is not UTF-8"),
        (b'["inputs"]', "an object with 'inputs'"),
        (b"null", "an object with 'inputs'"),
        (b'{"inputs": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "levels"),
        (b'{"inputs": ' + b"[" * 900 + b"]" * 900 + b"}", "levels"),
        (b'{"outputs": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "levels"),
        (b'{"subscriber": ' + b"[" * 200 + b"]" * 200 + b"}", "levels"),
        (b"[" * 100_000, "levels"),
    ],
)
def test_a_body_that_is_no_strict_json_is_refused(server: Server, body: bytes, words: str) -> None:
    problem = problem_of(send(server, body))
    assert problem["status"] == 400
    assert words in problem["detail"]


def test_a_member_that_is_there_twice_is_found_among_many(server: Server) -> None:
    members = ",".join(f'"k{number}":1' for number in range(500_000))
    problem = problem_of(send(server, f'{{{members},"k499999":1}}'.encode()))
    assert (problem["status"], "'k499999' twice" in problem["detail"]) == (400, True)


def test_a_number_too_large_for_anybody_is_refused(server: Server) -> None:
    problem = problem_of(send(server, b'{"inputs": {"name": "Ada", "pause": 1e999}}'))
    assert problem["status"] == 400
    assert "a finite number" in problem["detail"]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Content-Type": "text/xml"}, "text/xml given; send application/json"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "send application/json"),
        ({"Content-Type": "application/json; charset=iso-8859-1"}, "iso-8859-1 given"),
        ({"Content-Type": "application/json; charset=utf-16"}, "utf-16 given"),
        ({"Content-Encoding": "gzip"}, "gzip given; send the body as it is"),
    ],
)
def test_a_body_of_another_kind_is_refused(
    server: Server, headers: dict[str, str], words: str
) -> None:
    problem = problem_of(send(server, b'{"inputs": {"name": "Ada"}}', **headers))
    assert problem["status"] == 415
    assert words in problem["detail"]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    "kind", ["application/json; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_in_utf_8_is_taken_however_it_is_announced(
    server: Server, start: bytes, kind: str
) -> None:
    body = start + '{"inputs": {"name": "Jürgen"}, "response": "raw"}'.encode()
    assert send(server, body, **{"Content-Type": kind}).status_code == 200


def raw(server: Server, request: bytes) -> bytes:
    """Send bytes as they are and return the whole answer."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "/processes/..%2f..%2fetc%2fpasswd",
        "/processes/%2e%2e/%2e%2e/etc/passwd",
        "/processes/../../etc/passwd",
        "/static/..%2fapp.py",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/releases/..%2f..%2fvar/000001/cdi.db",
        "/releases/orchards/..%2f..%2f/cdi.db",
        "/jobs/%00",
        "/jobs/..%2f..%2fcdi.db/results",
        "/jobs/%ff%fe",
        "/collections/%00/items",
        "//example.org/%2f..",
        "/processes/greet%0d%0aX-Injected:%20yes/execution",
    ],
)
def test_paths_that_try_tricks_lead_nowhere(server: Server, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head, _, body = raw(server, request.encode()).partition(b"\r\n\r\n")
    assert head.split()[1] in (b"400", b"404", b"405"), head
    assert b"application/problem+json" in head
    assert b"\nX-Injected" not in head
    assert b"Traceback" not in body


@pytest.mark.parametrize("name", ["after", "processID", "status", "f", "datetime"])
def test_a_nul_in_a_parameter_is_refused(server: Server, name: str) -> None:
    assert problem_of(server.get(f"/jobs?{name}=%00"))["status"] == 400


INJECTED = "a\r\nX-Injected: yes"


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"name": INJECTED}, "response": "raw"},
        {"inputs": {INJECTED: "Ada"}},
        {"inputs": {"name": "Ada"}, "outputs": {INJECTED: {}}},
        {"inputs": {"name": "Ada"}, "response": INJECTED},
        {"inputs": {"name": "Ada"}, "subscriber": {"successUri": "https://127.0.0.1/" + INJECTED}},
        {"inputs": {"name": {"href": "https://127.0.0.1/x", "title": INJECTED}}},
    ],
)
def test_line_breaks_in_a_request_become_no_headers(server: Server, body: dict[str, Any]) -> None:
    answer = server.post("/processes/greet/execution", body)
    assert answer.status_code in (200, 400)
    assert "X-Injected" not in answer.headers


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: a\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"<script>alert(1)</script>\r\n\r\n", 400),
        (
            b"POST /processes/greet/execution HTTP/1.1\r\nHost: x\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            400,
        ),
    ],
)
def test_what_is_no_http_gets_a_problem_too(server: Server, request_: bytes, status: int) -> None:
    head, _, body = raw(server, request_).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status, head
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == status
    assert b"Traceback" not in body


def test_a_body_that_breaks_off_is_refused(server: Server) -> None:
    request = (
        b"POST /processes/greet/execution HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        b"Connection: close\r\n\r\n{"
    )
    head, _, body = raw(server, request).partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"ends before the announced length" in body


def test_line_breaks_in_headers_are_refused(server: Server) -> None:
    request = (
        b"POST /processes/greet/execution HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Prefer: wait=5\rX-Injected: yes\r\nContent-Length: 2\r\n\r\n{}"
    )
    head = raw(server, request).partition(b"\r\n\r\n")[0]
    assert head.split()[1] == b"400"
    assert b"X-Injected: yes" not in head
