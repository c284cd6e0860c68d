"""Programs that write garbage, nothing, or without end.

`CDI_FAULT_LOG_BYTES` says how large the large log is (default 300 MB; `make test-faults`: 5 GB).
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from k8s_manager.step_runner import TAIL_BYTES
from tests.faults.evidence import assert_nothing_lost
from tests.k8s_manager.installation import Installation

LOG_BYTES = int(os.environ.get("CDI_FAULT_LOG_BYTES", "300000000"))
LOG_LIMIT = 1_000_000
GARBAGE = """
import os, sys
for name in (1, 2, os.open(os.environ["CDI_PROGRESS"], os.O_WRONLY | os.O_CREAT)):
    os.write(name, b'{"title": [], "done": "x"}' + bytes(range(256)) * 100 + os.urandom(10000))
"""


@pytest.mark.fault(
    "stage writes garbage to its log, its progress and its results' names",
    "failed once with a sentence; no process, no outputs left",
)
@pytest.mark.parametrize(
    "words",
    [
        r"b'\0\xff{'",
        r"""b'{"result": {"class": "File", "path": "../../../etc/passwd"}}'""",
        "b'[' * 100_000",
    ],
)
def test_garbage(watched: Installation, words: str) -> None:
    code = f"{GARBAGE}\nopen('cwl.output.json', 'wb').write({words})"
    job = watched.run("python", {"code": code})
    assert job.error is not None
    assert job.error["title"]
    assert job.error["detail"].isprintable()
    assert_nothing_lost(watched, {job.id: 0}, outcome="failed")


@pytest.mark.fault("stage writes garbage beside a whole result", "the result counts, unchanged")
def test_garbage_beside_a_result(watched: Installation) -> None:
    code = f"{GARBAGE}\nopen('result.txt', 'wb').write(bytes(range(256)))"
    job = watched.run("python", {"code": code})
    assert job.results is not None
    assert watched.workspace.path(job.results["result"]["location"]).read_bytes() == bytes(
        range(256)
    )
    assert_nothing_lost(watched, {job.id: 1})


@pytest.mark.fault("stage writes nothing", "failed once, naming the output; nothing left")
def test_nothing(watched: Installation) -> None:
    job = watched.run("python", {"code": "pass"})
    assert job.error is not None
    assert job.error["title"] == "an output is missing"
    assert "result" in job.error["detail"]
    assert_nothing_lost(watched, {job.id: 0}, outcome="failed")


@pytest.mark.fault(
    f"stage writes a log of {LOG_BYTES / 1e9:g} GB",
    "successful; log within its limit, with beginning, end and a note of what is left out; "
    "the program saw no error",
)
def test_a_very_large_log(watched: Installation) -> None:
    small = replace(watched, settings=replace(watched.settings, log_limit_bytes=LOG_LIMIT))
    job = small.run("loud", {"bytes": LOG_BYTES})
    (attempt,) = small.store.attempts(job.id)
    log = small.workspace.path(attempt.folder) / "stdout"
    note = f"\n[{LOG_BYTES + 4 - LOG_LIMIT + TAIL_BYTES} bytes left out]\n".encode()
    found = log.read_bytes()
    assert len(found) <= LOG_LIMIT
    assert found.startswith(bytes(1000))
    assert note in found
    assert found.endswith(b"end\n")
    assert_nothing_lost(small, {job.id: 1})
