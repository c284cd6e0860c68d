"""A job that was accepted is carried out, whatever dies when; what never ran says why."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from k8s_manager import fault_points
from k8s_manager.cwl import load_process
from k8s_manager.records import Job, NewJob
from k8s_manager.store import Store
from tests.faults.controllers import configured, controller, until_settled
from tests.faults.evidence import NOTHING_LOST, assert_nothing_lost
from tests.k8s_manager.installation import PROCESSES, Installation, process_of
from tests.serving import serving

_context = multiprocessing.get_context("forkserver")
ROOT = Path(__file__).parents[2]
MOST = 50
"""Jobs that are recorded, however late the recording is killed."""


def submit_until_killed(url: str, faults: str, answer: Connection) -> None:
    """Record jobs and say so after each, as a server does."""
    fault_points.order(faults)
    process, store = process_of("chain"), Store(url)
    new = NewJob(process.id, process.version, process.to_json(), {"values": {"count": 0}})
    for _ in range(MOST):
        answer.send(store.create_job(new).id)
    signal.pause()


@pytest.mark.fault(
    "process that records jobs killed (SIGKILL) in the middle",
    f"every job that was answered is there, half ones are not; {NOTHING_LOST}",
)
@pytest.mark.every_store
@pytest.mark.parametrize("faults", ["kill:job-recorded:3", "kill:before-commit:4", ""])
def test_killed_while_recording(watched: Installation, faults: str) -> None:
    ours, theirs = _context.Pipe(duplex=False)
    arguments = (watched.settings.database_url, faults, theirs)
    process = _context.Process(target=submit_until_killed, args=arguments)
    process.start()
    theirs.close()
    answered = [ours.recv()]
    if not faults:
        time.sleep(random.Random(7).uniform(0, 0.05))
        process.kill()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    try:
        while True:
            answered.append(ours.recv())
    except EOFError:
        pass
    recorded = watched.store.jobs(limit=1000).jobs
    assert {job.id for job in recorded} >= set(answered)
    assert len(recorded) - len(answered) in (0, 1)  # recorded, and killed before it said so
    with controller(watched):
        until_settled(watched, recorded)
    assert_nothing_lost(watched, {job.id: 2 for job in recorded})


@pytest.mark.fault(
    "`cdi serve` and its workers killed (SIGKILL) while clients POST",
    f"every job that was answered 201 is carried out; {NOTHING_LOST}",
)
def test_killed_while_answering(watched: Installation) -> None:
    processor = {"name": "k8s_manager.processor.CwlProcessor"}
    greet = {"type": "process", "processor": {**processor, "cwl": str(PROCESSES / "greet.cwl")}}
    everything = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    config = configured(
        watched.settings, resources={"greet": greet}, metadata=everything["metadata"]
    )
    created: list[str] = []
    enough = threading.Event()

    with serving(config, watched.settings.home, ("--no-controller",)) as server:

        def post() -> None:
            header = {"Prefer": "respond-async"}
            with httpx.Client(timeout=60) as client:
                while True:
                    try:
                        answer = client.post(
                            f"{server.url}/processes/greet/execution",
                            json={"inputs": {"name": "x"}}, headers=header,
                        )  # fmt: skip
                    except httpx.TransportError:
                        return
                    assert answer.status_code == 201
                    created.append(answer.json()["jobID"])
                    if len(created) >= 6:
                        enough.set()

        clients = [threading.Thread(target=post) for _ in range(2)]
        for client in clients:
            client.start()
        assert enough.wait(120)
        processes = psutil.Process(server.process.pid).children(recursive=True)
        for process in [psutil.Process(server.process.pid), *processes]:
            process.kill()
        for client in clients:
            client.join()
    recorded = watched.store.jobs(limit=1000).jobs
    assert {job.id for job in recorded} >= set(created)
    with controller(watched):
        until_settled(watched, recorded)
    assert_nothing_lost(watched, {job.id: 1 for job in recorded})


def submit_from(installation: Installation, path: Path, values: dict[str, object]) -> Job:
    process = load_process(path)
    new = NewJob(process.id, process.version, process.to_json(), {"values": values})
    return installation.store.create_job(new)


@pytest.mark.fault(
    "process file of a recorded job deleted before it ran",
    f"carried out as recorded: the record holds the file; {NOTHING_LOST}",
)
def test_the_process_file_is_gone(watched: Installation, tmp_path: Path) -> None:
    shutil.copytree(PROCESSES, tmp_path / "processes")
    job = submit_from(watched, tmp_path / "processes/chain/process.cwl", {"count": 1})
    shutil.rmtree(tmp_path / "processes")
    with controller(watched):
        until_settled(watched, [job])
    assert_nothing_lost(watched, {job.id: 3})


@pytest.mark.fault(
    "program of a recorded job no longer there", "failed once, naming the program; nothing left"
)
def test_the_program_is_gone(watched: Installation, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho hello > result.txt\n")
    program.chmod(0o755)
    path = tmp_path / "own.cwl"
    text = (PROCESSES / "python.cwl").read_text()
    path.write_text(text.replace("[python, -c]", f"[{program}]"))
    there = watched.finish(submit_from(watched, path, {"code": "x"}))
    assert there.outcome == "successful"
    program.unlink()
    gone = watched.finish(submit_from(watched, path, {"code": "x"}))
    assert gone.error is not None
    assert gone.error["title"] == "the program cannot be started"
    assert str(program) in gone.error["detail"]
    assert watched.verdicts(gone) == [("python", 0, "fail")]
    assert watched.verdicts(there) == [("python", 0, "commit")]
