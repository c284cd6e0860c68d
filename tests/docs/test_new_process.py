"""The walkthrough for a new process, run as it stands in the docs."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import Server, serving

GUIDE = Path(__file__).parents[2] / "docs" / "new-process.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the guide shows."""
    folder = tmp_path_factory.mktemp("guide")
    for _language, name, text in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        if name:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    bin_folder = str(Path(sys.executable).parent)
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("CDI_")},
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "CDI_HOME": str(folder / "var"),
    }


@pytest.fixture(scope="module")
def server(folder: Path, environment: dict[str, str]) -> Server:
    _shell(folder, environment, "python terrain.py")
    with serving(folder / "pygeoapi-config.yml", folder / "var") as server:
        yield server


def test_the_commands_of_the_guide_run_and_agree_with_another_engine(
    folder: Path, environment: dict[str, str]
) -> None:
    commands = [text for language, _, text in _blocks() if language == "sh"][:2]
    output = "".join(_shell(folder, environment, text) for text in commands)
    assert "Water level" in output
    own = next((folder / "var" / "workspace" / "jobs").glob("*/**/outputs/summary.json"))
    assert json.loads(own.read_text()) == {"level_m": 4.5, "flooded_m2": 400.0}
    for name in ("summary.json", "flooded.tif"):
        assert own.with_name(name).read_bytes() == (folder / "other" / name).read_bytes()


def test_the_served_process_is_documented_and_refuses_what_the_guide_says(server: Server) -> None:
    described = server.get("/processes/flooded-area").json()
    assert set(described["inputs"]) == {"terrain", "level"}
    assert "/processes/flooded-area/execution" in server.get("/openapi").json()["paths"]
    answer = server.post("/processes/flooded-area/execution", {"inputs": {"level": "high"}})
    assert answer.status_code == 400
    assert {entry["input"] for entry in answer.json()["violations"]} == {"terrain", "level"}


def test_the_served_process_is_german_on_german_pages_as_far_as_the_guide_goes(
    server: Server,
) -> None:
    headers = {"Accept": "text/html", "Accept-Language": "de"}
    page = server.get("/processes/flooded-area", headers=headers).text
    assert "<h1>Überflutete Fläche</h1>" in page
    assert "Meter über Normalhöhennull." in page
    assert '<span lang="en">Level in metres and area in square metres.</span>' in page


def test_the_served_process_answers_synchronously(server: Server, folder: Path) -> None:
    terrain = base64.b64encode((folder / "terrain.tif").read_bytes()).decode()
    body = {
        "inputs": {"terrain": {"value": terrain, "encoding": "base64"}, "level": 4.5},
        "outputs": {"summary": {"transmissionMode": "value"}},
    }
    answer = server.post("/processes/flooded-area/execution", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["summary"]["value"]["flooded_m2"] == 400.0


def _blocks() -> list[tuple[str, str, str]]:
    return BLOCK.findall(GUIDE.read_text(encoding="utf-8"))


def _shell(folder: Path, environment: dict[str, str], command: str) -> str:
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
