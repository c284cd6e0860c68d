"""Jobs carried out on the local backend, with real programs and real files."""

from __future__ import annotations

import dataclasses
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from k8s_manager import schema
from k8s_manager.errors import ResultNotReady
from k8s_manager.lease import Lease
from k8s_manager.ledger import Ledger
from k8s_manager.queue import Queue
from k8s_manager.records import Job
from k8s_manager.releases import RELEASE
from tests.cluster.watched import process_file
from tests.k8s_manager.installation import (
    Installation,
    eventually,
    processes_below,
    waiting_for,
)

pytestmark = pytest.mark.every_store

WRITE = "open('result.txt', 'w').write('done')"


def once(marker: Path, first: str) -> str:
    """Return code that does `first` the first time and then succeeds."""
    return (
        f"import os, pathlib, signal, sys, time; m = pathlib.Path({str(marker)!r})\n"
        f"if not m.exists(): m.touch(); {first}\n"
        f"{WRITE}"
    )


def python(installation: Installation, code: str) -> Job:
    return installation.run("python", {"code": code})


def test_a_chain_with_scatter_gives_its_results(installation: Installation) -> None:
    job = installation.run("chain", {"count": 4})
    assert (job.status, job.outcome, job.progress, job.error) == (
        "successful", "successful", 100, None,
    )  # fmt: skip
    assert job.results is not None
    assert job.message == "done: 3 steps"
    assert installation.text(job.results["total"]) == str(1 + 4 + 9 + 16)
    assert [installation.text(item) for item in job.results["squares"]] == ["1", "4", "9", "16"]
    assert job.created <= (job.started or "") <= (job.finished or "")
    assert [(step.step, step.state, step.done, step.total) for step in
            installation.store.steps(job.id)] == [
        ("split", "done", 1, 1), ("work", "done", 4, 4), ("join", "done", 1, 1),
    ]  # fmt: skip
    assert sorted(installation.verdicts(job)) == [
        ("join", 0, "commit"), ("split", 0, "commit"), *(("work", n, "commit") for n in range(4)),
    ]  # fmt: skip
    assert processes_below(installation.settings.home) == []


def test_scatter_over_nothing_goes_on(installation: Installation) -> None:
    job = installation.run("chain", {"count": 0})
    assert job.results is not None
    assert installation.text(job.results["total"]) == "0"
    assert job.results["squares"] == []


def test_progress_never_falls_and_names_the_step(
    installation: Installation, tmp_path: Path
) -> None:
    code = f"if part == 'p2':\n{textwrap.indent(waiting_for(tmp_path / 'm'), '    ')}"
    job = installation.submit("chain", {"count": 3, "code": code})
    seen: list[Job] = []

    def look(now: Job) -> None:
        seen.append(now)
        if now.message == "work: 2 of 3 parts":
            (tmp_path / "m").touch()

    controller = installation.controller()
    controller.run_until(job.id, look)
    controller.dispose()
    numbers = [item.progress for item in seen]
    assert numbers == sorted(numbers)
    assert "work: 2 of 3 parts" in [item.message for item in seen]
    assert {item.status for item in seen} == {"accepted", "running", "successful"}
    assert all(item.progress < 100 for item in seen if item.status != "successful")


def test_faulty_input_fails_with_the_programs_own_words(installation: Installation) -> None:
    code = 'import sys; sys.exit(\'{"title": "no CRS", "detail": "a.tif"}\' and 65)'
    words = 'import sys; print(\'{"title": "no CRS", "detail": "a.tif"}\', file=sys.stderr)'
    job = python(installation, f"{words}; {code}")
    assert job.outcome == "failed"
    assert job.error == {
        "title": "no CRS", "detail": "a.tif (step python)", "status": 422, "step": "python",
    }  # fmt: skip
    assert job.message == "failed: python: no CRS"
    assert job.results is None
    assert installation.verdicts(job) == [("python", 0, "fail")]


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("raise SystemExit(1)", "the program ended with exit code 1"),
        ("pass", "an output is missing"),
        ("import os; os.symlink('/etc/passwd', 'result.txt')", "an output is not valid"),
    ],
)
def test_what_fails_at_once(installation: Installation, code: str, title: str) -> None:
    job = python(installation, code)
    assert job.error is not None
    assert (job.outcome, job.error["title"], job.error["status"]) == ("failed", title, 500)
    assert installation.verdicts(job) == [("python", 0, "fail")]


