"""What a job starts from: sources as they were, inputs from addresses that are allowed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from k8s_manager.errors import ConfigError
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


def test_the_task_file_holds_the_commands_by_index(installation: Installation) -> None:
    job = installation.run("chain", {"count": 2})
    task = json.loads((installation.workspace.step(job.id, "work") / "task-r1.json").read_text())
    assert (task["version"], task["step"], task["round"], task["ram_mb"]) == (1, "work", 1, 64)
    assert [entry["index"] for entry in task["indexes"]] == [0, 1]
    second = task["indexes"][1]
    assert second["argv"][-2:] == ["p1", "../inputs/0/1.txt"]
    assert second["inputs"][0]["path"].startswith(f"jobs/{job.id}/split/r1-")
    assert second["outputs"] == {"square": {"type": "File", "glob": ["square-p1.txt"]}}
