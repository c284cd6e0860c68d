"""A browser page under watch, and axe-core's opinion of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Response

from tests.lacking import lacking

ASSETS = Path(__file__).parents[2] / "ogcapi" / "assets" / "node_modules"
AXE = ASSETS / "axe-core" / "axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PATIENCE_MS = 60_000
# Chromium writes a line for every answer that is no success, also where one was asked for.
ASKED_FOR = ("the server responded with a status of 4", "net::ERR_CONNECTION_REFUSED")


@dataclass(frozen=True)
class View:
    """How a page is looked at."""

    language: str
    width: int
    """CSS pixels."""
    height: int

    @property
    def german(self) -> bool:
        """Whether texts are expected in German."""
        return self.language == "de"

    def __str__(self) -> str:
        return f"{self.language}-{'phone' if self.width < 500 else 'desktop'}"


VIEWS = [View(language, *size) for language in ("en", "de") for size in ((1280, 900), (375, 740))]


@contextmanager
def watched(
    browser: Browser, url: str, view: View = VIEWS[0], *, javascript: bool = True
) -> Iterator[Page]:
    """Open a page; what must not happen on it fails the test when it is closed."""
    context = browser.new_context(
        base_url=url,
        locale={"en": "en-GB", "de": "de-DE"}[view.language],
        viewport={"width": view.width, "height": view.height},
        has_touch=view.width < 500,
        java_script_enabled=javascript,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    requests: list[str] = []
    trouble: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("response", lambda response: trouble.extend(_server_error(response)))
    try:
        yield page
    finally:
        context.close()
    foreign = [address for address in requests if not address.startswith((f"{url}/", "data:"))]
    assert requests
    assert foreign == []
    assert [text for text in trouble if not any(part in text for part in ASKED_FOR)] == []


def _server_error(response: Response) -> list[str]:
    return [f"{response.status} {response.url}"] if response.status >= 500 else []


def violations(page: Page) -> list[str]:
    """Return what axe-core finds on the page as it is now: rule, place, advice."""
    if not AXE.is_file():
        lacking(f"there is no {AXE}: run `make setup` to install the front-end files")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    options = {"runOnly": {"type": "tag", "values": LEVELS}, "resultTypes": ["violations"]}
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{rule['id']} ({rule['help']}): {node['html'][:200]} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def fits(page: Page) -> bool:
    """Tell whether the page is as wide as its window: nobody has to scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