def test_the_time_limit_fails_a_job_at_once(installation: Installation, tmp_path: Path) -> None:
    brief = process_file(tmp_path, time_limit_s=1)
    job = installation.run(brief, {"code": "import time; time.sleep(200)"})
    assert job.error is not None
    assert (job.outcome, job.error["title"]) == ("failed", "time limit exceeded")
    assert installation.verdicts(job) == [("python", 0, "fail")]


def test_temporary_failure_is_tried_again(installation: Installation, tmp_path: Path) -> None:
    job = python(installation, once(tmp_path / "m", "sys.exit(75)"))
    assert job.outcome == "successful"
    assert installation.verdicts(job) == [("python", 0, "again"), ("python", 0, "commit")]


def test_lasting_temporary_failure_fails_after_all_tries(installation: Installation) -> None:
    job = python(installation, "raise SystemExit(75)")
    assert [verdict for *_, verdict in installation.verdicts(job)] == ["again", "again", "fail"]
    assert job.error is not None
    assert (job.error["status"], "(tried 3 times)" in job.error["detail"]) == (503, True)


def test_out_of_memory_is_tried_with_twice_as_much(
    installation: Installation, tmp_path: Path
) -> None:
    code = "x = bytearray(80_000_000)\n" + once(tmp_path / "m", "time.sleep(200)")
    job = python(installation, code)
    assert job.outcome == "successful"
    assert installation.verdicts(job) == [("python", 0, "more-memory"), ("python", 0, "commit")]


def test_more_memory_than_allowed_fails(installation: Installation) -> None:
    job = python(installation, "x = bytearray(300_000_000); import time; time.sleep(200)")
    assert [verdict for *_, verdict in installation.verdicts(job)] == ["more-memory", "fail"]
    assert job.error is not None
    assert "ramMax" in job.error["detail"]


def test_a_killed_program_runs_again(installation: Installation, tmp_path: Path) -> None:
    job = python(installation, once(tmp_path / "m", "os.kill(os.getpid(), 9)"))
    assert installation.verdicts(job) == [("python", 0, "lost"), ("python", 0, "commit")]


def test_a_killed_runner_runs_again(installation: Installation, tmp_path: Path) -> None:
    job = python(installation, once(tmp_path / "m", "os.kill(os.getppid(), 9); time.sleep(9)"))
    assert installation.verdicts(job) == [("python", 0, "lost"), ("python", 0, "commit")]
    assert processes_below(installation.settings.home) == []


def test_what_is_killed_again_and_again_fails(installation: Installation) -> None:
    job = python(installation, "import os; os.kill(os.getppid(), 9)")
    assert [verdict for *_, verdict in installation.verdicts(job)] == ["lost"] * 3 + ["fail"]


def test_a_runner_that_fails_itself_is_quoted(installation: Installation, monkeypatch: Any) -> None:
    from k8s_manager.backends import local

    monkeypatch.setattr(local, "_RUNNER", "import sys; sys.exit('no such module')")
    job = python(installation, WRITE)
    assert job.error is not None
    assert "its runner failed: no such module" in job.error["detail"]


def test_only_the_failed_index_runs_again(installation: Installation, tmp_path: Path) -> None:
    code = f"""
import os
if part == 'p1' and not os.path.exists({str(tmp_path / "m")!r}):
    open({str(tmp_path / "m")!r}, 'w'); raise SystemExit(75)
"""
    job = installation.run("chain", {"count": 3, "code": code})
    assert job.outcome == "successful"
    work = [(index, verdict) for step, index, verdict in installation.verdicts(job)
            if step == "work"]  # fmt: skip
    assert sorted(work) == [(0, "commit"), (1, "again"), (1, "commit"), (2, "commit")]
    attempts = {(item.index, item.round) for item in installation.store.attempts(job.id)
                if item.step == "work"}  # fmt: skip
    assert attempts == {(0, 1), (1, 1), (1, 2), (2, 1)}


