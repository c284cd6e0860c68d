"""Running a process by its form: by hand, by drawing, from files, with and without JavaScript."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.watched import VIEWS, View, watched
from tests.serving import Server

POINT = {"type": "Point", "coordinates": [7.5, 51.5]}
RUN = "#execute > p > button"


def test_a_form_runs_a_process_and_its_job_is_followed_to_the_end(
    page: Page, view: View, site: Server
) -> None:
    page.goto("/")
    page.get_by_role("link", name="Prozesse" if view.german else "Processes").first.click()
    page.get_by_role("link", name="Greet somebody").click()
    page.get_by_label("Name").fill("Ada")
    page.locator("details.more summary").first.click()
    page.get_by_label("Seconds to sleep").fill("2")
    page.get_by_role("button", name="Ausführen" if view.german else "Run", exact=True).click()
    page.wait_for_url("**/jobs/*")
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    done = "erfolgreich" if view.german else "successful"
    expect(page.locator("#status")).to_have_text(done)
    expect(page.locator("#results a").first).to_have_text("greeting.txt")
    expect(page.locator("#steps .status").first).to_have_text("fertig" if view.german else "done")
    assert loads == []  # nothing was loaded anew
    job = page.url.rpartition("/")[2]
    greeting = site.get(f"/jobs/{job}/results").json()["greeting"]
    assert site.get(greeting["href"]).text == "Hello Ada\n"


def test_the_request_beside_the_form_follows_it(desk: Page) -> None:
    desk.goto("/processes/survey")
    desk.locator("[name='in.name']").fill("Grace")
    expect(desk.locator("#curl")).to_contain_text('"name": "Grace"')
    desk.locator("[name='in.area']").fill(json.dumps(POINT))
    expect(desk.locator("#curl")).to_contain_text('"type": "Point"')
    desk.locator("#as-python summary").click()
    expect(desk.locator("#python")).to_contain_text("httpx.Client")
    expect(desk.locator("#python")).to_contain_text("'name': 'Grace'")


def test_a_rectangle_is_drawn_on_the_map(page: Page) -> None:
    page.goto("/processes/survey")
    field = page.locator("[data-map='bbox']")
    field.locator("[data-draw]").click()
    field.locator(".map").scroll_into_view_if_needed()
    box = field.locator(".map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 40, y + 40)
    page.mouse.down()
    page.mouse.move(x, y, steps=3)
    page.mouse.move(x + 40, y - 40, steps=3)
    page.mouse.up()
    numbers = [float(page.locator(f"[name='in.box.{index}']").input_value()) for index in range(4)]
    west, south, east, north = numbers
    assert (west < east, south < north) == (True, True)
    expect(page.locator("#curl")).to_contain_text(f"{west}")
    field.locator("[data-clear]").click()
    assert page.locator("[name='in.box.0']").input_value() == ""


def test_a_polygon_is_drawn_on_the_map(page: Page) -> None:
    page.goto("/processes/survey")
    field = page.locator("[data-map='geometry']")
    field.locator("[data-draw]").click()
    field.locator(".map").scroll_into_view_if_needed()
    expect(field.locator("[data-finish]")).to_be_disabled()
    for x, y in ((100, 60), (180, 60), (180, 140)):
        field.locator(".map").click(position={"x": x, "y": y})
    field.locator("[data-finish]").click()
    drawn = json.loads(page.locator("[name='in.area']").input_value())
    (ring,) = drawn["coordinates"]
    assert (drawn["type"], len(ring), ring[0] == ring[-1]) == ("Polygon", 4, True)


def test_files_come_with_the_form(desk: Page, site: Server, tmp_path: Path) -> None:
    (tmp_path / "area.geojson").write_text(json.dumps(POINT), encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\xff")
    desk.goto("/processes/survey")
    desk.locator("[name='in.name']").fill("Ada")
    desk.locator("[name='in.area.file']").set_input_files(tmp_path / "area.geojson")
    expect(desk.locator("[name='in.area']")).to_have_value(json.dumps(POINT))
    desk.locator("details.more summary").first.click()
    desk.locator("[name='in.picture.file']").set_input_files(tmp_path / "picture.png")
    expect(desk.locator("#curl")).to_contain_text("<picture.png>")
    desk.locator(RUN).click()
    desk.wait_for_url("**/jobs/*")
    job = desk.url.rpartition("/")[2]
    assert site.finish(job)["status"] == "successful"
    said = site.get(site.get(f"/jobs/{job}/results").json()["said"]["href"]).text
    assert [Path(line).suffix for line in said.split()[-2:]] == [".geojson", ".png"]


def test_an_example_is_filled_in_and_drawn(desk: Page) -> None:
    desk.goto("/processes/survey")
    desk.locator("a.example").click()
    desk.wait_for_url("**/form?example=0*")
    expect(desk.locator("[name='in.name']")).to_have_value("Ada")


def test_everything_works_without_javascript(browser: Browser, site: Server) -> None:
    for view in VIEWS[1:3]:
        with watched(browser, site.url, view, javascript=False) as page:
            page.goto("/processes/greet")
            page.locator("[name='in.name']").fill("Ada")
            page.locator("details.more summary").first.click()
            page.locator("[name='in.pause']").fill("59")
            page.locator(RUN).click()
            page.wait_for_url("**/jobs/*")
            job = page.url.rpartition("/")[2]
            page.locator("#dismiss summary").click()
            page.locator("#dismiss button").click()
            assert site.finish(job)["status"] == "dismissed"
            page.reload()
            expect(page.locator("#status")).to_have_text(
                "abgebrochen" if view.german else "dismissed"
            )
