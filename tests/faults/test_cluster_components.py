"""Parts of the cluster that stop, stand still or forget; what runs counts, all accepted ends."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from k8s_manager.records import Job
from tests.cluster.conftest import Cluster, cluster_namespace, wait_until
from tests.cluster.controllers import controlling, finish
from tests.cluster.evidence import WAIT, assert_nothing_lost, commits, epoch, go_file, parts_begun
from tests.cluster.hands import jobs_of
from tests.faults.components import NEEDED, control, paused, stopped
from tests.k8s_manager.installation import Installation

MISSING = [name for name in NEEDED if not os.environ.get(name)]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"needs a cluster of its own: {MISSING} is not set"),
    pytest.mark.timeout(900),
]
PARTS = 3
DONE = "every job ended once, each index committed once with its files, no Job, pod, round left"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with cluster_namespace() as made:
        yield made


@pytest.fixture
def installation(cluster: Cluster) -> Iterator[Installation]:
    made = cluster.installation(node_lost_s=5.0)
    yield made
    made.store.close()


def chain_in_the_middle(installation: Installation) -> Job:
    """Submit a chain and return it when all its parts run; they wait for `go_file`."""
    job = installation.submit("small-chain", {"count": PARTS, "code": WAIT})
    wait_until(lambda: parts_begun(installation, job) == PARTS, "all parts run")
    return job


def parts_end(installation: Installation, job: Job) -> None:
    """Let the parts of a chain end and be committed, behind the step before them."""
    go_file(installation, job).touch()
    wait_until(lambda: commits(installation, job) >= 1 + PARTS, "the parts are committed")


@pytest.mark.parametrize(
    ("how", "component", "seconds"),
    [
        pytest.param(
            how, component, seconds,
            marks=pytest.mark.fault(
                f"{component} {how.__name__} for {seconds} s in the middle of a chain",
                f"parts committed meanwhile, lease kept; {DONE}",
            ),
            id=f"{component}-{how.__name__}",
        )
        for how, component, seconds in [
            (stopped, "kube-apiserver", 30),
            (paused, "kube-apiserver", 40),
            (paused, "etcd", 30),
        ]
    ],
)  # fmt: skip
def test_an_api_that_is_away(
    cluster: Cluster,
    installation: Installation,
    how: type[AbstractContextManager[None]],
    component: str,
    seconds: float,
) -> None:
    with controlling(installation):
        job = chain_in_the_middle(installation)
        before = epoch(installation)
        with how(component):
            back = time.monotonic() + seconds
            parts_end(installation, job)
            accepted = installation.submit("small-chain", {"count": 1})
            time.sleep(max(0.0, back - time.monotonic()))
        jobs = {job.id: PARTS, accepted.id: 1}
        finish(installation, jobs)
        assert_nothing_lost(cluster, installation, jobs)
        assert epoch(installation) == before


@pytest.mark.fault(
    "etcd restored to an older state: a Job comes back, another vanishes",
    f"the stray is removed, the vanished one runs again; {DONE}",
)
def test_an_etcd_that_forgets(cluster: Cluster, installation: Installation, tmp_path: Path) -> None:
    with controlling(installation):
        old = chain_in_the_middle(installation)
        control("snapshot", str(tmp_path / "etcd.tar"))
        parts_end(installation, old)
        finish(installation, [old.id])
        wait_until(lambda: not cluster.left(installation), "the old chain's Jobs are gone")
        new = chain_in_the_middle(installation)
        control("restore", str(tmp_path / "etcd.tar"))
        for component in ("kube-controller-manager", "kube-scheduler", "kubelet"):
            with stopped(component):  # what it remembers is newer than what it is told now
                pass
        again = 2 * PARTS
        wait_until(lambda: parts_begun(installation, new) >= again, "the vanished runs again")
        wait_until(lambda: not jobs_of(cluster, old, "work"), "the stray is removed")
        go_file(installation, new).touch()
        jobs = {old.id: PARTS, new.id: PARTS}
        finish(installation, jobs)
        assert_nothing_lost(cluster, installation, jobs)


@pytest.mark.parametrize(
    "component",
    [
        pytest.param(
            component,
            marks=pytest.mark.fault(
                f"{component} stopped while steps run, for 15 s",
                f"parts committed meanwhile, the next step follows when it is back; {DONE}",
            ),
        )
        for component in ("kubelet", "kube-controller-manager", "kube-scheduler")
    ],
)
def test_a_component_that_is_away(
    cluster: Cluster, installation: Installation, component: str
) -> None:
    with controlling(installation):
        job = chain_in_the_middle(installation)
        with stopped(component):
            back = time.monotonic() + 15
            parts_end(installation, job)
            time.sleep(max(0.0, back - time.monotonic()))
            assert commits(installation, job) == 1 + PARTS, "the last step cannot have run"
        finish(installation, [job.id])
        assert_nothing_lost(cluster, installation, {job.id: PARTS})


@pytest.mark.fault(
    "kubelet stopped until its node counts as lost, its containers running on",
    f"the parts run again, and only those attempts count; {DONE}",
)
def test_a_node_that_is_lost(cluster: Cluster, installation: Installation) -> None:
    with controlling(installation):
        job = chain_in_the_middle(installation)
        with stopped("kubelet"):
            wait_until(lambda: verdicts(installation, job)["lost"] == PARTS, "lost", 240)
        go_file(installation, job).touch()
        finish(installation, [job.id])
        assert_nothing_lost(cluster, installation, {job.id: PARTS})
    assert verdicts(installation, job) == {"lost": PARTS, "commit": PARTS}


def verdicts(installation: Installation, job: Job) -> Counter[str]:
    return Counter(what for step, _, what in installation.verdicts(job) if step == "work")
