"""A controller killed with SIGKILL, wherever and whenever: the next one goes on, all is done once.

`CDI_FAULT_RUNS` says how many seeded runs are made (default 10; `make test-faults`: 100).
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from k8s_manager.fault_points import POINTS
from k8s_manager.records import Job
from tests.faults.controllers import controller, until, until_settled
from tests.faults.evidence import NOTHING_LOST, assert_nothing_lost
from tests.k8s_manager.installation import Installation, processes_below

RUNS = int(os.environ.get("CDI_FAULT_RUNS", "10"))
PASSAGES = 60
"""Points that a controller passes during a job of `submit`, about."""
PROGRAMS = 4
OF_CONTROLLERS = [point for point in POINTS if point not in ("job-recorded", "attempt-copied")]
RELEASE = NOTHING_LOST + "; the release holds what all its jobs wrote"


def submit(installation: Installation) -> Job:
    """Submit a chain of three steps, the second scattered over two, the third publishing."""
    code = "import time; time.sleep(0.02)"
    return installation.submit("published", {"count": 2, "name": "a", "code": code})


def check(installation: Installation, jobs: dict[str, int], names: str) -> None:
    assert_nothing_lost(installation, jobs)
    release = installation.store.current_releases()["demo"]
    folder = installation.workspace.path(release.path)
    assert (folder / "names.txt").read_text().split() == names.split()


def finish(installation: Installation, jobs: list[Job]) -> None:
    with controller(installation):
        until_settled(installation, jobs)


@pytest.mark.fault("controller killed (SIGKILL) at each fault point, twice in a row", RELEASE)
@pytest.mark.parametrize("point", OF_CONTROLLERS)
def test_killed_at(watched: Installation, point: str) -> None:
    job = submit(watched)
    with controller(watched, f"kill:{point}:1") as first:
        first.join(120)
        assert first.exitcode == -signal.SIGKILL
    with controller(watched, f"kill:{point}:1") as second:
        until(lambda: not second.is_alive() or watched.store.job(job.id).finished_at_all)
    finish(watched, [job])
    check(watched, {job.id: PROGRAMS}, "a")


@pytest.mark.fault("controller killed (SIGKILL) twice at random points or instants", RELEASE)
@pytest.mark.parametrize("seed", range(RUNS))
def test_killed_at_random(watched: Installation, seed: int) -> None:
    chance = random.Random(seed)
    jobs = [submit(watched)]
    programs, names = {jobs[0].id: PROGRAMS}, "a"
    if seed % 3 == 0:
        jobs.append(watched.submit("release", {"name": "b", "pause": chance.uniform(0, 0.3)}))
        programs[jobs[1].id], names = 1, "a b"
    for _ in range(2):
        at_a_point = chance.random() < 0.6
        faults = f"kill:any:{chance.randrange(1, PASSAGES)}" if at_a_point else ""
        with controller(watched, faults) as process:
            if at_a_point:
                until(lambda: not process.is_alive() or all_finished(watched, jobs))
            else:
                time.sleep(chance.uniform(0.02, 1.2))
            process.kill()
    finish(watched, jobs)
    check(watched, programs, names)


@pytest.mark.fault("the same, with the job store in PostgreSQL", RELEASE)
@pytest.mark.every_store
@pytest.mark.parametrize("seed", range(1000, 1000 + max(2, RUNS // 10)))
def test_killed_at_random_points(watched: Installation, seed: int) -> None:
    test_killed_at_random(watched, seed)


@pytest.mark.fault("controller killed while it dismisses a job", "dismissed once; no process left")
def test_killed_while_dismissing(watched: Installation) -> None:
    code = "import time; time.sleep(200)"
    job = watched.submit("published", {"count": 2, "name": "a", "code": code})
    work = watched.workspace.step(job.id, "work")
    with controller(watched, "kill:cleared:1") as process:
        until(lambda: len(processes_below(work)) == 4)  # two runners, two programs
        watched.store.request_dismiss(job.id)
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
    finish(watched, [job])
    assert_nothing_lost(watched, {job.id: 1}, outcome="dismissed")


@pytest.mark.fault("controller killed while it lets a job fail", "failed once; no process left")
@pytest.mark.parametrize("point", ["end-seen", "decided", "finishing", "finished"])
def test_killed_while_failing(watched: Installation, point: str) -> None:
    code = "import time; part == 'p0' and exit(65); time.sleep(200)"
    job = watched.submit("published", {"count": 2, "name": "a", "code": code})
    passage = 2 if point in ("end-seen", "decided") else 1
    with controller(watched, f"kill:{point}:{passage}") as process:
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
    finish(watched, [job])
    assert_nothing_lost(watched, {job.id: 1}, outcome="failed")


def all_finished(installation: Installation, jobs: list[Job]) -> bool:
    return all(installation.store.job(job.id, whole=False).finished_at_all for job in jobs)
