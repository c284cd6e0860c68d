"""Logs are what the programs wrote: in order, as long as they were, and nothing else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from k8s_manager.errors import JobGone, NoSuchLog
from k8s_manager.job_logs import JobLogs, Selection, state_of
from k8s_manager.log_reader import LogReader
from k8s_manager.records import Job
from tests.k8s_manager.installation import Installation, eventually

EVERYTHING = Selection()
TALKATIVE = """
print('part', part, flush=True)
print('about', part, file=sys.stderr)
"""


def logs_of(installation: Installation, job: Job, wanted: Selection = EVERYTHING) -> JobLogs:
    now = installation.store.job(job.id)
    return JobLogs.of(installation.store, installation.workspace, now, wanted)


def text(installation: Installation, job: Job, wanted: Selection = EVERYTHING) -> str:
    logs = logs_of(installation, job, wanted)
    with LogReader(logs.root, logs.parts(wanted)) as reader:
        return reader.read().decode()


def titles(installation: Installation, job: Job, wanted: Selection = EVERYTHING) -> list[str]:
    return [part.title for part in logs_of(installation, job, wanted).parts(wanted)]


def attempt_folder(installation: Installation, job: Job) -> Path:
    (folder,) = installation.workspace.job(job.id).glob("*/r1-*")
    return folder


@pytest.fixture
def chain(installation: Installation) -> Job:
    return installation.run("chain", {"count": 12, "code": TALKATIVE})


def test_logs_come_by_step_index_and_stream(installation: Installation, chain: Job) -> None:
    found = [title.split(", attempt") for title in titles(installation, chain)]
    assert [where for where, _ in found] == [
        f"step work, index {index}" for index in range(12) for _ in ("stdout", "stderr")
    ]
    assert [title.rpartition(" ")[2] for _, title in found] == ["stdout", "stderr"] * 12
    lines = text(installation, chain, Selection("work", 10)).splitlines()
    assert lines[0].startswith("==> step work, index 10, attempt r1-")
    assert lines[1:3] == ["part p10", ""]
    assert lines[3].endswith(", stderr <==")
    assert lines[4] == "about p10"


def test_attempts_come_in_the_order_of_their_ends(installation: Installation) -> None:
    code = "import sys; print('again'); sys.exit(75)"
    job = installation.run("python", {"code": code})
    ends = [record.attempt for record in installation.store.attempts(job.id)]
    assert len(ends) == 3
    assert [title.split(", ")[1] for title in titles(installation, job)] == [
        f"attempt {name}" for name in ends
    ]


def test_filters_select_and_what_does_not_exist_is_named(
    installation: Installation, chain: Job
) -> None:
    assert len(titles(installation, chain, Selection("work", stream="stderr"))) == 12
    assert titles(installation, chain, Selection("split")) == []
    name = titles(installation, chain)[0].split(", ")[2].removeprefix("attempt ")
    assert len(titles(installation, chain, Selection(attempt=name))) == 2
    for wanted, words in (
        (Selection("paint"), "split, work, join"),
        (Selection("work", 12), "no index 12"),
        (Selection(attempt="r9-none"), "no attempt"),
        (Selection("join", attempt=name), "no attempt"),
    ):
        with pytest.raises(NoSuchLog, match=words):
            logs_of(installation, chain, wanted)


def test_a_job_that_waits_has_its_steps_and_no_logs_yet(installation: Installation) -> None:
    job = installation.submit("chain", {"count": 1})
    assert text(installation, job) == ""
    assert text(installation, job, Selection("work", 5)) == ""
    with pytest.raises(NoSuchLog, match="split, work, join"):
        logs_of(installation, job, Selection("paint"))


def test_the_logs_of_a_removed_job_are_gone(installation: Installation, chain: Job) -> None:
    installation.store.remove(chain.id)
    with pytest.raises(JobGone):
        logs_of(installation, chain)


def test_a_program_that_runs_is_heard(installation: Installation) -> None:
    code = "print('first', flush=True); import time; time.sleep(200)"
    job = installation.submit("python", {"code": code})
    controller, stop = installation.controller(), threading.Event()
    thread = threading.Thread(target=controller.run, args=(stop,))
    thread.start()
    try:
        assert eventually(lambda: "first" in text(installation, job))
        assert installation.store.job(job.id).outcome is None
        installation.store.request_dismiss(job.id)
        assert eventually(lambda: installation.store.job(job.id).outcome == "dismissed")
        assert "first" in text(installation, job)
    finally:
        stop.set()
        thread.join()
        controller.dispose()


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_what_is_no_plain_file_is_no_log(
    installation: Installation, tmp_path: Path, kind: str
) -> None:
    job = installation.run("python", {"code": "print('x'); open('result.txt', 'w')"})
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    stdout = attempt_folder(installation, job) / "stdout"
    wanted = Selection(stream="stdout")
    logs = logs_of(installation, job)
    before = logs.parts(wanted)
    assert len(before) == 1
    stdout.unlink()
    {
        "link": lambda: stdout.symlink_to(secret),
        "hard link": lambda: stdout.hardlink_to(secret),
        "pipe": lambda: os.mkfifo(stdout),
        "folder": stdout.mkdir,
    }[kind]()
    assert logs.parts(wanted) == []
    with pytest.raises(OSError, match="stdout"), LogReader(logs.root, before) as reader:
        reader.read()


@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_that_became_a_link_is_not_followed(
    installation: Installation, tmp_path: Path, depth: int
) -> None:
    job = installation.run("python", {"code": "print('x'); open('result.txt', 'w')"})
    logs = logs_of(installation, job)
    before = logs.parts(EVERYTHING)
    folder = [attempt_folder(installation, job), attempt_folder(installation, job).parent][depth]
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert logs.parts(EVERYTHING) == []
    with pytest.raises(OSError, match="Not a directory"), LogReader(logs.root, before) as reader:
        reader.read()


def test_a_log_that_grows_is_read_as_long_as_it_was(installation: Installation) -> None:
    job = installation.run("python", {"code": "print('before'); open('result.txt', 'w')"})
    logs = logs_of(installation, job)
    before = logs.parts(EVERYTHING)
    with (attempt_folder(installation, job) / "stdout").open("a") as stream:
        stream.write("after\n")
    with LogReader(logs.root, before) as reader:
        assert reader.read().endswith(b"before\n")
        assert reader.tell() == reader.size
    assert state_of(logs.parts(EVERYTHING)) != state_of(before)


def test_a_log_that_became_shorter_is_an_error_not_a_gap(installation: Installation) -> None:
    job = installation.run("python", {"code": "print('x' * 100); open('result.txt', 'w')"})
    logs = logs_of(installation, job)
    before = logs.parts(EVERYTHING)
    os.truncate(attempt_folder(installation, job) / "stdout", 10)
    with pytest.raises(OSError, match="shorter"), LogReader(logs.root, before) as reader:
        reader.read()


def test_reading_from_any_place_gives_the_rest(installation: Installation, chain: Job) -> None:
    logs = logs_of(installation, chain)
    wanted = Selection("work", 3)
    whole = text(installation, chain, wanted).encode()
    with LogReader(logs.root, logs.parts(wanted)) as reader:
        assert reader.size == len(whole)
        for place in range(len(whole) + 2):
            reader.seek(place)
            assert reader.read() == whole[place:]
