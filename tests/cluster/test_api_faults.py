"""An API server that errs, breaks off, hangs or forgets: jobs end as they would have without."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.api_faults import (
    breaking,
    delaying,
    ending,
    expired,
    expiring,
    garbling,
    losing_answers,
    refusing,
)  # fmt: skip
from tests.cluster.api_proxy import ApiProxy
from tests.cluster.conftest import Cluster, wait_until
from tests.cluster.evidence import WAIT, assert_nothing_lost, commits, epoch, go_file, parts_begun
from tests.contract.backend import wait_for
from tests.k8s_manager.installation import Installation

FAULTS = {
    "too many requests": refusing(429, "TooManyRequests", 0.4, retry_after_s=1),
    "internal errors": refusing(500, "InternalError", 0.4),
    "unavailable": refusing(503, "ServiceUnavailable", 0.4),
    "broken connections": breaking(0.4),
    "pages instead of answers": garbling(0.3),
    "slow answers": delaying(0.7),
    "watches expired": expired,
    "watches that expire": expiring,
    "watches that end": ending,
    "lost answers": losing_answers,
}


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiProxy]:
    """A proxy that every backend made from now on talks to; `cluster` does not."""
    made = ApiProxy(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
    yield made
    made.close()


@pytest.mark.parametrize("name", FAULTS)
def test_a_chain_succeeds_through(
    name: str, cluster: Cluster, installation: Installation, proxy: ApiProxy
) -> None:
    job = installation.submit("small-chain", {"count": 3})
    begun = time.monotonic()
    with proxy.fault(FAULTS[name]):
        installation.finish(job)
    # A server in trouble is not stormed; two watches begin anew once a second.
    assert 0 < proxy.struck < 30 + 4 * (time.monotonic() - begun)
    assert_nothing_lost(cluster, installation, {job.id: 3})


def test_what_runs_is_committed_while_the_api_says_nothing(
    cluster: Cluster, installation: Installation, proxy: ApiProxy
) -> None:
    job = installation.submit("small-chain", {"count": 3, "code": WAIT})
    controller = installation.controller()
    wait_for(controller, lambda: parts_begun(installation, job) == 3)
    before = epoch(installation)
    with proxy.silence():
        asked = time.monotonic()
        go_file(installation, job).touch()
        wait_for(controller, lambda: commits(installation, job) == 4)
        while time.monotonic() < asked + 3 * installation.settings.lease_s:
            begun = time.monotonic()
            controller.step()
            assert time.monotonic() - begun < installation.settings.lease_s
            time.sleep(0.05)
        assert controller.active
    assert epoch(installation) == before
    controller.run_until(job.id)
    controller.dispose()
    assert_nothing_lost(cluster, installation, {job.id: 3})


def test_a_silent_api_is_named_to_the_user(
    cluster: Cluster, installation: Installation, proxy: ApiProxy
) -> None:
    with proxy.fault(refusing(503, "ServiceUnavailable", 1.0)):
        job = installation.submit("small-chain", {"count": 1})
        controller = installation.controller()
        wait_for(controller, lambda: "ServiceUnavailable" in installation.store.job(job.id).message)
    controller.run_until(job.id)
    controller.dispose()
    assert_nothing_lost(cluster, installation, {job.id: 1})


def test_a_job_created_late_is_removed_again(
    cluster: Cluster,
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    proxy: ApiProxy,
) -> None:
    job = installation.submit("small-chain", {"count": 2})
    controller = installation.controller()
    with proxy.silence():
        wait_for(controller, lambda: "POST" in proxy.kept_waiting)
        controller.dispose()
        installation.store.request_dismiss(job.id)
        monkeypatch.setenv("KUBECONFIG", proxy.directly)
        assert installation.finish(job).outcome == "dismissed"
        assert cluster.left(installation) == []
    wait_until(lambda: cluster.left(installation), "the Job created late")
    controller = installation.controller()
    wait_for(controller, lambda: not cluster.left(installation))
    controller.dispose()
