"""`cdi check` on one machine: each line says what was looked at, what was found, what to do."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.ogcapi.test_command_line import cdi

SOURCE = """
sources:
  - {{name: tiles, type: folder, product: ndom, root: {root}}}
  - {{name: web, type: stac, product: dop, url: "https://stac.example", secret: token}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources.yml").write_text("sources: []\n")
    (tmp_path / "var").mkdir()
    return tmp_path


def split_notes(table: str) -> tuple[list[str], list[str]]:
    """Return the notes about the room on this machine's disk, and all others.

    How much room there is, is not the test's to say.
    """
    notes = [line for line in table.splitlines() if line.startswith("note")]
    room = [line for line in notes if re.search("GB free .*make room", line)]
    return room, [line for line in notes if line not in room]


def verdict(table: str) -> str:
    """Return what the last line of a table with nothing to say has to be on this machine."""
    room, others = split_notes(table)
    assert not others, table
    return "Jobs can run." if room else "All is well."


def check(folder: Path, **env: str) -> tuple[int, str]:
    variables = {"COLUMNS": "1000", "CDI_SOURCES": str(folder / "sources.yml"), **env}
    code, out, _error = cdi(folder, "check", **variables)
    return code, re.sub(" +", " ", out)


def test_an_installation_that_was_never_started_is_well(folder: Path) -> None:
    code, table = check(folder)
    assert (code, table.splitlines()[-1]) == (0, verdict(table))
    assert "ok processes greet" in table
    assert "cdi.db will be made at the first start" in table
    assert not list((folder / "var").iterdir())  # looking changes nothing
    assert cdi(folder, "migrate")[0] == 0
    assert "is reachable and up to date" in check(folder)[1]


def test_a_configuration_or_process_file_that_is_wrong_is_named(folder: Path) -> None:
    code, table = check(folder, CDI_CONFIG="none.yml")
    assert code == 1
    assert "none.yml cannot be read" in table
    cdi(folder, "processes")  # writes the configuration
    config = folder / "config.yml"
    config.write_text(config.read_text().replace("greet.cwl", "none.cwl"))
    code, table = check(folder)
    assert code == 1
    assert re.search("failed processes .*none.cwl not found", table)


def test_a_setting_that_is_no_value_is_named(folder: Path) -> None:
    code, table = check(folder, CDI_WORKERS="many")
    assert code == 1
    assert re.search("failed configuration .*CDI_WORKERS", table)


def test_a_database_that_is_away_or_too_old_is_named(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens here
        url = f"postgresql://cdi:secret@127.0.0.1:{taken.getsockname()[1]}/cdi"
        code, table = check(folder, CDI_DATABASE_URL=url)
    assert code == 1
    assert re.search("failed database .*CDI_DATABASE_URL", table)
    assert "secret" not in table
    sqlite3.connect(folder / "var" / "cdi.db").execute("CREATE TABLE other (id)").connection.close()
    code, table = check(folder)
    assert code == 1
    assert re.search("failed database .*revision none, .*run `cdi migrate`", table)


def test_a_workspace_that_cannot_be_is_named(folder: Path) -> None:
    (folder / "file").write_text("")
    code, table = check(folder, CDI_WORKSPACE=str(folder / "file"))
    assert code == 1
    assert re.search("failed workspace .*CDI_WORKSPACE", table)


def test_sources_say_what_cannot_be_read(folder: Path) -> None:
    tiles = folder / "tiles"
    (folder / "sources.yml").write_text(SOURCE.format(root=tiles))
    code, table = check(folder)
    assert code == 1
    assert re.search("note source tiles .*tiles cannot be read", table)
    assert re.search("failed source web needs the secret token .*CDI_SECRETS_DIR", table)
    tiles.mkdir()
    (folder / "token").write_text("x")
    assert check(folder, CDI_SECRETS_DIR=str(folder))[0] == 0
    (folder / "sources.yml").write_text("[")
    assert "not valid YAML" in check(folder)[1]


def test_a_cluster_that_is_not_configured_is_named(folder: Path) -> None:
    (folder / "var" / "workspace").mkdir()
    code, table = check(folder, CDI_BACKEND="kubernetes", KUBECONFIG=os.devnull)
    assert code == 1
    assert re.search("failed Kubernetes API .*KUBECONFIG", table)
