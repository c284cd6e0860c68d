"""The command line says in a sentence what is wrong, and ends with a code that tells it apart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GREET = ROOT / "tests" / "data" / "processes" / "greet.cwl"
CONFIG = {
    "server": {"manager": {}},
    "resources": {
        "greet": {
            "type": "process",
            "processor": {"name": "k8s_manager.processor.CwlProcessor", "cwl": str(GREET)},
        }
    },
}


def start(folder: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    config = folder / "config.yml"
    if not config.exists():
        config.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("CDI_")}
    return subprocess.Popen(
        [sys.executable, "-m", "ogcapi.cli", *arguments],
        env={**inherited, "CDI_CONFIG": str(config), "CDI_HOME": str(folder / "var"), **env},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def cdi(folder: Path, *arguments: str, **env: str) -> tuple[int, str, str]:
    process = start(folder, *arguments, **env)
    out, error = process.communicate(timeout=60)
    assert "Traceback" not in error
    return process.returncode, out, error


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be read"),
        ("[]", "expected an object of inputs by name"),
        ('{"name": 1}', "/inputs/name: expected a string"),
        ('{"inputs": []}', "/inputs: expected an object"),
        ('{"name": {"class": "File", "path": 5}}', "/inputs/name: expected a string"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_inputs_that_are_wrong_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "inputs.json").write_text(text, encoding="utf-8")
    code, _, error = cdi(tmp_path, "run", "greet", "--inputs", "inputs.json")
    assert code == 2
    assert sentence in error


def test_files_and_processes_that_are_missing_are_named(tmp_path: Path) -> None:
    code, _, error = cdi(tmp_path, "run", "greet", "--inputs", "none.json")
    assert (code, error) == (2, "inputs none.json cannot be read: No such file or directory\n")
    code, _, error = cdi(tmp_path, "processes", "--config", "none.yml")
    assert code == 2
    assert "none.yml cannot be read (No such file or directory)" in error
    assert cdi(tmp_path, "jobs", "show", "none")[0] == 2
    assert cdi(tmp_path, "processes", "none")[0] == 2


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, error = cdi(tmp_path, "jobs", CDI_HOME=str(tmp_path / "file" / "var"))
    assert code == 1
    assert str(tmp_path / "file") in error


@pytest.mark.parametrize(
    ("arguments", "env", "sentence"),
    [
        (("--port", "99999"), {}, "--port"),
        ((), {"CDI_PORT": "99999"}, "CDI_PORT is 99999"),
        (
            ("--host", "192.0.2.1"),
            {"CDI_ALLOW_ANONYMOUS": "1"},
            "cannot listen on 192.0.2.1",
        ),
        ((), {}, "lacks metadata.identification.title"),
    ],
)
def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], sentence: str
) -> None:
    if sentence.startswith("cannot listen"):
        everything = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
        text = yaml.safe_dump({**CONFIG, "metadata": everything["metadata"]})
        (tmp_path / "config.yml").write_text(text, encoding="utf-8")
    code, _, error = cdi(tmp_path, "serve", *arguments, **env)
    assert code == 2
    assert sentence in error


def test_a_job_is_listed_with_whole_id_and_status_in_a_narrow_pipe(tmp_path: Path) -> None:
    (tmp_path / "inputs.json").write_text('{"name": "[/bold] Ada"}', encoding="utf-8")
    code, out, error = cdi(tmp_path, "run", "greet", "--inputs", "inputs.json")
    assert code == 0, error
    job = re.search(r"Job ([0-9a-f]{32})", out)
    assert job is not None
    listed = cdi(tmp_path, "jobs", COLUMNS="60")[1]
    assert f"{job[1]}  successful" in listed
    assert cdi(tmp_path, "jobs", "show", job[1])[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_dismisses_its_job(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "inputs.json").write_text('{"name": "Ada", "pause": 40}', encoding="utf-8")
    process = start(tmp_path, "run", "greet", "--inputs", "inputs.json", PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Job ")
    time.sleep(1)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.startswith("dismissed")
    assert "Traceback" not in error
    assert "dismissed" in cdi(tmp_path, "jobs")[1]
