"""What a page of another site makes a browser send is refused; programs are not hindered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from k8s_manager.identity import Role
from tests.ogcapi.asking import ADDRESS, BROWSER, GREET, Asking
from tests.ogcapi.test_identification import field, made, named, sign_in

PAGES = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin", **BROWSER}
FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": ADDRESS},
]


@pytest.fixture(params=["none", "tokens", "proxy"])
def browsing(
    request: pytest.FixtureRequest, tmp_path: Path, empty_store: Path
) -> Iterator[tuple[Asking, httpx.Client]]:
    """A browser that is known without its doing: by its machine, by a cookie, by a proxy."""
    env = {"CDI_IDENTITY_METHOD": request.param, "CDI_IDENTITY_PROXY_ADDRESSES": "127.0.0.1"}
    for asking in made(tmp_path, empty_store, **env):
        headers = named("runner", "runner") if request.param == "proxy" else {}
        with asking.client(headers=headers) as client:
            if request.param == "tokens":
                answer = sign_in(client, asking.tokens[Role.RUNNER])
                assert answer.status_code == 303
            yield asking, client


def dismissed(asking: Asking) -> str:
    """Return a job of the browser's owner that can be tried again."""
    owner = "runner" if asking.settings.identity.asked else "local"
    ended = {"status": "failed", "outcome": "failed", "finished": 1.0}
    return asking.copy(asking.submit("greet", {"name": "Ada"}), owner, **ended)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_nothing_is_changed_for_another_site(
    browsing: tuple[Asking, httpx.Client], headers: dict[str, str]
) -> None:
    asking, client = browsing
    job = dismissed(asking)
    before = asking.store.jobs().matched
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"/jobs/{job}/retry", {}),
        ("POST", "/processes/greet/execution", {"json": GREET}),
        ("DELETE", f"/jobs/{job}", {}),
        ("POST", "/sign-out", {}),
        ("POST", "/sign-in", {"data": {"token": asking.tokens[Role.ADMIN]}}),
    ]
    for method, path, options in requests:
        answer = client.request(method, path, headers=headers, **options)
        assert answer.status_code == 403, path
        assert answer.json()["title"] == "The request comes from another site"
        assert "Set-Cookie" not in answer.headers
    assert asking.store.jobs().matched == before
    assert asking.store.job(job).removed is None
    assert client.get(f"/jobs/{job}", headers=headers).status_code == 200  # reading is no change


def test_the_forms_of_our_pages_work_and_only_with_their_token(
    browsing: tuple[Asking, httpx.Client],
) -> None:
    asking, client = browsing
    job = dismissed(asking)
    page = client.get(f"/jobs/{job}", headers=BROWSER)
    right = field(page)
    other = "0" * 64
    for data in ({}, {"csrf": ""}, {"csrf": other}, {"csrf": right[:-1]}, {"csrf": "ü"}):
        answer = client.post(f"/jobs/{job}/retry", data=data, headers=PAGES)
        assert answer.status_code == 403, data
        assert "The form is too old" in answer.text
    answer = client.post(f"/jobs/{job}/retry", data={"csrf": right}, headers=PAGES)
    assert answer.status_code == 303
    assert client.get(answer.headers["Location"]).status_code == 200


def test_a_script_of_our_pages_may_send_the_token_in_a_header(
    browsing: tuple[Asking, httpx.Client],
) -> None:
    asking, client = browsing
    job = dismissed(asking)
    token = field(client.get(f"/jobs/{job}", headers=BROWSER))
    headers = {"Origin": ADDRESS, "X-CSRF-Token": token}
    assert client.post(f"/jobs/{job}/retry", headers=headers).status_code == 201
    done = client.delete(f"/jobs/{job}", headers={"Origin": ADDRESS})
    assert done.status_code == 200


def test_a_token_of_another_browser_is_worth_nothing(
    browsing: tuple[Asking, httpx.Client],
) -> None:
    asking, client = browsing
    job = dismissed(asking)
    client.get(f"/jobs/{job}", headers=BROWSER)
    with asking.client() as attacker:
        stolen = field(attacker.get("/sign-in", headers=BROWSER)) if asked(asking) else "0" * 64
    answer = client.post(f"/jobs/{job}/retry", data={"csrf": stolen}, headers=PAGES)
    assert answer.status_code == 403


def test_a_token_does_not_outlive_its_session(tmp_path: Path, empty_store: Path) -> None:
    for asking in made(tmp_path, empty_store):
        with asking.client() as client:
            sign_in(client, asking.tokens[Role.RUNNER])
            token = field(client.get("/sign-in", headers=BROWSER))
            assert sign_in(client, asking.tokens[Role.ADMIN]).status_code == 303
            answer = client.post("/sign-out", data={"csrf": token}, headers=PAGES)
            assert answer.status_code == 403
            token = field(client.get("/sign-in", headers=BROWSER))
            answer = client.post("/sign-out", data={"csrf": token}, headers=PAGES)
            assert answer.status_code == 303


def test_the_cookie_of_the_forms_stays_the_same_and_is_read_by_no_script(
    browsing: tuple[Asking, httpx.Client],
) -> None:
    asking, client = browsing
    job = dismissed(asking)
    if "cdi-form" in client.cookies:
        client.cookies.delete("cdi-form")
    first = client.get(f"/jobs/{job}", headers=BROWSER)
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(first.headers["Set-Cookie"].split("; "))
    assert "private" in first.headers["Cache-Control"]
    again = client.get(f"/jobs/{job}", headers=BROWSER)
    assert "Set-Cookie" not in again.headers
    assert field(again) == field(first)


def test_programs_need_no_token_of_a_form(browsing: tuple[Asking, httpx.Client]) -> None:
    asking, _ = browsing
    session = asking.bearer(Role.RUNNER) if asked(asking) else {}
    with asking.client(headers=session) as program:
        job = dismissed(asking)
        assert program.post(f"/jobs/{job}/retry").status_code == 201
        typed_by_curl = {"Content-Type": "application/x-www-form-urlencoded"}
        headers = typed_by_curl | {"Prefer": "respond-async"}
        body = b'{"inputs": {"name": "Ada"}}'
        answer = program.post("/processes/greet/execution", content=body, headers=headers)
        assert answer.status_code == 201


def test_a_field_of_a_form_may_be_as_large_as_a_body(tmp_path: Path, empty_store: Path) -> None:
    for asking in made(tmp_path, empty_store):
        with asking.client() as client:
            assert sign_in(client, "x" * 2_000_000).status_code == 401


def test_a_page_of_another_site_may_use_a_token_of_its_own(
    tmp_path: Path, empty_store: Path
) -> None:
    for asking in made(tmp_path, empty_store):
        with asking.client(headers={"Origin": "https://map.example"}) as client:
            headers = asking.bearer(Role.RUNNER) | {"Prefer": "respond-async"}
            answer = client.post("/processes/greet/execution", json=GREET, headers=headers)
            assert answer.status_code == 201


def asked(asking: Asking) -> bool:
    return asking.settings.identity.asked
