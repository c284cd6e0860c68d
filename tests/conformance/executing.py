"""Requests that the tests of requirements make again and again."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import httpx

from tests.conformance.published import check
from tests.serving import Server

OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
CONF = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
VALUE, REFERENCE = {"transmissionMode": "value"}, {"transmissionMode": "reference"}


def execute(
    server: Server, inputs: dict[str, Any], prefer: str | None = None, **members: Any
) -> httpx.Response:
    """Post an execute request for the echo, which itself keeps to the published schema."""
    body = {"inputs": {"stringInput": "Value1", **inputs}, **members}
    headers = {} if prefer is None else {"Prefer": prefer}
    return server.post("/processes/echo/execution", body, headers=headers)


def valid(server: Server, inputs: dict[str, Any], **members: Any) -> httpx.Response:
    """Execute what the published schema calls an execute request."""
    check("execute", {"inputs": {"stringInput": "Value1", **inputs}, **members})
    return execute(server, inputs, **members)


def echoed(server: Server, name: str, value: Any) -> Any:
    """Execute with one more input and return what the results document holds for it."""
    output = f"{name}Output"
    answer = valid(server, {f"{name}Input": value}, outputs={output: VALUE}, response="document")
    assert answer.status_code == 200, answer.text
    check("results", answer.json())
    assert set(answer.json()) == {output}
    return answer.json()[output]


def finished(server: Server, inputs: dict[str, Any] | None = None, **members: Any) -> str:
    """Execute asynchronously and return the id of the job once it has ended."""
    answer = execute(server, inputs or {}, "respond-async", **members)
    assert answer.status_code == 201, answer.text
    job: str = answer.json()["jobID"]
    server.finish(job)
    return job


def violations(answer: httpx.Response) -> dict[str, dict[str, str]]:
    """Return the violations of a problem document by JSON pointer."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    check("exception", answer.json())
    return {entry["pointer"]: entry for entry in answer.json()["violations"]}


def parts(answer: httpx.Response) -> dict[str, EmailMessage]:
    """Return the parts of a multipart answer by the output that each belongs to."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\nMIME-Version: 1.0\r\n\r\n"
    message = email.message_from_bytes(head.encode() + answer.content, policy=email.policy.HTTP)
    found = {}
    for part in message.iter_parts():
        assert isinstance(part, EmailMessage)
        found[str(part["Content-ID"]).strip("<>")] = part
    return found


def links(answer: httpx.Response) -> dict[str, str]:
    """Return the addresses of the Link headers by their title, which is the output's name."""
    found = {}
    for header in answer.headers.get_list("Link"):
        address, _, rest = header.partition(">")
        found[rest.split('title="')[1].split('"')[0]] = address.removeprefix("<")
    return found