def test_a_failing_index_ends_the_others(installation: Installation) -> None:
    code = "import time; part == 'p0' and exit(65); time.sleep(200)"
    begun = time.monotonic()
    job = installation.run("chain", {"count": 3, "code": code})
    assert time.monotonic() - begun < 100
    assert job.error is not None
    assert (job.error["step"], job.error["index"]) == ("work", 0)
    states = [step.state for step in installation.store.steps(job.id)]
    assert states == ["done", "failed", "cancelled"]
    assert processes_below(installation.settings.home) == []


def test_dismiss_while_running(installation: Installation) -> None:
    job = installation.submit("chain", {"count": 3, "code": "import time; time.sleep(200)"})
    controller = installation.controller()

    def dismiss_when_running(now: Job) -> None:
        if now.message.startswith("work"):
            installation.store.request_dismiss(job.id)

    ended = controller.run_until(job.id, dismiss_when_running)
    controller.dispose()
    assert (ended.status, ended.outcome, ended.results) == ("dismissed", "dismissed", None)
    assert processes_below(installation.settings.home) == []
    folder = installation.workspace.job(job.id)
    assert list(folder.glob("work/*/*/outputs")) == []


def test_dismiss_while_queued(installation: Installation) -> None:
    job = installation.submit("python", {"code": WRITE})
    assert installation.store.request_dismiss(job.id).status == "accepted"
    assert installation.finish(job).outcome == "dismissed"
    assert installation.store.attempts(job.id) == []


def test_a_finished_job_is_not_changed_by_dismissing_it(installation: Installation) -> None:
    job = python(installation, WRITE)
    assert installation.store.request_dismiss(job.id) == job
    assert installation.finish(job).outcome == "successful"


def test_removal_deletes_the_files_and_keeps_the_outcome(installation: Installation) -> None:
    unfinished = installation.submit("python", {"code": WRITE})
    with pytest.raises(ResultNotReady):
        installation.store.remove(unfinished.id)
    job = installation.finish(unfinished)
    assert installation.workspace.job(job.id).exists()
    removed = installation.store.remove(job.id)
    assert (removed.outcome, removed.removed is None) == ("successful", False)
    controller = installation.controller()
    controller.step()
    controller.dispose()
    assert not installation.workspace.job(job.id).exists()
    assert installation.store.job(job.id).outcome == "successful"


def test_removal_waits_for_what_still_runs(installation: Installation) -> None:
    job = installation.submit("python", {"code": "import time; time.sleep(200)"})
    first = installation.controller()
    while not processes_below(installation.settings.home):
        first.step()
    with installation.store.database.write() as connection:
        connection.execute(update(schema.jobs).values(outcome="failed", status="failed"))
    installation.store.remove(job.id)
    first.dispose()
    controller = installation.controller()
    while installation.workspace.job(job.id).exists():
        controller.step()
        time.sleep(0.01)
    assert processes_below(installation.settings.home) == []
    controller.dispose()


def test_an_index_that_runs_again_takes_no_progress_back(installation: Installation) -> None:
    job = installation.submit("python", {"code": WRITE})
    ledger = Ledger(installation.store.database, Lease(installation.store.database, 9.0))
    lease = ledger._lease
    assert lease.acquire()
    ledger.plan(job.id, {"python": False})
    for share in (0.5, 0.2):
        ledger.report(job.id, "running", 50, "", {"python": share})
    assert [step.progress for step in installation.store.steps(job.id)] == [0.5]
    lease.release()


def test_inline_files_and_files_of_the_command_line_are_copied(
    installation: Installation, tmp_path: Path
) -> None:
    code = "import shutil, sys; shutil.copy(sys.argv[1], 'result.txt')"
    literal = {"class": "File", "contents": "inline", "basename": "a.txt"}
    binary = {"class": "File", "contents_base64": "YmluYXJ5", "basename": "a.bin"}
    (tmp_path / "own.txt").write_text("own")
    local = {"class": "File", "location": f"file://{tmp_path}/own.txt"}
    for value, text in ((literal, "inline"), (binary, "binary"), (local, "own")):
        job = installation.run("python", {"code": code, "file": value})
        assert job.results is not None
        assert installation.text(job.results["result"]) == text
    (tmp_path / "own.txt").unlink()
    job = installation.run("python", {"code": code, "file": local})
    assert job.error is not None
    assert (job.error["status"], job.error["title"]) == (422, "an input file cannot be had")


