"""Maps of results: what a click on a feature says."""

from __future__ import annotations

import yaml
from playwright.sync_api import Browser, expect

from tests.browser.conftest import ROOT
from tests.browser.watched import View, watched
from tests.serving import Server

SENTENCES = yaml.safe_load((ROOT / "processes" / "reasons.yml").read_text(encoding="utf-8"))


def test_a_feature_says_its_verdict_and_reason_in_the_language_of_the_page(
    browser: Browser, site: Server, released: str
) -> None:
    assert released
    item = "/collections/example-objects/items/R-01"
    code = site.get(f"{item}?f=json").json()["properties"]["reason_main"]
    with watched(browser, site.url, View("de", 1280, 900)) as page:
        page.goto(item)
        page.locator('.map[data-drawn="1"]').click()  # in its middle, where the feature lies
        popup = page.locator(".leaflet-popup-content")
        expect(popup).to_contain_text(f"{SENTENCES[code]['de']} ({code})")
        expect(popup).to_contain_text("Urteil: unsicher")
