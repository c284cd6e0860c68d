"""A controller killed at any moment: the next one goes on, and everything happens once."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest

from k8s_manager.records import Job
from tests.k8s_manager.installation import Installation, eventually, processes_below
from tests.k8s_manager.killed_controller import carry_out

_context = multiprocessing.get_context("forkserver")

CODE = "import time; time.sleep(0.05)"


def controllers(home: Path, job: Job, moments: random.Random, points: int) -> int:
    """Let controllers be killed, the last one not; return how many were."""
    killed = 0
    for round_ in range(3):
        kill_at = moments.randrange(1, points) if round_ < 2 else None
        process = _context.Process(target=carry_out, args=(home, job.id, kill_at))
        process.start()
        process.join(30)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
    return killed


def check(installation: Installation, job: Job, expected: str) -> None:
    ended = installation.store.job(job.id)
    assert ended.outcome == "successful"
    assert ended.results is not None
    assert installation.text(ended.results["total"]) == expected
    commits = [entry for entry in installation.verdicts(job) if entry[2] == "commit"]
    assert len(commits) == len(set(commits)) == 4
    assert processes_below(installation.settings.home) == []
    folder = installation.workspace.job(job.id)
    kept = {path.parent.name for path in folder.glob("**/outputs") if path.is_dir()}
    committed = {item.attempt for item in installation.store.attempts(job.id)
                 if item.verdict == "commit"}  # fmt: skip
    assert kept == committed
    assert list(folder.glob("**/.*.partial")) == []


@pytest.mark.parametrize("seed", range(15))
def test_killed_at_a_point_where_something_lasting_happens(
    installation: Installation, seed: int
) -> None:
    job = installation.submit("chain", {"count": 2, "code": CODE})
    killed = controllers(installation.settings.home, job, random.Random(seed), points=60)
    assert killed >= 1
    check(installation, job, "5")


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_instant(installation: Installation, seed: int) -> None:
    job = installation.submit("chain", {"count": 2, "code": CODE})
    moments = random.Random(seed)
    for _ in range(2):
        process = _context.Process(
            target=carry_out, args=(installation.settings.home, job.id, None)
        )
        process.start()
        time.sleep(moments.uniform(0.1, 0.8))
        process.kill()
        process.join()
    controllers(installation.settings.home, job, moments, points=10**9)
    check(installation, job, "5")


@pytest.mark.parametrize("seed", range(3))
def test_killed_while_publishing(installation: Installation, seed: int) -> None:
    home = installation.settings.home
    installation.run("release", {"name": "a"})
    job = installation.submit("release", {"name": "b"})
    controllers(home, job, random.Random(seed), points=24)
    assert installation.store.job(job.id).outcome == "successful"
    release = installation.store.current_releases()["demo"]
    assert release.version == "000002"
    names = installation.workspace.path(release.path) / "names.txt"
    assert names.read_text().split() == ["a", "b"]
    assert sorted(path.name for path in (home / "workspace/releases/demo").iterdir()) == [
        "000001", "000002",
    ]  # fmt: skip


def test_killed_while_dismissing(installation: Installation) -> None:
    home = installation.settings.home
    job = installation.submit("chain", {"count": 2, "code": "import time; time.sleep(30)"})
    process = _context.Process(target=carry_out, args=(home, job.id, None))
    process.start()
    assert eventually(
        lambda: len(processes_below(home / "workspace" / "jobs" / job.id / "work")), 20
    )
    installation.store.request_dismiss(job.id)
    process.kill()
    process.join()
    assert installation.finish(job).outcome == "dismissed"
    assert processes_below(home) == []