def test_two_controllers_do_everything_once(installation: Installation) -> None:
    jobs = [installation.submit("chain", {"count": 3}) for _ in range(2)]
    stop = threading.Event()
    controllers = [installation.controller() for _ in range(2)]
    threads = [threading.Thread(target=item.run, args=(stop,)) for item in controllers]
    for thread in threads:
        thread.start()
    store = installation.store
    assert eventually(lambda: all(store.job(job.id).finished_at_all for job in jobs))
    stop.set()
    for thread, controller in zip(threads, controllers, strict=True):
        thread.join()
        controller.dispose()
    for job in jobs:
        assert {verdict for *_, verdict in installation.verdicts(job)} == {"commit"}
        assert len(installation.verdicts(job)) == 5


def test_a_second_controller_goes_on_where_the_first_stopped(
    installation: Installation, tmp_path: Path
) -> None:
    job = installation.submit("chain", {"count": 2, "code": waiting_for(tmp_path / "m")})
    first = installation.controller()
    until = time.monotonic() + 60
    while not installation.store.job(job.id).message.startswith("work"):
        first.step()
        time.sleep(0.02)
        assert time.monotonic() < until
    first.dispose()
    running = processes_below(installation.settings.home)
    (tmp_path / "m").touch()
    assert installation.finish(job).outcome == "successful"
    assert len(running) >= 2  # they went on in between and were adopted
    assert {verdict for *_, verdict in installation.verdicts(job)} == {"commit"}


def test_a_full_disk_makes_jobs_wait(installation: Installation, monkeypatch: Any) -> None:
    from k8s_manager import job_files

    job = installation.submit("python", {"code": WRITE})
    real, calls = job_files.write_whole, []

    def full_at_first(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise OSError(28, "No space left on device", str(path))
        real(path, data)

    monkeypatch.setattr(job_files, "write_whole", full_at_first)
    messages: list[str] = []
    controller = installation.controller()
    ended = controller.run_until(job.id, lambda now: messages.append(now.message))
    controller.dispose()
    expected = "waiting: workspace: the workspace cannot be used: No space left on device"
    assert expected in messages
    assert ended.outcome == "successful"


def test_a_job_whose_record_makes_no_sense_fails_alone(installation: Installation) -> None:
    good = installation.submit("python", {"code": WRITE})
    unknown = {"path": "x.cwl", "documents": {"x.cwl": {"class": "Unknown"}}}
    for record in (unknown, {"documents": {}}):
        bad = dataclasses.replace(_new_job(installation), process=record)
        bad_job = installation.store.create_job(bad)
        assert installation.finish(bad_job).outcome == "failed"
    assert installation.finish(good).outcome == "successful"


def test_jobs_beyond_the_limit_say_that_they_wait(
    installation: Installation,
) -> None:
    installation.settings = dataclasses.replace(installation.settings, active_jobs=1)
    jobs = [installation.submit("python", {"code": WRITE}) for _ in range(2)]
    controller = installation.controller()
    controller.step()
    (waiting,) = Queue(installation.store.database).shown([installation.store.job(jobs[1].id)])
    assert waiting.message == "waiting: queue: 1 of 1 waiting job"
    assert controller.run_until(jobs[1].id).outcome == "successful"
    controller.dispose()


def test_outputs_of_a_process_that_is_no_writer_stay_its_own(installation: Installation) -> None:
    settings = dataclasses.replace(installation.settings, datasets={})
    own = Installation(settings, installation.store)
    job = own.run("release", {"name": "a"})
    assert job.results is not None
    assert job.results[RELEASE]["class"] == "Directory"
    assert own.store.current_releases() == {}


def _new_job(installation: Installation) -> Any:
    from k8s_manager.records import NewJob

    return NewJob("x", "0", {}, {"values": {}})
