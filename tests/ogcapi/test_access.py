"""Every route in every role does what the table in docs/identity.md says, and no more."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate
from werkzeug.routing import Map, Rule

from k8s_manager.identity import Role
from ogcapi import access
from tests.ogcapi.asking import GREET, RELEASE, ROOT, Asking

PAGE = ROOT / "docs" / "identity.md"
COLUMNS = (None, *Role)
PARTS = {
    "collection_id": "meadows",
    "item_id": "1",
    "process_id": "greet",
    "output": "greeting",
    "path": "greeting.txt",
    "filename": "site.css",
    "dataset": "demo",
    "version": "000001",
    "name": "manifest.json",
}
FOR_A_RELEASE = " for a release"


def table() -> list[tuple[str, list[str]]]:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)`( for a release)? \| (.*) \|$", text, re.MULTILINE)
    return [(request + more, cells.split(" | ")) for request, more, cells in rows]


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Asking]:
    home = tmp_path_factory.mktemp("asking")
    (home / "cdi.db").write_bytes(empty_store.read_bytes())
    made = Asking.at(home, f"sqlite:///{home / 'cdi.db'}")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def client(asking: Asking) -> Iterator[httpx.Client]:
    with asking.client() as made:
        yield made


@pytest.fixture(scope="module")
def greeted(asking: Asking) -> str:
    """A job that was successful, with its results."""
    return asking.run("greet", {"name": "Ada"})


@pytest.fixture(scope="module")
def broken(asking: Asking) -> dict[str, str]:
    """A job of each kind that can be tried again."""
    ended = {"status": "failed", "outcome": "failed", "finished": 1.0}
    return {
        FOR_A_RELEASE: asking.copy(asking.submit("release", {"name": "a"}), "nobody", **ended),
        "": asking.copy(asking.submit("greet", {"name": "a"}), "nobody", **ended),
    }


def test_the_table_is_made_from_the_code() -> None:
    command = [sys.executable, str(ROOT / "docs" / "make_identity.py"), "--check"]
    done = subprocess.run(command, check=False)
    assert done.returncode == 0, "run: python docs/make_identity.py"


def test_the_table_has_every_route(asking: Asking) -> None:
    served = {
        f"{method} {rule.rule}"
        for rule in asking.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {request.removesuffix(FOR_A_RELEASE) for request, _ in table()} == served


@pytest.mark.parametrize(("request_", "cells"), table(), ids=[name for name, _ in table()])
def test_a_route_answers_each_role_as_the_table_says(
    request_: str,
    cells: list[str],
    asking: Asking,
    client: httpx.Client,
    greeted: str,
    broken: dict[str, str],
) -> None:
    assert len(cells) == len(COLUMNS)
    more = FOR_A_RELEASE if request_.endswith(FOR_A_RELEASE) else ""
    template = broken[more] if "/retry" in request_ else greeted
    for role, cell in zip(COLUMNS, cells, strict=True):
        own = asking.copy(template, role.value if role else "nobody")
        other = asking.copy(template, "somebody else")
        answer = ask(asking, client, request_, role, own)
        place = f"{request_} as {role}: {answer.status_code} {answer.text[:300]}"
        if cell in ("401", "403", "403, 404"):
            assert answer.status_code == int(cell[:3]), place
            assert answer.headers["Content-Type"] == "application/problem+json", place
            assert ("WWW-Authenticate" in answer.headers) == (cell == "401"), place
        else:
            assert cell in ("yes", "own"), place
            assert answer.status_code < 400, place
        if "<job_id>" in request_:
            expected = 404 if cell in ("own", "403, 404") else answer.status_code
            answer = ask(asking, client, request_, role, other)
            assert answer.status_code == expected, place
            if expected == 404:
                assert answer.json()["title"] == "No such job"
        if request_ == "GET /jobs" and answer.status_code == 200:
            shown = {job["jobID"] for job in answer.json()["jobs"]}
            assert own in shown, place
            assert (other in shown) == (cell == "yes"), place


def ask(
    asking: Asking, client: httpx.Client, request: str, role: Role | None, job: str
) -> httpx.Response:
    """Send a request of the table; what is in angle brackets stands for something that exists."""
    method, _, rule = request.removesuffix(FOR_A_RELEASE).partition(" ")
    parts = PARTS | {"job_id": job}
    if request.endswith(FOR_A_RELEASE):
        parts["process_id"] = "release"
    if rule.endswith("/coverage"):
        parts["collection_id"] = "height"
    path = re.sub(r"<(?:path:)?(\w+)>", lambda found: parts[found[1]], rule)
    options: dict[str, Any] = {"headers": asking.bearer(role)}
    body = RELEASE if parts["process_id"] == "release" else GREET
    if method == "POST" and path.endswith("/form"):
        options["data"] = {f"in.{name}": value for name, value in body["inputs"].items()}
    if path.endswith("/execution"):
        options["json"] = body
        options["headers"]["Prefer"] = "respond-async"
    if method == "POST" and path == "/sign-in":
        options["data"] = {"token": asking.tokens[role or Role.VIEWER]}
    if path == "/jobs":
        options["params"] = {"limit": 1000}
    client.cookies.clear()
    return client.request(method, path, **options)


def test_a_route_without_a_role_keeps_the_application_from_starting(asking: Asking) -> None:
    access.check_routes(asking.app.url_map)
    routes = Map([Rule("/new", endpoint="new")])
    with pytest.raises(LookupError, match="new: no role is declared"):
        access.check_routes(routes)


def test_each_route_has_one_method_so_that_one_line_says_all(asking: Asking) -> None:
    for rule in asking.app.url_map.iter_rules():
        assert len((rule.methods or set()) - {"HEAD", "OPTIONS"}) == 1, rule


def test_a_job_of_somebody_else_and_none_are_told_in_the_same_words(
    asking: Asking, client: httpx.Client, greeted: str
) -> None:
    other, none = asking.copy(greeted, "somebody else"), "0" * 32
    for path in ("", "/logs", "/results", "/attempts", "/results/greeting", "?f=html", "?x=1"):
        answers = [
            client.get(f"/jobs/{job}{path}", headers=asking.bearer(Role.RUNNER))
            for job in (other, none)
        ]
        texts = [
            answer.text.replace(job, "JOB")
            for answer, job in zip(answers, (other, none), strict=True)
        ]
        assert answers[0].status_code == answers[1].status_code == 404
        assert texts[0] == texts[1]


def test_who_asks_owns_the_job_also_when_an_administrator_retries_it(
    asking: Asking, client: httpx.Client, broken: dict[str, str]
) -> None:
    headers = asking.bearer(Role.RUNNER) | {"Prefer": "respond-async"}
    made = client.post("/processes/greet/execution", json=GREET, headers=headers).json()["jobID"]
    assert asking.store.job(made).owner == "runner"
    job = asking.copy(broken[""], "runner")
    again = client.post(f"/jobs/{job}/retry", headers=asking.bearer(Role.ADMIN)).json()["jobID"]
    assert asking.store.job(again).owner == "runner"
    assert client.get(f"/jobs/{again}", headers=asking.bearer(Role.RUNNER)).status_code == 200


def test_a_runner_is_told_what_a_release_needs(asking: Asking, client: httpx.Client) -> None:
    answer = client.post(
        "/processes/release/execution", json=RELEASE, headers=asking.bearer(Role.RUNNER)
    )
    assert answer.status_code == 403
    assert "dataset 'demo'" in answer.json()["detail"]
    assert "publisher" in answer.json()["detail"]


def test_a_form_says_before_it_is_sent_what_a_release_needs(
    asking: Asking, client: httpx.Client
) -> None:
    told = {
        (process, role): "need the role publisher" in client.get(
            f"/processes/{process}", headers={**asking.bearer(role), "Accept": "text/html"}
        ).text
        for process in ("release", "greet")
        for role in (Role.RUNNER, Role.PUBLISHER)
    }  # fmt: skip
    assert [asked for asked, said in told.items() if said] == [("release", Role.RUNNER)]


@pytest.mark.parametrize(("role", "status"), [(Role.RUNNER, 403), (Role.PUBLISHER, 201)])
def test_what_a_nested_process_needs_is_needed_too(
    asking: Asking, client: httpx.Client, role: Role, status: int
) -> None:
    inner = {"process": "named-release", "inputs": {"name": "a"}, "outputs": {"told": {}}}
    for name in (inner, {**inner, "inputs": {"name": inner}}):
        answer = client.post(
            "/processes/greet/execution",
            json={"inputs": {"name": name}},
            headers=asking.bearer(role) | {"Prefer": "respond-async"},
        )
        assert answer.status_code == status, answer.text
        if status == 403:
            assert "dataset 'demo'" in answer.json()["detail"]


def test_the_start_page_shows_nobody_what_they_may_not_see(
    asking: Asking, client: httpx.Client, greeted: str
) -> None:
    client.cookies.clear()
    own, other = asking.copy(greeted, "runner"), asking.copy(greeted, "somebody else")
    nobody = client.get("/?f=html").text
    assert "/processes/greet" not in nobody
    assert "/jobs/" not in nobody
    assert "/sign-in" in nobody
    page = client.get("/?f=html", headers=asking.bearer(Role.RUNNER)).text
    assert "/processes/greet" in page
    assert own in page
    assert other not in page


def test_the_definition_names_the_role_that_each_request_needs(
    asking: Asking, client: httpx.Client
) -> None:
    document = client.get("/openapi", headers=asking.bearer(Role.VIEWER)).json()
    validate(document)
    paths = document["paths"]
    assert paths["/jobs/{jobId}"]["delete"]["x-role"] == "runner"
    assert paths["/jobs/{jobId}"]["delete"]["security"] == [{"token": []}]
    assert {"401", "403"} <= paths["/processes/greet/execution"]["post"]["responses"].keys()
    assert paths["/collections/meadows/items"]["get"]["x-role"] == "viewer"
    assert "security" not in paths["/conformance"]["get"]
