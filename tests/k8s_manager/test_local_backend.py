"""The local backend: what runs is found by whoever looks, and nothing runs twice or stays."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from k8s_manager.backends import attempt_folder, base
from k8s_manager.backends.attempt_folder import LOCK, is_locked
from k8s_manager.backends.base import Attempt, Round, parse_round_name
from k8s_manager.backends.local import LocalBackend
from tests.k8s_manager.installation import Installation, eventually, processes_below

JOB = "0" * 32
SLEEP = "import time; time.sleep(200)"


class Bench:
    """A backend with rounds of python code."""

    def __init__(self, installation: Installation) -> None:
        self.settings = installation.settings
        self.folder = installation.workspace.step(JOB, "step")
        self.folder.mkdir(parents=True)
        self.backends: list[LocalBackend] = []

    def backend(self) -> LocalBackend:
        self.backends.append(LocalBackend(self.settings))
        return self.backends[-1]

    def round(self, *codes: str, number: int = 1, cores: float = 1) -> Round:
        round_ = Round(
            JOB, "step", number, 1, tuple(range(len(codes))), True, self.folder, cores=cores
        )
        entries = [
            {"index": index, "argv": ["python", "-c", code], "env": {}, "inputs": [],
             "outputs": {}} for index, code in enumerate(codes)
        ]  # fmt: skip
        task: dict[str, Any] = {
            "version": 1, "job": JOB, "step": "step", "round": number, "epoch": 1,
            "scattered": True, "time_limit_s": 250, "ram_mb": 0, "log_limit_bytes": 1000,
            "indexes": entries,
        }  # fmt: skip
        round_.task.write_text(json.dumps(task))
        return round_


@pytest.fixture
def bench(installation: Installation) -> Iterator[Bench]:
    made = Bench(installation)
    yield made
    for backend in made.backends:
        backend.close()


def attempts(backend: LocalBackend, round_: Round) -> list[Attempt]:
    return list(backend.observe().rounds[round_.name].attempts)


def until(backend: LocalBackend, condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        backend.wait(0.1)


def gone(backend: LocalBackend, round_: Round) -> None:
    until(backend, lambda: backend.cancel(round_.name))


def test_every_index_runs_once_however_often_it_is_submitted(bench: Bench) -> None:
    backend, round_ = bench.backend(), bench.round("pass", "raise SystemExit(3)", "pass")
    for _ in range(3):
        backend.submit(round_)

    def ended() -> bool:
        found = attempts(backend, round_)
        return len(found) == 3 and all(item.state == base.ENDED for item in found)

    until(backend, ended)
    codes = {item.index: (item.document or {})["exit_code"] for item in attempts(backend, round_)}
    assert codes == {0: 0, 1: 3, 2: 0}
    gone(backend, round_)
    assert backend.observe().rounds == {}
    backend.submit(round_)
    assert len(attempts(backend, round_)) == 3  # found again, not run again


def test_no_more_runs_at_once_than_there_are_slots(bench: Bench) -> None:
    backend, round_ = bench.backend(), bench.round(SLEEP, SLEEP, SLEEP)
    backend.submit(round_)
    state = backend.observe().rounds[round_.name]
    assert [item.state for item in state.attempts] == ["running", "running"]
    assert state.waiting is not None
    assert state.waiting.code == "queue"
    gone(backend, round_)


def test_a_step_that_asks_for_more_cores_than_there_are_runs_alone(bench: Bench) -> None:
    backend = bench.backend()
    large = bench.round(SLEEP, cores=16)
    small = bench.round(SLEEP, number=2)
    backend.submit(large)
    backend.submit(small)
    assert len(attempts(backend, large)) == 1
    assert attempts(backend, small) == []
    gone(backend, large)
    assert len(attempts(backend, small)) == 1
    gone(backend, small)


def test_another_backend_adopts_what_runs(bench: Bench) -> None:
    first, round_ = bench.backend(), bench.round(SLEEP, "pass")
    first.submit(round_)
    until(first, lambda: any(item.state == base.ENDED for item in attempts(first, round_)))
    first.close()
    second = bench.backend()
    second.submit(round_)
    found = {item.index: item for item in attempts(second, round_)}
    assert (found[0].state, found[1].state) == ("running", "ended")
    assert eventually(lambda: len(processes_below(bench.folder)) == 2)
    gone(second, round_)
    assert processes_below(bench.folder) == []
    document = json.loads((found[0].folder / "attempt.json").read_text())
    assert document["reason"] == "cancelled"


def test_cancelling_needs_no_memory_of_the_round(bench: Bench) -> None:
    first, round_ = bench.backend(), bench.round(SLEEP)
    first.submit(round_)
    first.close()
    gone(bench.backend(), round_)
    assert processes_below(bench.folder) == []


def test_a_killed_runner_is_noticed_at_once_and_leaves_nothing(bench: Bench) -> None:
    backend = bench.backend()
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
    round_ = bench.round(code)
    backend.submit(round_)
    assert eventually(lambda: len(processes_below(bench.folder)) == 3)
    (attempt,) = attempts(backend, round_)
    os.kill(int((attempt.folder / LOCK).read_text()), 9)
    begun = time.monotonic()
    until(backend, lambda: attempts(backend, round_)[0].state == base.GONE)
    assert time.monotonic() - begun < 30  # the program would run on for minutes
    assert processes_below(bench.folder) == []


def test_what_the_kernel_holds_is_not_called_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, round_ = bench.backend(), bench.round(SLEEP)
    backend.submit(round_)
    (attempt,) = attempts(backend, round_)
    assert eventually(lambda: len(processes_below(bench.folder)) == 2)
    monkeypatch.setattr(attempt_folder, "LEFTOVERS_S", 0.05)
    monkeypatch.setattr(attempt_folder, "_kill", lambda _pid: None)
    os.kill(int((attempt.folder / LOCK).read_text()), 9)
    held = {f"CDI_PROGRESS={attempt.folder}/progress.jsonl".encode()}
    monkeypatch.setattr(attempt_folder, "_environments", lambda: iter([(1, list(held))]))
    assert eventually(lambda: not is_locked(attempt.folder))
    assert not backend.cancel(round_.name)
    assert attempts(backend, round_)[0].state == base.RUNNING
    monkeypatch.setattr(attempt_folder, "_environments", lambda: iter(()))
    gone(backend, round_)


def test_an_attempt_that_never_started_does_not_count(bench: Bench) -> None:
    round_ = bench.round("pass")
    left = bench.folder / "0" / "r1-abandoned"
    left.mkdir(parents=True)
    (left / LOCK).touch()
    backend = bench.backend()
    backend.submit(round_)
    (attempt,) = attempts(backend, round_)
    assert attempt.name != "r1-abandoned"
    assert not left.exists()
    gone(backend, round_)


def test_nothing_starts_without_the_right_to(bench: Bench) -> None:
    backend, round_ = bench.backend(), bench.round("pass")
    backend.may_start = lambda: False
    backend.submit(round_)
    assert attempts(backend, round_) == []
    backend.may_start = lambda: True
    assert len(attempts(backend, round_)) == 1
    gone(backend, round_)


def test_waiting_ends_when_woken(bench: Bench) -> None:
    backend = bench.backend()
    backend.wake()
    begun = time.monotonic()
    backend.wait(100)
    assert time.monotonic() - begun < 60


def test_steps_see_nothing_secret_of_the_environment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDI_DATABASE_URL", "postgresql://user:hunter2@host/db")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    backend = bench.backend()
    round_ = bench.round("import os; print(dict(os.environ))")
    backend.submit(round_)
    until(backend, lambda: attempts(backend, round_)[0].state == base.ENDED)
    seen = (attempts(backend, round_)[0].folder / "stdout").read_text()
    assert "GDAL_NUM_THREADS" in seen
    assert "hunter2" not in seen


def test_names_of_rounds_can_be_read_back(bench: Bench) -> None:
    assert parse_round_name(f"cdi-{JOB}-two-words-r12") == (JOB, "two-words", 12)
    with pytest.raises(ValueError, match="not the name of a round"):
        parse_round_name("cdi-1-x-r1")
    assert len(f"cdi-{JOB}-{'s' * 20}-r123") <= 63


def test_folder_of_an_index(tmp_path: Path) -> None:
    round_ = Round(JOB, "step", 1, 1, (4,), True, tmp_path)
    assert round_.index_folder(4) == tmp_path / "4"
