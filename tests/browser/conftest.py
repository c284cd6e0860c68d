"""A server with something to show, and Debian's Chromium to look at it with.

Every page that a test opens is watched: a request to another host, a script that fails or a message
in the console fails the test.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.watched import PATIENCE_MS, VIEWS, View, watched
from tests.lacking import lacking
from tests.serving import Server, serving

expect.set_options(timeout=PATIENCE_MS)
ROOT = Path(__file__).parents[2]
PROCESSES = ROOT / "tests" / "data" / "processes"
EXAMPLE = ROOT / "openapi" / "examples" / "orchard-monitoring.json"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium of the system; no test downloads a browser."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        lacking("there is no chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    """A server with all processes of the project and three of the tests."""
    folder = tmp_path_factory.mktemp("site")
    config = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    name = "k8s_manager.processor.CwlProcessor"
    for process, resource in config["resources"].items():
        file = ROOT / "processes" / process.replace("-", "_") / "process.cwl"
        resource["processor"]["cwl"] = str(file)
    for process, place in (
        ("greet", "greet.cwl"),
        ("chain", "chain/process.cwl"),
        ("survey", "survey.cwl"),
    ):
        processor = {"name": name, "cwl": str(PROCESSES / place)}
        config["resources"][process] = {"type": "process", "processor": processor}
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with serving(path, folder / "var", env={"CDI_WORKERS": "1"}) as running:
        yield running


@pytest.fixture(scope="session")
def released(site: Server) -> str:
    """The job that released the data set of the example, done."""
    answer = site.post(
        "/processes/orchard-monitoring/execution",
        json.loads(EXAMPLE.read_text(encoding="utf-8")),
        headers={"Prefer": "respond-async"},
    )
    job = str(answer.json()["jobID"])
    assert site.finish(job)["status"] == "successful"
    return job


@pytest.fixture(params=VIEWS, ids=str)
def view(request: pytest.FixtureRequest) -> View:
    """Each language, on a desktop and on a phone."""
    chosen: View = request.param
    return chosen


@pytest.fixture
def desk(browser: Browser, site: Server) -> Iterator[Page]:
    """A page on a desktop in English, watched: for what is the same in every view."""
    with watched(browser, site.url) as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, site: Server, view: View) -> Iterator[Page]:
    """A page in that view, watched."""
    with watched(browser, site.url, view) as opened:
        yield opened
