"""axe-core finds nothing on any page, in both languages, on a desktop and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_jobs import start, waiting_for
from tests.browser.watched import VIEWS, View, fits, violations
from tests.serving import Server

PATHS = [
    "/",
    "/processes",
    "/processes/orchard-monitoring",
    "/processes/assess",
    "/processes/survey",
    "/processes/orchard-monitoring/form?example=0",
    "/jobs",
    "/sign-in",
    "/jobs?status=failed&processID=greet",
    "/jobs/{released}",
    "/jobs/{failed}",
    "/jobs/{running}",
    "/jobs/{released}/attempts",
    "/jobs/{released}/results",
    "/jobs/{released}/results/release",
    "/collections",
    "/collections/example-objects",
    "/collections/example-ndom",
    "/collections/example-objects/items",
    "/collections/example-objects/items/R-01",
    "/collections/example-objects/queryables",
    "/collections/example-objects/schema",
    "/conformance",
    "/openapi",
    "/no/such/page",
    "/jobs?limit=none",
]


@pytest.fixture(scope="module")
def jobs(
    site: Server, released: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A job that was successful, one that failed, and one that runs."""
    never = waiting_for(tmp_path_factory.mktemp("none") / "none")
    ids = {
        "released": released,
        "failed": start(site, "greet", name="nobody"),
        "running": start(site, "chain", count=1, code=never),
    }
    site.finish(ids["failed"])
    yield ids
    site.delete(f"/jobs/{ids['running']}")


# Each language and each width once: what axe looks at does not depend on their combination.
@pytest.mark.parametrize("view", [VIEWS[0], VIEWS[3]], ids=str)
def test_no_page_has_a_barrier(page: Page, view: View, jobs: dict[str, str]) -> None:
    found = {}
    for path in PATHS:
        page.goto(path.format_map(jobs))
        page.wait_for_selector("main")
        assert page.get_attribute("html", "lang") == view.language, path
        # What is folded away counts as well.
        page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        found[path] = violations(page)
        if not fits(page):
            found[path].append("wider than the window")
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_a_form_with_errors_has_no_barrier(page: Page, view: View, site: Server) -> None:
    page.goto("/processes/survey")
    page.locator("[name='in.name']").fill("Ada")
    page.locator("[name='in.box.0']").fill("8")
    page.locator("#execute > p > button").click()
    expect(page.locator("#errors")).to_be_focused()  # once its script has run
    assert violations(page) == []
    assert fits(page)
    expected = "eine Zahl" if view.german else "a number"
    assert expected in page.locator("[id='error.box']").inner_text()


def test_a_barrier_would_be_found(desk: Page) -> None:
    desk.goto("/jobs")
    desk.locator(".filters summary").click()
    assert violations(desk) == []
    desk.evaluate("document.querySelector('#process').removeAttribute('id')")
    assert any("label" in problem for problem in violations(desk))


def test_every_page_of_the_service_is_looked_at(site: Server) -> None:
    document = httpx.get(f"{site.url}/openapi", timeout=60).json()
    known = [re.sub(r"\{\w+\}", "x", path.partition("?")[0]) for path in PATHS]
    for path, methods in document["paths"].items():
        offered = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if "text/html" in offered:
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
            pattern = re.sub(r"/collections/[^/]+", "/collections/[^/]+", pattern)
            pattern = re.sub(r"/processes/[^/]+", "/processes/[^/]+", pattern)
            assert any(re.fullmatch(pattern, entry) for entry in known), path
