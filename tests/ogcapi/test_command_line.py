"""The command line says in a sentence what is wrong, and ends with a code that tells it apart."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from k8s_manager.records import NewJob
from k8s_manager.store import Store

ROOT = Path(__file__).parents[2]
GREET = ROOT / "tests" / "data" / "processes" / "greet.cwl"
TALKING = """
import time
for number in range(5): print("line", number, flush=True); time.sleep(0.2)
open("result.txt", "w")
"""


def resource(name: str) -> dict[str, object]:
    cwl = str(GREET.with_name(f"{name}.cwl"))
    processor = {"name": "k8s_manager.processor.CwlProcessor", "cwl": cwl}
    return {"type": "process", "processor": processor}


CONFIG = {"server": {"manager": {}}, "resources": {"greet": resource("greet")}}


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
    out, error = process.communicate(timeout=200)
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
    assert code == 2
    assert str(tmp_path / "file") in error
    assert "in CDI_HOME" in error


@pytest.mark.parametrize("taken", ["workspace", "workspace/jobs"])
def test_a_run_ends_where_its_workspace_cannot_be_written(tmp_path: Path, taken: str) -> None:
    place = tmp_path / taken
    place.parent.mkdir(exist_ok=True)
    place.write_text("")
    (tmp_path / "inputs.json").write_text('{"name": "Ada"}', encoding="utf-8")
    workspace = str(tmp_path / "workspace")
    code, out, error = cdi(
        tmp_path, "run", "greet", "--inputs", "inputs.json", CDI_WORKSPACE=workspace
    )
    assert code == 1
    assert "the workspace cannot be used" in error
    assert f"write to the folder {workspace}, or name another folder in CDI_WORKSPACE" in error
    assert "quota" not in out + error


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
    (tmp_path / "inputs.json").write_text('{"name": "Ada", "pause": 59}', encoding="utf-8")
    process = start(tmp_path, "run", "greet", "--inputs", "inputs.json", PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Job ")
    while "greet: 0 of 1 runs" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, error = process.communicate(timeout=100)
    assert process.returncode == 130, error
    assert error.startswith("dismissed")
    assert "Traceback" not in error
    assert "dismissed" in cdi(tmp_path, "jobs")[1]


def finished(folder: Path, **inputs: object) -> str:
    (folder / "inputs.json").write_text(json.dumps(inputs), encoding="utf-8")
    out = cdi(folder, "run", "greet", "--inputs", "inputs.json")[1]
    job = re.search(r"Job ([0-9a-f]{32})", out)
    assert job is not None
    return job[1]


def test_attempts_are_shown_in_a_table_and_their_logs_printed(tmp_path: Path) -> None:
    job = finished(tmp_path, name="nobody")
    shown = cdi(tmp_path, "jobs", "show", job, COLUMNS="200")[1]
    (row,) = [line.split() for line in shown.splitlines() if " r1-" in line]
    assert row[:5] == ["greet", "0", "1", "fail", "65"]
    name = row[-1]
    code, out, _ = cdi(tmp_path, "jobs", "logs", job)
    assert code == 0
    heading, words = out.splitlines()
    assert heading == f"==> step greet, attempt {name}, stderr <=="
    assert json.loads(words)["title"] == "nobody to greet"
    chosen = ("--step", "greet", "--index", "0", "--attempt", name, "--stream", "stderr")
    assert cdi(tmp_path, "jobs", "logs", job, *chosen, "--follow")[1] == out
    assert cdi(tmp_path, "jobs", "logs", job, "--stream", "stdout")[1] == ""
    for wrong, sentence in (
        (("--step", "paint"), "its steps: greet"),
        (("--index", "1"), "no index 1"),
        (("--attempt", "x"), "no attempt 'x'"),
        (("--stream", "x"), "expected one of stdout, stderr, runner"),
    ):
        code, _, error = cdi(tmp_path, "jobs", "logs", job, *wrong)
        assert code == 2
        assert sentence in error
    cdi(tmp_path, "jobs", "dismiss", job)
    code, _, error = cdi(tmp_path, "jobs", "logs", job)
    assert (code, "removed" in error) == (2, True)


def test_a_running_job_is_followed_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "inputs.json").write_text(json.dumps({"code": TALKING}), encoding="utf-8")
    config = {**CONFIG, "resources": {"python": resource("python")}}
    (tmp_path / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    running = start(tmp_path, "run", "python", "--inputs", "inputs.json", PYTHONUNBUFFERED="1")
    assert running.stdout is not None
    job = running.stdout.readline().split()[1]
    code, out, error = cdi(tmp_path, "jobs", "logs", job, "--follow", "--stream", "stdout")
    assert (code, error) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("==> step python, attempt r1-")
    assert lines[1:] == [f"line {number}" for number in range(5)]
    running.communicate(timeout=100)


def test_waiting_jobs_are_listed_with_their_places(tmp_path: Path) -> None:
    home = tmp_path / "var"
    home.mkdir()
    store = Store(f"sqlite:///{home / 'cdi.db'}")
    store.migrate()
    for owner in ("a", "a", "b"):
        store.create_job(NewJob("greet", "1", {}, {}, owner=owner))
    store.close()
    listed = cdi(tmp_path, "jobs", COLUMNS="200")[1].splitlines()[1:]
    places = [re.search(r"waiting: queue: (\d) of 3 waiting jobs", line) for line in listed]
    assert [place and place[1] for place in places] == ["2", "3", "1"]
