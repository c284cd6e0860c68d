"""A server that asks who somebody is, in a browser: signing in, running, dismissing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from k8s_manager.identity import Role
from k8s_manager.store import Store
from k8s_manager.tokens import Tokens
from tests.browser.conftest import PROCESSES, ROOT
from tests.browser.watched import VIEWS, View, violations, watched
from tests.serving import Server, serving

RUN = "#execute > p > button"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[Role, str]]]:
    """A server with the process `greet` that knows people by tokens, and a token of some roles."""
    folder = tmp_path_factory.mktemp("guarded")
    config = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    processor = {
        "name": "k8s_manager.processor.CwlProcessor",
        "cwl": str(PROCESSES / "greet.cwl"),
    }
    config["resources"] = {"greet": {"type": "process", "processor": processor}}
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    env = {"CDI_WORKERS": "1", "CDI_IDENTITY_METHOD": "tokens"}
    with serving(path, folder / "var", env=env) as server:
        store = Store(f"sqlite:///{folder / 'var' / 'cdi.db'}")
        tokens = {
            role: Tokens(store.database).create(f"some {role} of meadows", [role])[0]
            for role in (Role.RUNNER, Role.VIEWER, Role.OFFICER)
        }
        store.close()
        yield server, tokens


def sign_in(page: Page, view: View, token: str) -> None:
    page.get_by_label("API-Token" if view.german else "API token").fill(token)
    page.locator("main").get_by_role("button").click()


def test_somebody_signs_in_runs_dismisses_and_signs_out(
    browser: Browser, view: View, guarded: tuple[Server, dict[Role, str]]
) -> None:
    server, tokens = guarded
    with watched(browser, server.url, view) as page:
        page.goto("/processes/greet")
        expect(page.locator(RUN)).to_have_count(0)
        page.locator("main").get_by_role(
            "link", name="Anmelden" if view.german else "Sign in"
        ).click()
        page.wait_for_url("**/sign-in*")
        assert violations(page) == []
        sign_in(page, view, f"{tokens[Role.RUNNER]}x")
        expect(page.get_by_role("alert")).to_be_visible()
        assert violations(page) == []
        sign_in(page, view, tokens[Role.RUNNER])
        page.wait_for_url("**/processes/greet*")
        expect(page.locator(".who")).to_contain_text("some runner of meadows")
        page.locator("[name='in.name']").fill("Ada")
        page.locator("details.more summary").first.click()
        page.locator("[name='in.pause']").fill("59")
        page.locator(RUN).click()
        page.wait_for_url("**/jobs/*")
        address = page.url
        page.locator("#dismiss summary").click()
        page.locator("#dismiss button").click()
        expect(page.locator("#status")).to_have_text("abgebrochen" if view.german else "dismissed")
        page.locator(".who button").click()
        expect(page.locator(".who a")).to_be_visible()
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 401
    assert server.get(address).status_code == 401


def test_a_viewer_is_told_what_is_missing_and_nobody_sees_jobs_of_others(
    browser: Browser, guarded: tuple[Server, dict[Role, str]]
) -> None:
    server, tokens = guarded
    runner = {"Authorization": f"Bearer {tokens[Role.RUNNER]}", "Prefer": "respond-async"}
    inputs = {"inputs": {"name": "Ada"}}
    job = server.post("/processes/greet/execution", inputs, headers=runner).json()["jobID"]
    with watched(browser, server.url) as page:
        page.goto("/sign-in")
        sign_in(page, VIEWS[0], tokens[Role.VIEWER])
        expect(page.locator(".who")).to_contain_text("some viewer of meadows")
        page.goto("/processes/greet")
        expect(page.locator("#execute")).to_contain_text("Running it needs the role runner.")
        expect(page.locator(RUN)).to_have_count(0)
        page.locator(".who button").click()
        page.goto("/sign-in")
        sign_in(page, VIEWS[0], tokens[Role.OFFICER])
        expect(page.locator(".who")).to_contain_text("some officer of meadows")
        answer = page.goto(f"/jobs/{job}")
        assert answer is not None
        assert answer.status == 404
        page.goto("/jobs")
        expect(page.locator("main")).not_to_contain_text(job)
