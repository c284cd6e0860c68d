"""Controllers killed, stopped or there twice: every job ends once, each step counts once."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from tests.cluster.conftest import Cluster, wait_until
from tests.cluster.controllers import controlling, finish, takes_over
from tests.cluster.evidence import WAIT, assert_nothing_lost, epoch, go_file, parts_begun
from tests.k8s_manager.installation import Installation

KILLS = 20


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [4])
def test_a_controller_killed_at_twenty_random_instants_loses_nothing(
    cluster: Cluster, installation: Installation, seed: int
) -> None:
    moments = random.Random(seed)
    jobs: dict[str, int] = {}
    for _ in range(KILLS):
        job = installation.submit("small-chain", {"count": 2, "code": WAIT})
        jobs[job.id] = 2
        before = epoch(installation)
        with controlling(installation) as controller:
            takes_over(installation, before)
            time.sleep(moments.uniform(0.0, 2.5))
            assert controller.alive
            controller.kill()  # at the latest while this job's parts wait
        go = go_file(installation, job)
        go.parent.mkdir(parents=True, exist_ok=True)  # it may have been killed before it did so
        go.touch()
    with controlling(installation):
        finish(installation, jobs)
        wait_until(lambda: not cluster.left(installation), "nothing left of finished jobs")
        assert_nothing_lost(cluster, installation, jobs)
    assert epoch(installation) > KILLS


def patient(installation: Installation) -> Installation:
    """Return an installation whose lease outlasts a moment in which the machine stands still."""
    return replace(installation, settings=replace(installation.settings, lease_s=30.0))


def test_of_two_controllers_one_acts(cluster: Cluster, installation: Installation) -> None:
    installation = patient(installation)
    jobs = {installation.submit("small-chain", {"count": 2}).id: 2 for _ in range(3)}
    before = epoch(installation)
    with controlling(installation, "a") as one, controlling(installation, "b") as other:
        finish(installation, jobs)
        assert_nothing_lost(cluster, installation, jobs)
        assert epoch(installation) == before + 1
        assert one.alive
        assert other.alive


@pytest.mark.parametrize("seconds_to_go_on", [0, 3])
def test_a_controller_stopped_beyond_its_lease_changes_nothing_when_it_wakes_up(
    cluster: Cluster, installation: Installation, seconds_to_go_on: float
) -> None:
    job = installation.submit("small-chain", {"count": 3, "code": WAIT})
    with controlling(installation, "a") as one:
        wait_until(lambda: parts_begun(installation, job) == 3, "all parts begun")
        one.pause(installation)
        before = epoch(installation)
        with controlling(installation, "b") as other:
            takes_over(installation, before)
            go_file(installation, job).touch()
            time.sleep(seconds_to_go_on)
            one.go_on()
            wait_until(lambda: one.says("another controller has taken over"), "it noticed")
            finish(installation, {job.id: 3})
            assert_nothing_lost(cluster, installation, {job.id: 3})
            assert epoch(installation) == before + 1
            assert one.alive
            assert other.alive
