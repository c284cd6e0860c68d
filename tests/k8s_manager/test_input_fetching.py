"""Inputs by reference: whole, of the announced kind, within the limits, from allowed hosts only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from k8s_manager.input_fetching import InputUnavailable, fetch, fits
from k8s_manager.outside_settings import OutsideSettings
from k8s_manager.records import Job
from tests.k8s_manager.installation import Installation
from tests.loopback import Loopback, loopback

HERE = ("127.0.0.1", "localhost")
OPEN = OutsideSettings(input_hosts=HERE, http_hosts=HERE, private_hosts=("127.0.0.1",))


@pytest.fixture
def other() -> Iterator[Loopback]:
    with loopback() as server:
        yield server


def to(address: str) -> str:
    return f"/redirect?to={quote(address, safe='')}"


def test_a_file_is_there_when_it_is_whole(other: Loopback, tmp_path: Path) -> None:
    fetch(f"{other.url}/file/a.csv?chunked=1", tmp_path / "in" / "a.csv", OPEN)
    assert (tmp_path / "in" / "a.csv").read_bytes() == b"x" * 1000
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/status/404", "answers 404"),
        ("/status/500", "answers 500"),
        ("/file/a?size=1001", "has 1001 bytes; at most 1000 are fetched"),
        ("/file/a?size=1001&chunked=1", "more than 1000 bytes"),
        ("/endless", "more than 1000 bytes"),
        ("/slow", "takes too long"),
        ("/drip", "takes too long"),
        ("/short", "without sending complete"),
        ("/file/a?coding=gzip", "comes in gzip"),
        ("/file/a?type=text/html", "is 'text/html'; expected application/geo[+]json"),
        (to("http://localhost:1/file/a"), "localhost is .* not a public address"),
        (to("http://10.0.0.1/"), "expected an address at 127.0.0.1"),
        (to("file:///etc/passwd"), "expected an https address"),
        (to("//169.254.169.254/latest"), "expected an address at 127.0.0.1"),
        (to(""), "without saying where"),
        ("/circle", "redirects more than 1 times"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_nothing(
    other: Loopback, tmp_path: Path, path: str, reason: str
) -> None:
    settings = replace(OPEN, input_limit_bytes=1000, input_limit_s=0.5, input_redirects=1)
    if "long" not in reason:
        settings = replace(settings, input_limit_s=60.0)
    with pytest.raises(InputUnavailable, match=reason):
        fetch(other.url + path, tmp_path / "a", settings, ["application/geo+json"])
    assert list(tmp_path.iterdir()) == []


def test_a_job_takes_its_file_from_another_host(
    installation: Installation, other: Loopback
) -> None:
    here = replace(installation, settings=replace(installation.settings, outside=OPEN))
    code = "import shutil, sys; shutil.copy(sys.argv[1], 'result.txt')"

    def run(path: str) -> Job:
        address = {"location": other.url + path, "basename": "a.csv", "mediaTypes": ["text/csv"]}
        return here.run("python", {"code": code, "file": {"class": "File", **address}})

    job = run("/file/a.csv?type=text/csv")
    assert job.results is not None
    assert here.text(job.results["result"]) == "x" * 1000
    job = run("/file/a.csv?type=text/html")
    assert job.error is not None
    assert (job.status, job.error["status"]) == ("failed", 422)
    assert "is 'text/html'; expected text/csv" in job.error["detail"]


def test_redirects_are_followed_within_the_allowed_hosts(other: Loopback, tmp_path: Path) -> None:
    with loopback() as second:
        address = other.url + to(second.url + to("/file/b"))
        fetch(address, tmp_path / "a", OPEN)
        assert (tmp_path / "a").stat().st_size == 1000
        assert len(second.received) == 2


def test_redirects_in_a_circle_end(other: Loopback, tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match="redirects more than 5 times"):
        fetch(f"{other.url}/circle", tmp_path / "a", OPEN)
    assert len(other.received) == 6


def test_the_time_limit_counts_redirects_too(other: Loopback, tmp_path: Path) -> None:
    before = time.monotonic()
    with pytest.raises(InputUnavailable, match="takes too long"):
        fetch(other.url + to("/slow"), tmp_path / "a", replace(OPEN, input_limit_s=0.5))
    assert time.monotonic() - before < 60


@pytest.mark.parametrize(
    ("given", "wanted", "fit"),
    [
        ("", "application/geo+json", True),
        ("application/octet-stream", "image/tiff", True),
        ("application/json; charset=utf-8", "application/geo+json", True),
        ("application/vnd.geo+json", "application/geo+json", True),
        ("text/plain", "application/geo+json", True),
        ("text/plain", "text/csv", True),
        ("application/x-sqlite3", "application/geopackage+sqlite3", True),
        ("image/tiff; application=geotiff", "image/tiff", True),
        ("text/html", "application/octet-stream", True),
        ("text/html", "application/geo+json", False),
        ("text/html", "text/csv", False),
        ("text/plain", "application/geopackage+sqlite3", False),
        ("image/png", "image/tiff", False),
    ],
)
def test_what_a_server_calls_a_file_may_be_less_exact_than_the_description(
    given: str, wanted: str, fit: bool
) -> None:
    assert fits(given, ["application/x-other", wanted]) is fit
