"""The page of a job while it runs, and the list of jobs: live, without being loaded anew."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.watched import View
from tests.serving import Server


def start(site: Server, process: str, **inputs: object) -> str:
    answer = site.post(
        f"/processes/{process}/execution", {"inputs": inputs}, headers={"Prefer": "respond-async"}
    )
    return str(answer.json()["jobID"])


def waiting_for(marker: Path, *, words: str = "") -> str:
    """Code of a part that says something and goes on when the marker is there."""
    return (
        f"import time\nprint({words!r}, part, flush=True)\n"
        f"while not pathlib.Path({str(marker)!r}).exists(): time.sleep(0.05)\n"
        "print('enough', part, flush=True)"
    )


def test_a_job_is_watched_with_its_indexes_and_logs(
    page: Page, view: View, site: Server, tmp_path: Path
) -> None:
    marker = tmp_path / "m"
    job = start(site, "chain", count=2, code=waiting_for(marker, words="here I am"))
    page.goto(f"/jobs/{job}")
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    expect(page.locator("svg.indexes rect.state-running").first).to_be_attached()
    expect(page.locator("#status")).to_have_text("läuft" if view.german else "running")
    log = page.locator("#log-text")
    expect(log).to_contain_text("here I am")
    assert "enough" not in log.inner_text()
    page.locator("svg.indexes rect").first.click()
    expect(log).to_contain_text("here I am p0")
    marker.touch()
    expect(log).to_contain_text("enough p0")
    expect(page.locator("svg.indexes rect.state-done")).to_have_count(2)
    expect(page.locator("#status")).to_have_text("erfolgreich" if view.german else "successful")
    expect(page.locator("#results")).to_contain_text("total.txt")
    expect(page.locator("main")).to_have_attribute("data-final", "")
    assert loads == []


def test_a_running_job_is_dismissed_after_a_confirmation(
    page: Page, view: View, site: Server
) -> None:
    job = start(site, "greet", name="Ada", pause=59)
    page.goto(f"/jobs/{job}")
    expect(page.locator("#dismiss button")).not_to_be_visible()
    page.locator("#dismiss summary").click()
    name = "Ja, diesen Auftrag abbrechen" if view.german else "Yes, dismiss this job"
    page.get_by_role("button", name=name).click()
    page.wait_for_url(f"**/jobs/{job}")
    expect(page.locator("#status")).to_have_text("abgebrochen" if view.german else "dismissed")
    assert site.finish(job)["status"] == "dismissed"


def test_what_the_reader_opened_stays_open_while_the_page_changes(
    desk: Page, site: Server, tmp_path: Path
) -> None:
    job = start(site, "chain", count=1, code=waiting_for(tmp_path / "m"))
    desk.goto(f"/jobs/{job}")
    desk.locator("#dismiss summary").click()
    expect(desk.locator("#steps .status").nth(1)).to_have_class("status status-running")
    expect(desk.locator("#dismiss button")).to_be_visible()
    (tmp_path / "m").touch()
    expect(desk.locator("#results")).to_contain_text("total.txt")
    expect(desk.locator("#dismiss button")).to_be_visible()  # now it removes the results


def test_a_failed_job_says_why_and_is_tried_again(page: Page, view: View, site: Server) -> None:
    job = start(site, "greet", name="nobody")
    site.finish(job)
    page.goto(f"/jobs/{job}")
    expect(page.locator("#trouble")).to_contain_text("nobody to greet")
    page.get_by_role("button", name="Noch einmal versuchen" if view.german else "Try again").click()
    page.wait_for_url(lambda url: not url.endswith(job) and "/jobs/" in url)
    expect(page.locator("#status")).to_have_text("gescheitert" if view.german else "failed")
    expect(page.locator("#related a").first).to_have_attribute("href", f"/jobs/{job}")


def test_the_list_shows_new_jobs_and_filters_them(page: Page, view: View, site: Server) -> None:
    page.goto("/jobs")
    job = start(site, "greet", name="Ada")
    expect(page.locator(f"#list a[href='/jobs/{job}']")).to_be_visible()
    failed = start(site, "greet", name="nobody")
    site.finish(failed)
    page.locator(".filters summary").click()
    page.get_by_label("gescheitert" if view.german else "failed").check()
    page.locator("select[name='processID']").select_option("greet")
    page.locator(".filters button").click()
    page.wait_for_url("**/jobs?processID=greet&status=failed")
    expect(page.locator(f"#list a[href='/jobs/{failed}']")).to_be_visible()
    expect(page.locator(f"#list a[href='/jobs/{job}']")).not_to_be_attached()


def test_a_server_that_is_away_is_said_and_asked_again(
    desk: Page, site: Server, tmp_path: Path
) -> None:
    job = start(site, "chain", count=1, code=waiting_for(tmp_path / "m"))
    desk.goto(f"/jobs/{job}")
    expect(desk.locator("#away")).to_be_hidden()
    desk.route("**/jobs/**", lambda route: route.abort("connectionrefused"))
    expect(desk.locator("#away")).to_be_visible()
    desk.unroute("**/jobs/**")
    expect(desk.locator("#away")).to_be_hidden()
    site.delete(f"/jobs/{job}")
    expect(desk.locator("main")).to_have_attribute("data-final", "")


def test_tiles_of_the_chain_lie_on_a_map(desk: Page, released: str) -> None:
    desk.goto(f"/jobs/{released}")
    tiles = desk.locator("svg.tiles rect.state-done")
    expect(tiles).to_have_count(8)  # four batches of two steps
    assert len({tile.get_attribute("x") for tile in tiles.all()}) == 2


def test_the_latest_result_is_drawn_on_the_landing_page(desk: Page, released: str) -> None:
    desk.goto("/")
    expect(desk.locator(".map")).to_have_attribute("data-drawn", "2")
