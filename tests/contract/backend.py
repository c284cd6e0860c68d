"""What every backend must do, whatever it runs steps on: one suite, run by each backend's tests.

A subclass gives the fixture `installation`, whose backend is the one under test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from k8s_manager.backends import base
from k8s_manager.backends.base import Attempt, Backend, Round
from k8s_manager.records import Job
from tests.k8s_manager.installation import Installation

JOB = "0190" + "0" * 28
WRITE = "open('result.txt', 'w').write('done')"
SLEEP = "import time; time.sleep(600)"


class Bench:
    """Backends of one installation, and rounds of python code for them."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.folder = installation.workspace.step(JOB, "step")
        self.folder.mkdir(parents=True)
        self.backends: list[Backend] = []

    def backend(self) -> Backend:
        self.backends.append(self.installation.backend(self.installation.settings))
        return self.backends[-1]

    def round(self, *codes: str, number: int = 1, ram_mb: int = 64, limit_s: int = 600) -> Round:
        round_ = Round(
            JOB, "step", number, 1, tuple(range(10, 10 + len(codes))), True, self.folder,
            cores=0.1, ram_mb=ram_mb, time_limit_s=limit_s, image="cdi/test:1", process="step",
        )  # fmt: skip
        entries = [
            {"index": index, "argv": ["python", "-c", code], "env": {}, "inputs": [],
             "outputs": {}} for index, code in zip(round_.indexes, codes, strict=True)
        ]  # fmt: skip
        task: dict[str, Any] = {
            "version": 1, "job": JOB, "step": "step", "round": number, "epoch": 1,
            "scattered": True, "time_limit_s": limit_s, "ram_mb": ram_mb,
            "log_limit_bytes": 1000, "indexes": entries,
        }  # fmt: skip
        round_.task.write_text(json.dumps(task))
        return round_


def attempts(backend: Backend, round_: Round) -> list[Attempt]:
    return list(backend.observe().rounds[round_.name].attempts)


