"""Jobs and pods taken away, doubled and killed: one attempt of each part counts in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.cluster import hands
from tests.cluster.conftest import Cluster
from tests.cluster.evidence import WAIT, assert_nothing_lost, go_file, parts_begun
from tests.contract.backend import wait_for
from tests.k8s_manager.installation import Installation

PARTS = 2


def survive(
    cluster: Cluster,
    installation: Installation,
    harm: Callable[[str, list[str]], None],
    attempts: int,
) -> Counter[str]:
    """Do harm to a chain whose parts all run; let it end once `attempts` of them have begun.

    Args:
        cluster: Where it runs.
        installation: Its store, workspace and settings.
        harm: Given the name of the Job and those of its pods.
        attempts: Attempts, those before the harm included, that must begin.

    Returns:
        The verdicts on the attempts of the parts.
    """
    job = installation.submit("small-chain", {"count": PARTS, "code": WAIT})
    controller = installation.controller()
    wait_for(controller, lambda: parts_begun(installation, job) == PARTS, 120)
    (name,) = hands.jobs_of(cluster, job, "work")
    harm(name, hands.pods_of(cluster, job, "work"))
    wait_for(controller, lambda: parts_begun(installation, job) >= attempts, 120)
    go_file(installation, job).touch()
    controller.run_until(job.id)
    controller.dispose()
    assert_nothing_lost(cluster, installation, {job.id: PARTS})
    return Counter(verdict for step, _, verdict in installation.verdicts(job) if step == "work")


@pytest.mark.parametrize("cascade", ["Background", "Foreground"])
def test_a_job_deleted_by_hand_runs_again(
    cluster: Cluster, installation: Installation, cascade: str
) -> None:
    def harm(job: str, _pods: list[str]) -> None:
        hands.delete_job(cluster, job, cascade)

    verdicts = survive(cluster, installation, harm, attempts=2 * PARTS)
    assert verdicts == {"lost": PARTS, "commit": PARTS}


def test_pods_that_outlive_their_job_are_made_use_of(
    cluster: Cluster, installation: Installation
) -> None:
    def harm(job: str, _pods: list[str]) -> None:
        hands.delete_job(cluster, job, "Orphan")

    assert survive(cluster, installation, harm, attempts=PARTS) == {"commit": PARTS}


def test_an_evicted_pod_is_replaced_within_the_round(
    cluster: Cluster, installation: Installation
) -> None:
    def harm(_job: str, pods: list[str]) -> None:
        hands.evict(cluster, pods[0])

    verdicts = survive(cluster, installation, harm, attempts=PARTS + 1)
    assert verdicts == {"repeated": 1, "commit": PARTS}


@pytest.mark.parametrize("grace_s", [None, 0])
def test_a_deleted_pod_runs_again(
    cluster: Cluster, installation: Installation, grace_s: int | None
) -> None:
    def harm(_job: str, pods: list[str]) -> None:
        hands.delete_pod(cluster, pods[0], grace_s)

    verdicts = survive(cluster, installation, harm, attempts=PARTS + 1)
    assert verdicts["commit"] == PARTS
    assert verdicts["lost"] + verdicts["repeated"] == 1


def test_of_a_detached_pod_and_the_one_in_its_place_one_counts(
    cluster: Cluster, installation: Installation
) -> None:
    def harm(_job: str, pods: list[str]) -> None:
        hands.detach(cluster, pods[0])

    verdicts = survive(cluster, installation, harm, attempts=PARTS + 1)
    assert verdicts["commit"] == PARTS
    assert verdicts["lost"] == 0
