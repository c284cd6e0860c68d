"""The runner with real programs: what it lets through, what it stops, what it writes down."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from k8s_manager import step_runner
from tests.k8s_manager.installation import eventually, processes_below

JOB = "0" * 32
FILE = {"type": "File", "glob": ["out.txt"]}
WRITE = "open('out.txt', 'w').write('hello')"


def start(workspace: Path, code: str, entry: Any = None, **task: Any) -> subprocess.Popen[bytes]:
    step = workspace / "jobs" / JOB / "step"
    step.mkdir(parents=True)
    document = {
        "version": 1, "job": JOB, "step": "step", "round": 1, "epoch": 1, "scattered": False,
        "time_limit_s": 250, "ram_mb": 0, "log_limit_bytes": 100_000, **task,
        "indexes": [{
            "index": 0, "argv": ["python3", "-c", code], "env": {}, "inputs": [],
            "outputs": {"out": FILE}, **(entry or {}),
        }],
    }  # fmt: skip
    (step / "task-r1.json").write_text(json.dumps(document))
    return subprocess.Popen(
        [sys.executable, "-I", "-S", step_runner.__file__, "--workspace", str(workspace),
         "--task", str(step / "task-r1.json"), "--attempt", "a1"],
        env={"PATH": os.environ["PATH"], "SECRET_OF_POD": "", "CDI_IMAGE_DIGEST": "sha256:1"},
    )  # fmt: skip


def folder(workspace: Path) -> Path:
    return workspace / "jobs" / JOB / "step" / "a1"


def run(workspace: Path, code: str, entry: Any = None, **task: Any) -> dict[str, Any]:
    start(workspace, code, entry, **task).wait()
    document: dict[str, Any] = json.loads((folder(workspace) / "attempt.json").read_text())
    return document


def test_an_output_is_hashed_and_located(tmp_path: Path) -> None:
    document = run(tmp_path, WRITE)
    assert document["outputs"]["out"] == {
        "class": "File",
        "location": f"workspace:jobs/{JOB}/step/a1/outputs/out.txt",
        "basename": "out.txt",
        "checksum": "sha256$" + hashlib.sha256(b"hello").hexdigest(),
        "size": 5,
    }
    assert (document["exit_code"], document["reason"], document["error"]) == (0, None, None)
    assert document["started"] < document["ended"]
    assert document["image_digest"] == "sha256:1"
    assert 0 < document["cpu_s"] < 5
    assert 2 < document["ram_peak_mb"] < 200


def test_cpu_of_children_counts(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); {WRITE}"
    assert run(tmp_path, code)["cpu_s"] >= 0.3


def test_the_last_json_line_of_stderr_is_the_error(tmp_path: Path) -> None:
    code = (
        'import sys; e = sys.stderr.write; e(\'{"title": "first"}\\n\'); '
        'e(\'{"title": "no CRS", "detail": "a.tif"}\\nnoise\\n{broken\\n\'); sys.exit(65)'
    )
    document = run(tmp_path, code)
    assert document["error"] == {"title": "no CRS", "detail": "a.tif"}
    assert document["exit_code"] == 65
    assert document["outputs"] == {}


def test_without_json_the_last_line_is_the_detail(tmp_path: Path) -> None:
    document = run(tmp_path, "raise ValueError('bad number')")
    assert document["error"] == {
        "title": "the program ended with exit code 1",
        "detail": "ValueError: bad number",
    }


def test_time_limit(tmp_path: Path) -> None:
    begun = time.monotonic()
    document = run(tmp_path, "import time; time.sleep(200)", time_limit_s=0.3)
    assert time.monotonic() - begun < 100
    assert document["reason"] == "time-limit"
    assert document["error"]["detail"] == "stopped after 0.3 s"


def test_time_limit_of_a_program_that_ignores_the_request(tmp_path: Path) -> None:
    stubborn = ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]
    document = run(tmp_path, "", {"argv": stubborn}, time_limit_s=3)
    assert (document["reason"], document["signal"]) == ("time-limit", signal.SIGKILL)


def test_memory_limit_counts_children(tmp_path: Path) -> None:
    hog = "x = bytearray(60_000_000); import time; time.sleep(200)"
    code = (
        "import subprocess, sys\n"
        f"p = [subprocess.Popen([sys.executable, '-c', {hog!r}]) for _ in range(2)]\n"
        "[q.wait() for q in p]"
    )
    document = run(tmp_path, code, ram_mb=100)
    assert document["reason"] == "memory"
    assert document["ram_peak_mb"] > 100
    assert processes_below(tmp_path) == []


def test_a_flood_of_output_is_capped_and_its_end_kept(tmp_path: Path) -> None:
    code = f"print('begin'); print('x' * 5_000_000); print('end'); {WRITE}"
    assert run(tmp_path, code, log_limit_bytes=100_000)["error"] is None
    log = (folder(tmp_path) / "stdout").read_bytes()
    assert len(log) < 101_000
    assert log.startswith(b"begin\n")
    assert log.endswith(b"x\nend\n")
    assert b"bytes left out]" in log


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("pass", "output out: nothing was written as out.txt"),
        ("import os; os.symlink('/etc/passwd', 'out.txt')", "out.txt outside of it"),
        ("import os; os.mkfifo('out.txt')", "out.txt, which is something else"),
        ("import os; os.mkdir('out.txt')", "out.txt, which is something else"),
        ("open('cwl.output.json', 'w').write('{]')", "expected valid JSON"),
        ("open('cwl.output.json', 'w').write('[]')", "expected a JSON object"),
        ("open('cwl.output.json', 'w').write('{}')", "output out is null"),
        ("open('cwl.output.json', 'w').write('[' * 99_999)", "nested too deeply"),
    ],
)
def test_what_is_no_valid_output(tmp_path: Path, code: str, detail: str) -> None:
    document = run(tmp_path, code)
    assert document["reason"] == "outputs"
    assert detail in document["error"]["detail"]
    assert document["outputs"] == {}


@pytest.mark.parametrize(
    "value",
    [
        {"class": "File", "path": "../../../../secret.txt"},
        {"class": "File", "path": "/etc/passwd"},
        {"class": "File", "location": "file:///etc/passwd"},
        {"class": "File", "location": "workspace:jobs/other/x"},
        {"class": "File", "location": "cache:sha256/" + "0" * 64},
        {"class": "File", "path": "out.txt", "basename": "../x"},
        {"class": "Directory", "path": "out.txt"},
        "out.txt",
        7,
    ],
)
def test_cwl_output_cannot_name_what_is_not_the_attempts(tmp_path: Path, value: Any) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    text = json.dumps({"out": value})
    document = run(tmp_path, f"{WRITE}; open('cwl.output.json', 'w').write({text!r})")
    assert document["reason"] == "outputs"
    assert document["outputs"] == {}


def test_cwl_output_with_records_cached_files_and_sources_in_place(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"cached").hexdigest()
    cached = tmp_path / "cache" / "sha256" / digest[:2] / digest
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"cached")
    source = tmp_path / "sources" / "tile.tif"
    source.parent.mkdir()
    source.write_bytes(b"tile")
    records = [{
        "id": "b1", "core": [0, 1.5],
        "files": [
            {"class": "File", "location": f"cache:sha256/{digest}", "basename": "c.tif"},
            {"class": "File", "location": f"file://{source}"},
            {"class": "File", "path": "own.txt"},
        ],
    }]  # fmt: skip
    type_ = {"type": "array", "items": {"type": "record", "fields": [
        {"name": "id", "type": "string"},
        {"name": "core", "type": {"type": "array", "items": "double"}},
        {"name": "files", "type": {"type": "array", "items": "File"}},
        {"name": "note", "type": ["null", "string"]},
    ]}}  # fmt: skip
    code = (
        "open('own.txt', 'w').write('own'); import json; "
        f"open('cwl.output.json', 'w').write(json.dumps({{'out': {records!r}}}))"
    )
    document = run(
        tmp_path,
        code,
        {"outputs": {"out": {"type": type_, "glob": []}}},
        in_place=[str(source.parent)],
    )
    assert document["error"] is None
    (record,) = document["outputs"]["out"]
    assert (record["id"], record["core"], record["note"]) == ("b1", [0, 1.5], None)
    in_cache, in_place, own = record["files"]
    assert in_cache["checksum"] == f"sha256${digest}"
    assert (in_cache["basename"], in_cache["size"]) == ("c.tif", 6)
    assert in_place["location"] == f"file://{source}"
    assert in_place["checksum"].startswith("size-mtime$4-")
    assert own["checksum"] == "sha256$" + hashlib.sha256(b"own").hexdigest()


def test_a_directory_is_listed_and_its_links_refused(tmp_path: Path) -> None:
    spec = {"outputs": {"out": {"type": "Directory", "glob": ["release"]}}}
    make = "import os; os.makedirs('release/sub'); open('release/sub/a', 'w').write('a')"
    document = run(tmp_path / "good", make, spec)
    (sub,) = document["outputs"]["out"]["listing"]
    assert (sub["class"], sub["basename"], sub["listing"][0]["size"]) == ("Directory", "sub", 1)
    document = run(tmp_path / "bad", f"{make}; os.symlink('/etc', 'release/sub/etc')", spec)
    assert "etc, which is a link" in document["error"]["detail"]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("double", "NaN"),
        ("double", "-Infinity"),
        ("string", '"a\\u0000b"'),
        ("string", '"\\ud800"'),
        ({"type": "record", "fields": []}, '{"x": NaN}'),
        ({"type": "record", "fields": []},
         '{"x": [{"class": "File", "location": "file:///etc/passwd"}]}'),
    ],
)  # fmt: skip
def test_values_that_no_record_can_hold_are_refused(tmp_path: Path, type_: Any, value: str) -> None:
    text = f'{{"out": {value}}}'
    spec = {"outputs": {"out": {"type": type_, "glob": []}}}
    document = run(tmp_path, f"open('cwl.output.json', 'w').write({text!r})", spec)
    assert document["reason"] == "outputs"
    assert document["outputs"] == {}


def test_a_file_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    spec = {"outputs": {"out": {"type": "Directory", "glob": ["d"]}}}
    document = run(tmp_path, r"import os; os.mkdir('d'); open(b'd/\xff', 'w')", spec)
    assert "a file name in UTF-8" in document["error"]["detail"]


def test_words_that_no_record_can_hold_are_made_legible(tmp_path: Path) -> None:
    line = r'{"title": "a\u0000b", "detail": "\ud800 c"}'
    document = run(tmp_path, f"import sys; sys.exit({line!r})")
    assert document["error"] == {"title": "a\ufffdb", "detail": "\ufffd c"}


def test_an_output_cannot_be_written_to_any_more(tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("of somebody else")
    spec = {"outputs": {"out": FILE, "linked": {"type": "File", "glob": ["linked"]}}}
    code = f"{WRITE}; import os; os.chmod('out.txt', 0o644); os.link({str(other)!r}, 'linked')"
    assert run(tmp_path, code, spec)["error"] is None
    outputs = folder(tmp_path) / "outputs"
    assert (outputs / "out.txt").stat().st_mode & 0o777 == 0o444
    assert other.stat().st_mode & 0o200


def test_a_tool_cannot_take_the_runners_variables(tmp_path: Path) -> None:
    code = "import json, os; open('out.txt', 'w').write(json.dumps(dict(os.environ)))"
    run(tmp_path, code, {"env": {"CDI_PROGRESS": "/dev/null", "PYTHONSAFEPATH": ""}})
    seen = json.loads((folder(tmp_path) / "outputs" / "out.txt").read_text())
    assert seen["CDI_PROGRESS"] == str(folder(tmp_path) / "progress.jsonl")
    assert seen["PYTHONSAFEPATH"] == "1"


def test_inputs_are_links_and_may_be_staged_and_passed_through(tmp_path: Path) -> None:
    given = tmp_path / "jobs" / JOB / "inputs" / "area.geojson"
    given.parent.mkdir(parents=True)
    given.write_text("{}")
    entry = {
        "inputs": [{"path": f"jobs/{JOB}/inputs/area.geojson", "basename": "a.json",
                    "checksum": None}],
        "staged": [[0, "a.json"]],
    }  # fmt: skip
    code = (
        "import json; assert open('a.json').read() == open('../inputs/0/a.json').read() == '{}'; "
        "out = {'class': 'File', 'path': '../inputs/0/a.json'}; "
        "open('cwl.output.json', 'w').write(json.dumps({'out': out}))"
    )
    document = run(tmp_path, code, entry)
    assert document["error"] is None
    assert document["outputs"]["out"]["location"] == f"workspace:jobs/{JOB}/inputs/area.geojson"


def test_an_input_that_is_gone_is_named(tmp_path: Path) -> None:
    entry = {"inputs": [{"path": "cache/sha256/00/00", "basename": "a", "checksum": None}]}
    document = run(tmp_path, WRITE, entry)
    assert (document["reason"], document["error"]["detail"]) == ("inputs", "cache/sha256/00/00")


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    document = run(tmp_path, "", {"argv": ["no-such-program"]})
    assert document["reason"] == "not-started"
    assert document["error"]["detail"] == "no-such-program: No such file or directory"


def test_what_the_program_sees_of_the_environment(tmp_path: Path) -> None:
    code = "import json, os; open('out.txt', 'w').write(json.dumps(dict(os.environ)))"
    run(tmp_path, code, {"env": {"OWN": "1"}})
    seen = json.loads((folder(tmp_path) / "outputs" / "out.txt").read_text())
    attempt = folder(tmp_path)
    assert seen["HOME"] == seen["TMPDIR"] == str(attempt / "tmp")
    assert seen["CDI_PROGRESS"] == str(attempt / "progress.jsonl")
    assert (seen["PYTHONSAFEPATH"], seen["OWN"]) == ("1", "1")
    assert "CDI_CACHE" not in seen
    assert not (attempt / "tmp").exists()


def test_only_a_step_with_network_gets_the_cache(tmp_path: Path) -> None:
    code = "import os; open('out.txt', 'w').write(os.environ['CDI_CACHE'])"
    run(tmp_path, code, network=True)
    assert (folder(tmp_path) / "outputs" / "out.txt").read_text() == str(tmp_path / "cache")


def test_a_request_to_stop_ends_the_program_and_is_written_down(tmp_path: Path) -> None:
    runner = start(tmp_path, "import time; time.sleep(200)")
    assert eventually(lambda: len(processes_below(tmp_path)) == 1)
    runner.terminate()
    assert runner.wait(60) == 128 + signal.SIGTERM
    document = json.loads((folder(tmp_path) / "attempt.json").read_text())
    assert (document["reason"], document["exit_code"]) == ("cancelled", None)
    assert processes_below(tmp_path) == []


def test_what_the_program_leaves_running_is_ended(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', "
        f"'import os, time; os.setsid(); time.sleep(200)']); {WRITE}"
    )
    begun = time.monotonic()
    assert run(tmp_path, code)["error"] is None
    assert time.monotonic() - begun < 100
    assert processes_below(tmp_path) == []


def test_the_program_dies_with_a_killed_runner(tmp_path: Path) -> None:
    runner = start(tmp_path, "import time; time.sleep(200)")
    assert eventually(lambda: len(processes_below(tmp_path)) == 1)
    runner.kill()
    runner.wait()
    assert eventually(lambda: processes_below(tmp_path) == [])
    assert not (folder(tmp_path) / "attempt.json").exists()


def test_standard_output_can_be_an_output(tmp_path: Path) -> None:
    document = run(tmp_path, "print('said')", {"stdout": "out.txt"})
    assert document["outputs"]["out"]["size"] == len("said\n")
