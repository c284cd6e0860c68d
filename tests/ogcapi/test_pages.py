"""Pages without a browser: language, caching, what a reader without JavaScript can see and do."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from tests.ogcapi.test_processes import execute
from tests.serving import Server

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
GERMAN = BROWSER | {"Accept-Language": "fr;q=0.9, de-AT;q=0.8, en;q=0.5"}
PAGES = ["/", "/processes", "/processes/greet", "/jobs", "/collections", "/openapi", "/conformance"]


@pytest.mark.parametrize("path", [*PAGES, "/no/such/page", "/jobs/none"])
def test_a_page_is_in_the_language_that_the_browser_prefers(server: Server, path: str) -> None:
    for headers, language, word in ((BROWSER, "en", "Processes"), (GERMAN, "de", "Prozesse")):
        page = server.get(path, headers=headers)
        assert f'<html lang="{language}">' in page.text
        assert f">{word}</a>" in page.text
        assert page.headers["Content-Language"] == language
        assert {"Accept", "Accept-Language", "Cookie"} <= set(page.headers["Vary"].split(", "))


def test_a_chosen_language_is_kept_and_beats_the_browser(server: Server) -> None:
    with httpx.Client(base_url=server.url, headers=BROWSER) as client:
        switch = re.search(r'<a href="([^"]+)" lang="de"', client.get("/jobs?limit=3").text)
        assert switch is not None
        assert html.unescape(switch[1]) == "/jobs?limit=3&lang=de"
        chosen = client.get(html.unescape(switch[1]))
        assert "Aufträge" in chosen.text
        cookie = chosen.headers["Set-Cookie"]
        assert all(part in cookie for part in ("lang=de", "HttpOnly", "SameSite=Lax"))
        assert "private" in chosen.headers["Cache-Control"]
        kept = client.get("/processes")
        assert ("Prozesse" in kept.text, "Set-Cookie" in kept.headers) == (True, False)
        assert '<html lang="en">' in client.get("/processes?lang=en").text
        assert '<html lang="en">' in client.get("/jobs").text


def test_a_language_that_is_not_there_changes_nothing(server: Server) -> None:
    page = server.get("/jobs?lang=xx", headers=GERMAN | {"Cookie": "lang=%3Cscript%3E"})
    assert '<html lang="de">' in page.text
    assert "Set-Cookie" not in page.headers


def test_a_page_that_has_not_changed_is_not_sent_again(server: Server) -> None:
    first = server.get("/processes", headers=BROWSER)
    again = server.get("/processes", headers=BROWSER | {"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    other = server.get("/processes", headers=GERMAN | {"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200


def test_documents_in_json_are_the_same_for_every_choice(server: Server) -> None:
    kept = ({"Cookie": f"lang={name}"} for name in ("en", "de"))
    answers = [server.get("/processes", headers=headers) for headers in kept]
    assert answers[0].content == answers[1].content
    assert "Cookie" not in answers[0].headers["Vary"]


def test_a_job_can_be_dismissed_by_its_page_alone(server: Server) -> None:
    job = execute(server, {"name": "Ada", "pause": 59}).json()["jobID"]
    page = server.get(f"/jobs/{job}", headers=BROWSER).text
    form = re.search(r'<form method="post" action="(/jobs/\w+/dismiss)"', page)
    assert form is not None
    answer = httpx.post(server.url + form[1], headers=BROWSER, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job}")
    assert server.finish(job)["status"] == "dismissed"
    page = server.get(f"/jobs/{job}", headers=GERMAN).text
    assert ">abgebrochen</span>" in page
    assert "/dismiss" not in page
    again = httpx.post(server.url + form[1], headers=BROWSER, timeout=60)
    assert (again.status_code, "The job was dismissed" in again.text) == (410, True)


def test_a_finished_job_can_be_cleared_and_its_page_says_so(server: Server) -> None:
    job = execute(server, {"name": "Ada"}).json()["jobID"]
    server.finish(job)
    page = server.get(f"/jobs/{job}", headers=BROWSER).text
    assert "Yes, remove the results" in page
    assert httpx.post(f"{server.url}/jobs/{job}/dismiss", headers=BROWSER).status_code == 303
    page = server.get(f"/jobs/{job}", headers=GERMAN).text
    assert "Ergebnisse entfernt; der Auftrag war erfolgreich" in page


def test_a_page_shows_the_end_of_the_newest_log(server: Server) -> None:
    code = "print('first words'); print('x' * 9000); print('last words')"
    answer = server.post(
        "/processes/chain/execution",
        {"inputs": {"count": 1, "code": code}},
        headers={"Prefer": "respond-async"},
    )
    job = answer.json()["jobID"]
    server.finish(job)
    page = server.get(f"/jobs/{job}", headers=BROWSER).text
    log = re.search(r'<pre id="log-text"[^>]*>(.*?)</pre>', page, re.S)
    assert log is not None
    assert log[1].endswith("last words\n")
    assert "first words" not in log[1]


def test_a_scattered_step_is_drawn_with_the_state_of_each_index(server: Server) -> None:
    code = "if part == 'p2': raise SystemExit(65)"
    answer = server.post(
        "/processes/chain/execution",
        {"inputs": {"count": 3, "code": code}},
        headers={"Prefer": "respond-async"},
    )
    job = answer.json()["jobID"]
    server.finish(job)
    page = server.get(f"/jobs/{job}", headers=BROWSER).text
    drawing = re.search(r'<svg class="indexes".*?</svg>', page, re.S)
    assert drawing is not None
    titles = re.findall(r"<title>(\d): (\w+)</title>", drawing[0])
    assert [index for index, _ in titles] == ["0", "1", "2"]
    assert titles[2] == ("2", "failed")


def test_filters_of_the_form_become_those_of_the_standard(server: Server) -> None:
    query = "processID=greet&status=failed&status=running&from=2026-01-01&to=&minDuration=&limit="
    answer = server.get(f"/jobs/filter?{query}", headers=BROWSER)
    assert answer.status_code == 303
    wanted = "/jobs?processID=greet&status=failed,running&datetime=2026-01-01T00:00:00Z/.."
    assert answer.headers["Location"] == wanted
    page = server.get(wanted, headers=BROWSER).text
    assert '<option value="greet" selected>' in page
    assert 'value="failed" checked' in page
    assert 'name="from" value="2026-01-01"' in page
    assert server.get("/jobs/filter").headers["Location"] == "/jobs"
    assert server.get("/jobs/filter?from=yesterday").status_code == 400
    assert server.get("/jobs/filter?colour=red").status_code == 400


def test_pages_name_no_other_host_to_load_from(server: Server) -> None:
    for path in PAGES:
        page = server.get(path, headers=BROWSER)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "form-action 'self'" in policy
        loaded = re.findall(r'(?:src|<link rel="(?:stylesheet|icon)" href)="([^"]*)"', page.text)
        assert all(address.startswith(("/static/", "data:,")) for address in loaded)


def test_the_api_can_be_read_as_a_page(server: Server) -> None:
    page = server.get("/openapi", headers=BROWSER).text
    document = server.get("/openapi").json()
    for path, methods in document["paths"].items():
        assert f"<code>{html.escape(path)}</code>" in page
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page
    for name in document["components"]["schemas"]:
        assert f'id="schema.{name}"' in page
