"""Downloads from a real server that cuts, delays, refuses and lies as servers do."""

import email.utils
import hashlib
import re
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from processes.ingest.cache import Cache
from processes.ingest.download import Downloader
from processes.ingest.sources import Acquisition, Source
from processes.ingest.transfer import DeniedError, NotThereError
from processes.ingest.whole_raster import DamagedFileError
from processes.stage import InputDataError, TemporaryError
from tests.processes.ingest.web import site

BODY = bytes(range(256)) * 2000
PATH = "/tiles/a.tif"


def source(url, **settings):
    return Source(
        *("web", "opengeodata", "ndom", None, url, re.compile("x"), "EPSG:25832", 1000, 1),
        *("l", "a", Acquisition("surface", "c")),
        **{"backoff_s": 0.01, "timeout_s": 20, "attempts": 4, **settings},
    )


@pytest.fixture
def server():
    with site() as running:
        running.files[PATH] = BODY
        yield running


@pytest.fixture
def get(server, tmp_path):
    """Fetch PATH with a downloader of its own, so that nothing but the cache is remembered."""

    def fetch(check=lambda path: None, settings=None, **promised):
        downloader = Downloader(source(server.url, **(settings or {})), Cache(tmp_path / "cache"))
        try:
            return downloader.fetch(server.url + PATH[1:], check, **promised)
        finally:
            downloader.close()

    return fetch


def in_cache(tmp_path):
    return list((tmp_path / "cache" / "sha256").glob("*/*"))


def leftovers(tmp_path):
    return [p for p in (tmp_path / "cache" / "by-url").iterdir() if p.suffix.startswith(".part")]


def test_a_file_is_fetched_once_and_then_comes_out_of_the_cache(server, get, tmp_path):
    stored = get(size=len(BODY), checksum=("md5", hashlib.md5(BODY).hexdigest()))
    assert stored.path.read_bytes() == BODY
    assert stored.sha256 == hashlib.sha256(BODY).hexdigest()
    assert get(size=len(BODY), checksum=("md5", hashlib.md5(BODY).hexdigest())) == stored
    assert len(server.asked(PATH)) == 1
    assert leftovers(tmp_path) == []


def test_we_say_who_we_are(server, get):
    get()
    assert server.asked(PATH)[0]["User-Agent"].startswith("cdi-nrw/")


def test_a_connection_that_is_cut_is_continued_where_it_stopped(server, get):
    server.faults[PATH] = [("cut", 300_000)]
    assert get().path.read_bytes() == BODY
    second = server.asked(PATH)[1]
    assert second["Range"] == "bytes=300000-"
    assert second["If-Range"] == f'"{hashlib.md5(BODY).hexdigest()}"'


def test_a_later_run_continues_what_an_earlier_one_left(server, get, tmp_path):
    server.faults[PATH] = [("cut", 100_000), *[("status", 503, {})] * 3]
    with pytest.raises(TemporaryError):
        get()
    assert in_cache(tmp_path) == []
    assert get().path.read_bytes() == BODY
    assert server.asked(PATH)[-1]["Range"] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(server, get):
    server.faults[PATH] = [("cut", 100_000), *[("status", 503, {})] * 3]
    with pytest.raises(TemporaryError):
        get()
    server.files[PATH] = BODY[::-1]
    assert get().path.read_bytes() == BODY[::-1]


def test_without_a_validator_nothing_is_continued(server, get):
    server.validators = False
    server.faults[PATH] = [("cut", 100_000)]
    assert get().path.read_bytes() == BODY
    assert "Range" not in server.asked(PATH)[1]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server, get, status):
    server.faults[PATH] = [("status", status, {}), ("status", status, {})]
    assert get().path.read_bytes() == BODY
    assert len(server.asked(PATH)) == 3


