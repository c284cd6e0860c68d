"""What a job starts from: sources as they were, inputs from addresses that are allowed."""

from __future__ import annotations

import dataclasses
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8s_manager import input_fetching
from k8s_manager.errors import ConfigError
from k8s_manager.input_fetching import InputUnavailable, fetch
from k8s_manager.job_files import resolved_sources
from tests.k8s_manager.installation import Installation

SOURCES = """
sources:
  - name: own
    type: folder
    root: data/own
    copy: false
  - name: home
    type: folder
    root: ${CDI_HOME:-nowhere}/landscape
  - name: web
    type: opengeodata
    url: ${CDI_TEST_URL:-https://example.org}/x
"""


@pytest.fixture
def address() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response({"/moved": 302, "/missing": 404}.get(self.path, 200))
            self.send_header("Location", "http://127.0.0.1/elsewhere")
            self.end_headers()
            self.wfile.write(b"x" * 1000)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_sources_are_absolute_and_filled_in(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "sources.yml"
    path.write_text(SOURCES)
    settings = dataclasses.replace(installation.settings, sources=path)
    own, home, web = resolved_sources(settings)["sources"]
    assert own["root"] == str(tmp_path / "data" / "own")
    assert home["root"] == str(settings.home / "landscape")
    assert web["url"] == "https://example.org/x"


@pytest.mark.parametrize("text", ["[", "a: 1", "sources: [x]"])
def test_sources_that_make_no_sense(installation: Installation, tmp_path: Path, text: str) -> None:
    path = tmp_path / "sources.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"sources .*sources\.yml"):
        resolved_sources(dataclasses.replace(installation.settings, sources=path))


def test_a_source_read_in_place_is_used_where_it_lies(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "data" / "own").mkdir(parents=True)
    (tmp_path / "data" / "own" / "tile.txt").write_text("tile")
    (tmp_path / "sources.yml").write_text(SOURCES)
    settings = dataclasses.replace(installation.settings, sources=tmp_path / "sources.yml")
    job = Installation(settings, installation.store).run("in-place", {"name": "own"})
    assert job.error is None
    assert job.results is not None
    assert job.results["tile"]["location"] == f"file://{tmp_path}/data/own/tile.txt"
    assert job.results["tile"]["checksum"].startswith("size-mtime$4-")
    job = Installation(settings, installation.store).run("in-place", {"name": "home"})
    assert job.error is not None
    assert "a source that is read in place" in job.error["detail"]


def test_addresses_of_this_machine_are_refused(
    installation: Installation, tmp_path: Path, address: str
) -> None:
    settings = dataclasses.replace(installation.settings, input_hosts=("127.0.0.1",))
    with pytest.raises(InputUnavailable, match="not a public address"):
        fetch(f"{address}/a", tmp_path / "a", settings)
    with pytest.raises(InputUnavailable, match="not fetched from"):
        fetch("https://example.org/a", tmp_path / "a", settings)
    assert not (tmp_path / "a").exists()


def test_what_is_fetched_is_whole_or_not_there(
    installation: Installation, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_fetching, "_refuse_private", lambda _host, _port: None)
    allowed = dataclasses.replace(installation.settings, input_hosts=("127.0.0.1",))
    fetch(f"{address}/a", tmp_path / "in" / "a", allowed)
    assert (tmp_path / "in" / "a").read_bytes() == b"x" * 1000
    small = dataclasses.replace(allowed, body_limit_bytes=999)
    for name, settings, reason in (
        ("moved", allowed, "answers 302"),
        ("missing", allowed, "answers 404"),
        ("large", small, "more than 999 bytes"),
    ):
        with pytest.raises(InputUnavailable, match=reason):
            fetch(f"{address}/{name}", tmp_path / "in" / name, settings)
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a"]


def test_the_task_file_holds_the_commands_by_index(installation: Installation) -> None:
    job = installation.run("chain", {"count": 2})
    task = json.loads((installation.workspace.step(job.id, "work") / "task-r1.json").read_text())
    assert (task["version"], task["step"], task["round"], task["ram_mb"]) == (1, "work", 1, 64)
    assert [entry["index"] for entry in task["indexes"]] == [0, 1]
    second = task["indexes"][1]
    assert second["argv"][-2:] == ["p1", "../inputs/0/1.txt"]
    assert second["inputs"][0]["path"].startswith(f"jobs/{job.id}/split/r1-")
    assert second["outputs"] == {"square": {"type": "File", "glob": ["square-p1.txt"]}}
