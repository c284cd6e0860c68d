"""Who sends a request: by token, by cookie, by a trusted proxy; and what is said that is not so."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from k8s_manager.identity import Role
from k8s_manager.tokens import Tokens
from tests.ogcapi.asking import BROWSER, GREET, Asking

PROXY = "10.4.0.7"
EVERYWHERE = ("/", "/conformance", "/health", "/processes", "/jobs", "/jobs/0", "/static/site.css")


@pytest.fixture
def asking(tmp_path: Path, empty_store: Path) -> Iterator[Asking]:
    yield from made(tmp_path, empty_store)


@pytest.fixture
def behind_proxy(tmp_path: Path, empty_store: Path) -> Iterator[Asking]:
    addresses = f"{PROXY},fd00:4::/64"
    proxy = {"CDI_IDENTITY_METHOD": "proxy", "CDI_IDENTITY_PROXY_ADDRESSES": addresses}
    yield from made(tmp_path, empty_store, **proxy)


def made(folder: Path, empty_store: Path, **env: str) -> Iterator[Asking]:
    (folder / "cdi.db").write_bytes(empty_store.read_bytes())
    asking = Asking.at(folder, f"sqlite:///{folder / 'cdi.db'}", **env)
    yield asking
    asking.store.close()


def named(name: str, roles: str = "") -> dict[str, str]:
    return {"X-Forwarded-User": name, **({"X-Forwarded-Groups": roles} if roles else {})}


def test_a_token_that_is_not_so_is_refused_everywhere_and_told_why(asking: Asking) -> None:
    good = asking.tokens[Role.ADMIN]
    revoked, known = Tokens(asking.store.database).create("bo", [Role.ADMIN])
    Tokens(asking.store.database).revoke(known.id)
    wrong = {
        good[:-1]: "no API token",
        good[:20] + ("x" if good[20] != "x" else "y") + good[21:]: "mistyped",
        revoked: "revoked",
        "": "no API token",
        "a.b.c": "no API token",
    }
    with asking.client() as client:
        for text, sentence in wrong.items():
            for path in EVERYWHERE:
                answer = client.get(path, headers={"Authorization": f"Bearer {text}"})
                assert answer.status_code == 401, (path, text)
                assert answer.headers["Content-Type"] == "application/problem+json"
                expected = 'Bearer realm="cdi", error="invalid_token"'
                assert answer.headers["WWW-Authenticate"] == expected
                problem = answer.json()
                assert (problem["status"], problem["type"]) == (401, "about:blank")
                assert sentence in problem["detail"]
                assert text == "" or text not in answer.text


def test_the_scheme_is_read_in_any_case_and_other_schemes_say_nothing(asking: Asking) -> None:
    token = asking.tokens[Role.VIEWER]
    with asking.client() as client:
        for scheme in ("Bearer", "bearer", "BEARER "):
            answer = client.get("/processes", headers={"Authorization": f"{scheme} {token}"})
            assert answer.status_code == 200
        answer = client.get("/processes", auth=("ada", token))
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="cdi"'
        assert client.get("/conformance", auth=("ada", token)).status_code == 200


def test_head_and_preflight_tell_nothing_that_get_does_not(asking: Asking) -> None:
    with asking.client() as client:
        assert client.head("/jobs").status_code == 401
        assert client.head("/jobs", headers=asking.bearer(Role.RUNNER)).status_code == 200
        asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "DELETE"}
        answer = client.options(f"/jobs/{'0' * 32}", headers=asked)
        assert answer.status_code == 204
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_no_answer_lets_other_sites_use_credentials(asking: Asking) -> None:
    origin = {"Origin": "https://example.org"}
    with asking.client() as client:
        for path in (*EVERYWHERE, "/nowhere"):
            for headers in (origin, origin | asking.bearer(Role.ADMIN)):
                answer = client.get(path, headers=headers)
                assert answer.headers["Access-Control-Allow-Origin"] == "*"
                assert "Access-Control-Allow-Credentials" not in answer.headers


def test_answers_to_somebody_are_kept_by_no_shared_cache(asking: Asking) -> None:
    with asking.client() as client:
        answer = client.get("/jobs", headers=asking.bearer(Role.RUNNER))
        assert "private" in answer.headers["Cache-Control"]
        assert {"Authorization", "Cookie"} <= set(answer.headers["Vary"].split(", "))
        assert "private" not in client.get("/conformance").headers.get("Cache-Control", "")


def test_nobody_may_read_what_is_published_where_that_is_open(
    tmp_path: Path, empty_store: Path
) -> None:
    for asking in made(tmp_path, empty_store, CDI_IDENTITY_ANONYMOUS="viewer"):
        with asking.client() as client:
            assert client.get("/collections/meadows/items").status_code == 200
            assert client.get("/openapi").status_code == 200
            assert client.get("/jobs").status_code == 401
            answer = client.post("/processes/greet/execution", json=GREET)
            assert answer.status_code == 401
            assert "role runner" in answer.json()["detail"]


def test_a_proxy_names_who_it_has_asked(behind_proxy: Asking) -> None:
    for remote in (PROXY, "fd00:4::17", f"::ffff:{PROXY}"):
        with behind_proxy.client(remote) as client:
            assert client.get("/jobs", headers=named("ada", "staff, runner")).status_code == 200
            answer = client.get("/jobs", headers=named("ada", "staff"))
            assert answer.status_code == 403
            assert "ada has no role" in answer.json()["detail"]
            assert client.get("/jobs").status_code == 401
            assert client.get("/jobs", headers=named("")).status_code == 401


def test_the_same_name_is_the_same_owner_by_token_and_by_proxy(behind_proxy: Asking) -> None:
    with behind_proxy.client(PROXY) as client:
        headers = named("runner", "runner") | {"Prefer": "respond-async"}
        answer = client.post("/processes/greet/execution", json=GREET, headers=headers)
        job = answer.json()["jobID"]
        for said in (behind_proxy.bearer(Role.RUNNER), named("runner", "runner")):
            assert client.get(f"/jobs/{job}", headers=said).status_code == 200
        assert client.get(f"/jobs/{job}", headers=named("ada", "runner")).status_code == 404


def test_names_hold_letters_of_all_languages(behind_proxy: Asking) -> None:
    as_wsgi_has_it = "Jörg Müller".encode().decode("latin-1")
    answer = behind_proxy.app.test_client().post(
        "/processes/greet/execution",
        json=GREET,
        headers={"Prefer": "respond-async", "X-Forwarded-Groups": "runner"},
        environ_overrides={"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_USER": as_wsgi_has_it},
    )
    assert behind_proxy.store.job(answer.get_json()["jobID"]).owner == "Jörg Müller"


@pytest.mark.parametrize("remote", ["10.4.0.8", "127.0.0.1", "fd00:5::1", "nonsense"])
def test_headers_from_elsewhere_are_refused(behind_proxy: Asking, remote: str) -> None:
    with behind_proxy.client(remote) as client:
        forged = named("admin", "admin") | behind_proxy.bearer(Role.VIEWER)
        answer = client.get("/processes", headers=forged)
        assert answer.status_code == 401
        assert "no proxy that is believed" in answer.json()["detail"]
        # Without the header the token counts, and the roles' header alone gives nothing.
        headers = behind_proxy.bearer(Role.VIEWER) | {"X-Forwarded-Groups": "admin"}
        assert client.get("/processes", headers=headers).status_code == 200
        assert client.get("/jobs", headers=headers).status_code == 403


def test_a_proxy_cannot_name_the_machine_itself_nor_two_at_once(behind_proxy: Asking) -> None:
    with behind_proxy.client(PROXY) as client:
        for name in ("local", "anonymous", "ada,bo", "a" * 201):
            answer = client.get("/processes", headers=named(name, "admin"))
            assert answer.status_code == 401, name


def test_a_server_that_knows_no_proxy_looks_at_no_such_header(asking: Asking) -> None:
    with asking.client(PROXY) as client:
        assert client.get("/jobs", headers=named("admin", "admin")).status_code == 401


def test_a_browser_signs_in_goes_on_and_signs_out(asking: Asking) -> None:
    with asking.client(headers=BROWSER) as client:
        page = client.get("/jobs?limit=5")
        assert page.status_code == 401
        assert "/sign-in?next=%2Fjobs%3Flimit%3D5" in page.text
        answer = sign_in(client, asking.tokens[Role.RUNNER], "/jobs?limit=5")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/jobs?limit=5")
        [cookie] = [text for text in answer.headers.get_list("Set-Cookie") if "session" in text]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie  # the address is http
        page = client.get("/jobs")
        assert page.status_code == 200
        assert "Sign out" in page.text
        assert client.post("/sign-out", data={"csrf": field(page)}).status_code == 303
        assert client.get("/jobs").status_code == 401


def test_cookies_are_secure_and_for_one_path_where_the_address_says_so(
    tmp_path: Path, empty_store: Path
) -> None:
    for asking in made(tmp_path, empty_store, CDI_PUBLIC_URL="https://cdi.example/nrw"):
        with asking.client() as client:
            answer = client.post("/sign-in", data={"token": asking.tokens[Role.VIEWER]})
            attributes = set(answer.headers["Set-Cookie"].split("; "))
            assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/nrw"} <= attributes
            assert answer.headers["Location"] == "/nrw/"


def test_a_session_ends_with_its_token(asking: Asking) -> None:
    text, token = Tokens(asking.store.database).create("bo", [Role.RUNNER])
    with asking.client(headers=BROWSER) as client:
        sign_in(client, text)
        Tokens(asking.store.database).revoke(token.id)
        while (page := client.get("/jobs")).status_code == 200:
            pass
        assert page.status_code == 401
        assert "revoked" in page.text
        # What everybody may see is still shown, as to nobody.
        page = client.get("/")
        assert page.status_code == 200
        assert 'href="/sign-in' in page.text
        # The cookie that counts no more is in nobody's way.
        assert sign_in(client, asking.tokens[Role.RUNNER]).status_code == 303
        assert client.get("/jobs").status_code == 200


def test_a_wrong_token_is_told_on_the_page(asking: Asking) -> None:
    with asking.client(headers=BROWSER) as client:
        answer = sign_in(client, "cdi_nonsense")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert "no API token of this server" in answer.text
        assert "cdi_nonsense" not in answer.text
        assert not any("session" in cookie for cookie in client.cookies)
        assert sign_in(client, "").status_code == 400


def test_pages_of_signing_in_can_be_read_in_another_language(asking: Asking) -> None:
    with asking.client(headers=BROWSER) as client:
        for page in (
            client.get("/sign-in?next=/jobs"),
            sign_in(client, "cdi_nonsense", "/jobs"),
        ):
            switched = client.get(in_german(page))
            assert switched.status_code == 200
            assert '<html lang="de">' in switched.text
            assert 'name="next" value="/jobs"' in switched.text
            assert "application/json" not in page.text  # there is no such document


@pytest.mark.parametrize(
    ("path", "read_at"),
    [
        ("/processes/greet/execution", "/processes/greet"),
        ("/processes/greet/form/request", "/processes/greet/form"),
        ("/jobs/none/retry", "/jobs/none"),
        ("/no/such/page", "/"),
    ],
)
def test_an_error_of_a_request_leads_to_the_page_that_it_came_from(
    asking: Asking, path: str, read_at: str
) -> None:
    with asking.client(headers=BROWSER) as client:
        page = client.post(path, content=b"{")
        assert page.status_code >= 400
        assert in_german(page) == f"{read_at}?lang=de"
        assert "f=json" not in page.text


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/x\r\nSet-Cookie: a=b", "x", ""],
)
def test_signing_in_leads_to_no_other_host(asking: Asking, target: str) -> None:
    with asking.client(headers=BROWSER) as client:
        answer = sign_in(client, asking.tokens[Role.VIEWER], target)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        page = client.get("/sign-in", params={"next": target})
        assert 'name="next" value=""' in page.text


def sign_in(client: httpx.Client, token: str, target: str = "") -> httpx.Response:
    form = {"csrf": field(client.get("/sign-in")), "token": token, "next": target}
    return client.post("/sign-in", data=form)


def in_german(page: httpx.Response) -> str:
    """Return the address that the page's switch leads to."""
    return html.unescape(page.text.split('lang="de" hreflang="de"')[0].rpartition('href="')[2][:-2])


def field(page: httpx.Response) -> str:
    return page.text.split('name="csrf" value="')[1].split('"')[0]