@pytest.mark.parametrize("as_date", [False, True])
def test_a_server_gets_the_time_that_it_asks_for(server, get, as_date):
    moment = datetime.now(UTC) + timedelta(seconds=2)
    text = email.utils.format_datetime(moment, usegmt=True) if as_date else "1"
    server.faults[PATH] = [("status", 429, {"Retry-After": text})]
    started = time.monotonic()
    get()
    if as_date:
        assert datetime.now(UTC) >= moment.replace(microsecond=0)
    else:
        assert time.monotonic() - started >= 1


def test_a_server_that_wants_an_hour_ends_the_run_at_once(server, get):
    server.faults[PATH] = [("status", 503, {"Retry-After": "3600"})]
    started = time.monotonic()
    with pytest.raises(TemporaryError):
        get()
    assert time.monotonic() - started < 60


def test_a_server_that_stays_down_is_given_up_with_its_name(server, get):
    server.faults[PATH] = [("status", 503, {})] * 4
    with pytest.raises(TemporaryError, match=r"127\.0\.0\.1.*does not answer.*answers 503"):
        get()


def test_a_host_where_nobody_listens_is_given_up(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    downloader = Downloader(source(url, attempts=2), Cache(tmp_path))
    with pytest.raises(TemporaryError, match="ConnectError"):
        downloader.fetch(url + "a.tif", lambda path: None)
    downloader.close()


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(server, get):
    server.faults[PATH] = [("wait", 6)]
    assert get(settings={"timeout_s": 2}).path.read_bytes() == BODY
    assert len(server.asked(PATH)) == 2


@pytest.mark.parametrize(
    ("status", "error"), [(404, NotThereError), (410, NotThereError), (403, DeniedError)]
)
def test_a_clear_no_is_not_asked_again(server, get, tmp_path, status, error):
    server.faults[PATH] = [("status", status, {})]
    with pytest.raises(error):
        get()
    assert len(server.asked(PATH)) == 1
    assert in_cache(tmp_path) == []


def test_a_file_that_arrives_damaged_is_fetched_once_more(server, get, tmp_path):
    server.faults[PATH] = [("garble",)]
    digest = hashlib.sha256(BODY).hexdigest()
    assert get(checksum=("sha256", digest)).sha256 == digest
    assert len(server.asked(PATH)) == 2


def test_a_file_that_stays_damaged_never_reaches_the_cache(server, get, tmp_path):
    with pytest.raises(DamagedFileError, match="its index says"):
        get(size=len(BODY) + 1)
    with pytest.raises(DamagedFileError, match="its index says"):
        get(checksum=("sha512", "00"))
    assert in_cache(tmp_path) == []
    assert leftovers(tmp_path) == []


def test_a_cached_file_does_not_stand_for_another_size_in_the_index(server, get):
    get(size=len(BODY))
    server.files[PATH] = BODY + b"!"
    assert get(size=len(BODY) + 1).size == len(BODY) + 1


def test_a_full_disk_leaves_nothing_of_a_download_behind(server, small_disk):
    server.files[PATH] = BODY * 2  # 1 MB
    downloader = Downloader(source(server.url), Cache(small_disk / "cache"))
    with pytest.raises(OSError, match="No space left"):
        downloader.fetch(server.url + PATH[1:], lambda path: None)
    downloader.close()
    assert len(server.asked(PATH)) == 1
    assert [p.suffix for p in small_disk.rglob("*") if p.is_file()] == [".lock"]


def test_a_token_goes_to_the_source_s_own_host_only(server, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("CDI_SECRETS_DIR", str(tmp_path))
    with site() as other:
        other.files["/x"] = b"{}"
        downloader = Downloader(source(server.url, secret="token"), Cache(tmp_path / "cache"))
        downloader.fetch(server.url + PATH[1:], lambda path: None)
        downloader.fetch(other.url + "x", lambda path: None)
        downloader.close()
        assert server.asked(PATH)[0]["Authorization"] == "Bearer s3cret"
        assert "Authorization" not in other.asked("/x")[0]


def test_a_missing_token_is_named_without_its_content(server, get, monkeypatch):
    monkeypatch.delenv("CDI_SECRETS_DIR", raising=False)
    with pytest.raises(InputDataError, match="secret of source web is missing"):
        get(settings={"secret": "token"})