def until(backend: Backend, condition: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        backend.wait(0.1)


def ended(backend: Backend, round_: Round) -> bool:
    found = attempts(backend, round_)
    return len(found) >= len(round_.indexes) and all(item.state == base.ENDED for item in found)


def over(backend: Backend, round_: Round) -> bool:
    """Tell whether no attempt can end any more, be it without a word."""
    found = attempts(backend, round_)
    states = {item.state for item in found}
    return len(found) == len(round_.indexes) and states <= {base.ENDED, base.GONE}


def running(backend: Backend, round_: Round) -> list[Attempt]:
    return [item for item in attempts(backend, round_) if item.state == base.RUNNING]


class BackendContract:
    """Every backend passes these."""

    @pytest.fixture
    def bench(self, installation: Installation) -> Iterator[Bench]:
        made = Bench(installation)
        yield made
        first = made.backends[0] if made.backends else None
        if first is not None:
            for number in (1, 2):
                until(first, lambda n=number: first.cancel(base.round_name(JOB, "step", n)))
        for backend in made.backends:
            backend.close()

    def test_every_index_runs_once_however_often_it_is_submitted(self, bench: Bench) -> None:
        backend, round_ = bench.backend(), bench.round("pass", "raise SystemExit(3)", "pass")
        for _ in range(3):
            backend.submit(round_)
        until(backend, lambda: ended(backend, round_))
        codes = {
            item.index: (item.document or {})["exit_code"] for item in attempts(backend, round_)
        }
        assert codes == {10: 0, 11: 3, 12: 0}
        assert len(attempts(backend, round_)) == 3

    def test_another_backend_takes_over_what_runs(self, bench: Bench) -> None:
        first, round_ = bench.backend(), bench.round(SLEEP)
        first.submit(round_)
        until(first, lambda: running(first, round_))
        (before,) = running(first, round_)
        first.forget()
        second = bench.backend()
        second.submit(round_)
        until(second, lambda: running(second, round_))
        assert [item.name for item in attempts(second, round_)] == [before.name]
        assert not before.document

    def test_cancelling_needs_no_memory_of_the_round(self, bench: Bench) -> None:
        code = f"open('begun', 'w').close(); {SLEEP}"
        first, round_ = bench.backend(), bench.round(code, code)
        first.submit(round_)
        until(first, lambda: len(running(first, round_)) == 2)
        folders = [item.folder for item in attempts(first, round_)]
        until(first, lambda: all((folder / "outputs" / "begun").exists() for folder in folders))
        second = bench.backend()
        until(second, lambda: second.cancel(round_.name))
        for folder in folders:
            document = json.loads((folder / "attempt.json").read_text())
            assert document["reason"] == "cancelled"

    def test_nothing_starts_without_the_right_to(self, bench: Bench) -> None:
        backend, round_ = bench.backend(), bench.round("pass")
        backend.may_start = lambda: False
        backend.submit(round_)
        for _ in range(3):
            assert attempts(backend, round_) == []
            backend.wait(0.1)
        backend.may_start = lambda: True
        until(backend, lambda: ended(backend, round_))

    def test_what_waits_says_why(self, bench: Bench) -> None:
        backend, round_ = bench.backend(), bench.round(SLEEP)
        backend.may_start = lambda: False
        backend.submit(round_)
        waiting = backend.observe().rounds[round_.name].waiting
        assert waiting is not None
        assert waiting.code in ("queue", "starting")

    def test_waiting_ends_when_woken(self, bench: Bench) -> None:
        backend = bench.backend()
        backend.wait(0.1)
        backend.wake()
        begun = time.monotonic()
        backend.wait(100)
        assert time.monotonic() - begun < 60

    def test_too_much_memory_and_too_much_time_have_their_reasons(self, bench: Bench) -> None:
        backend = bench.backend()
        hungry = bench.round(f"x = bytearray(500_000_000)\n{SLEEP}", number=1)
        slow = bench.round(SLEEP, number=2, limit_s=3)
        for round_ in (hungry, slow):
            backend.submit(round_)
            until(backend, lambda round_=round_: over(backend, round_))
        (first,), (second,) = attempts(backend, hungry), attempts(backend, slow)
        memory = first.document
        assert first.cause == "memory" if memory is None else memory["reason"] == "memory"
        assert (second.document or {})["reason"] == "time-limit"


class ControllerContract:
    """Every backend carries jobs to their end in the same way."""

    def test_a_chain_with_scatter_gives_its_results(self, installation: Installation) -> None:
        job = installation.run("chain", {"count": 4})
        assert job.outcome == "successful", job.error
        assert job.results is not None
        assert installation.text(job.results["total"]) == str(1 + 4 + 9 + 16)
        assert [verdict for *_, verdict in installation.verdicts(job)] == ["commit"] * 6

    def test_only_the_failed_index_runs_again(self, installation: Installation) -> None:
        job = installation.run("chain", {"count": 3, "code": _ONCE})
        assert job.outcome == "successful", job.error
        of_work = [item for item in installation.verdicts(job) if item[0] == "work"]
        assert sorted(index for _, index, verdict in of_work if verdict == "commit") == [0, 1, 2]
        assert [(index, verdict) for _, index, verdict in of_work if verdict != "commit"] == [
            (1, of_work_again(of_work))
        ]

    def test_a_step_at_fault_fails_the_job_with_its_own_words(
        self, installation: Installation
    ) -> None:
        code = (
            "import json, sys; print(json.dumps({'title': 'no trees', 'detail': 'none at all'}), "
            "file=sys.stderr); sys.exit(65)"
        )
        job = installation.run("python", {"code": code})
        assert job.outcome == "failed"
        assert (job.error or {})["title"] == "no trees"
        assert (job.error or {})["status"] == 422

    def test_more_memory_is_given_up_to_the_limit(self, installation: Installation) -> None:
        job = installation.run("python", {"code": _HUNGRY})
        assert job.outcome == "successful", job.error
        assert [verdict for *_, verdict in installation.verdicts(job)] == ["more-memory", "commit"]

    def test_what_never_fits_says_how_much_it_had(self, installation: Installation) -> None:
        job = installation.run("python", {"code": "x = bytearray(400_000_000); " + SLEEP})
        assert job.outcome == "failed"
        assert "memory" in (job.error or {})["title"]
        assert "ramMax" in (job.error or {})["detail"]

    def test_a_running_job_is_dismissed_and_nothing_of_it_stays(
        self, installation: Installation
    ) -> None:
        job = installation.submit("chain", {"count": 2, "code": "__import__('time').sleep(600)"})
        controller = installation.controller()
        wait_for(controller, lambda: installation.store.job(job.id).status == "running")
        installation.store.request_dismiss(job.id)
        assert controller.run_until(job.id).outcome == "dismissed"
        controller.dispose()
        assert rounds_open(installation, job) == 0

    def test_another_controller_goes_on_where_the_first_stopped(
        self, installation: Installation
    ) -> None:
        job = installation.submit("chain", {"count": 3})
        for _ in range(6):
            controller = installation.controller()
            for _ in range(3):
                controller.step()
                time.sleep(0.1)
            controller.dispose()
        assert installation.finish(job).outcome == "successful"
        committed = [item for item in installation.verdicts(job) if item[2] == "commit"]
        assert len(committed) == 5

    def test_owners_take_turns(self, installation: Installation) -> None:
        narrow = installation.narrow(1)
        values = {"count": 5, "code": "__import__('time').sleep(0.5)"}
        many = [narrow.submit("chain", values, "ada") for _ in range(2)]
        controller = narrow.controller()
        wait_for(controller, lambda: narrow.verdicts(many[0]))
        single = narrow.submit("python", {"code": WRITE}, "bob")
        wait_for(controller, lambda: narrow.store.job(single.id).outcome)
        assert narrow.store.job(single.id).outcome == "successful"
        assert [narrow.store.job(job.id).outcome for job in many] == [None, None]
        for job in many:
            narrow.store.request_dismiss(job.id)
            assert controller.run_until(job.id).outcome == "dismissed"
        controller.dispose()

    def test_steps_that_do_not_depend_on_each_other_run_at_once(
        self, installation: Installation
    ) -> None:
        job = installation.submit("diamond", {"seconds": 3})
        controller = installation.controller()
        wait_for(controller, lambda: rounds_open(installation, job) == 2)  # while the first runs
        job = controller.run_until(job.id)
        controller.dispose()
        assert job.outcome == "successful", job.error
        of = {item.step: item.document or {} for item in installation.store.attempts(job.id)}
        assert max(of["left"]["ended"], of["right"]["ended"]) < of["join"]["started"]

    def test_attempts_say_what_they_used(self, installation: Installation) -> None:
        code = "import time\nx = bytearray(30_000_000)\nwhile time.process_time() < 0.3: pass"
        job = installation.run("python", {"code": f"{code}\n{WRITE}"})
        (attempt,) = installation.store.attempts(job.id)
        document = attempt.document or {}
        assert document["exit_code"] == 0
        assert document["cpu_s"] > 0.25
        assert 30 < document["ram_peak_mb"] < 128
        assert document["started"] < document["ended"]


def of_work_again(verdicts: list[tuple[str, int, str]]) -> str:
    """Return how the first try of the index was judged: by us, or repeated by the backend."""
    (found,) = {verdict for _, index, verdict in verdicts if index == 1} - {"commit"}
    assert found in ("again", "repeated")
    return found


def wait_for(controller: Any, condition: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        controller.step()
        time.sleep(0.02)


def rounds_open(installation: Installation, job: Job) -> int:
    from sqlalchemy import func, select

    from k8s_manager import schema

    query = select(func.count()).where(schema.rounds.c.job_id == job.id, schema.rounds.c.open)
    with installation.store.database.read() as connection:
        return int(connection.execute(query).scalar_one())


_HUNGRY = f"""
import pathlib, time
x = bytearray(80_000_000)
{WRITE}
if len(list(pathlib.Path('../..').glob('*/stdout'))) < 2:
    time.sleep(600)
"""
"""The first try stays until it is stopped for its memory, however late somebody looks."""

_ONCE = """
import pathlib, sys
tries = len(list(pathlib.Path('../..').glob('*/stdout')))
if part == 'p1' and tries < 2:
    sys.exit(75)
"""
