"""A controller without a right names it and waits for it; the rights that are listed suffice."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8s_manager.backends.rights import RIGHTS, Right
from tests.cluster.conftest import Cluster, wait_until
from tests.cluster.deployment import kubectl
from tests.cluster.limited_user import LimitedUser
from tests.cluster.test_reasons import set_quota
from tests.cluster.watched import Start

SLEEP = "import time; time.sleep(600)"


def right(verb: str, resource: str) -> Right:
    (found,) = (item for item in RIGHTS if (item.verb, item.resource) == (verb, resource))
    return found


def without(missing: Right) -> list[Right]:
    return [item for item in RIGHTS if item != missing]


def named(missing: Right, space: Cluster, user: LimitedUser) -> tuple[str, ...]:
    where = f"in namespace {space.api.namespace} is missing"
    return f"the right to {missing.sentence()} {where}", f"grant it to {user.name}"


@pytest.mark.parametrize(
    "missing",
    [right("create", "jobs"), right("list", "jobs"), right("list", "pods")],
    ids=lambda item: item.sentence(),
)
def test_a_missing_right_is_named_and_the_job_goes_on_once_it_is_granted(
    space: Cluster, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: Right
) -> None:
    user = LimitedUser(space.api, tmp_path, without(missing))
    monkeypatch.setenv("KUBECONFIG", str(user.kubeconfig))
    job = start(of=space)
    job.says("waiting: admission", *named(missing, space, user))
    user.grant(RIGHTS)
    job.succeeds()


@pytest.mark.parametrize(
    "missing",
    [right("delete", "jobs"), right("delete", "pods"), right("get", "jobs")],
    ids=lambda item: item.sentence(),
)
def test_a_job_that_cannot_be_stopped_says_which_right_is_missing(
    space: Cluster, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: Right
) -> None:
    user = LimitedUser(space.api, tmp_path, without(missing))
    monkeypatch.setenv("KUBECONFIG", str(user.kubeconfig))
    job = start(SLEEP, of=space, time_limit_s=600)
    job.says("python: 0 of 1 runs")
    job.installation.store.request_dismiss(job.job.id)
    if missing.resource == "pods":  # else the cluster may have removed them with their Job
        orphaned = ("delete", "job", "--all", "--cascade=orphan", "--timeout=60s")
        kubectl("-n", space.api.namespace, *orphaned)
    job.says("waiting: admission", *named(missing, space, user))
    user.grant(RIGHTS)
    assert job.ends().outcome == "dismissed"


def test_reasons_that_must_not_be_read_are_said_to_be_hidden(
    space: Cluster, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = right("list", "events")
    user = LimitedUser(space.api, tmp_path, without(missing))
    monkeypatch.setenv("KUBECONFIG", str(user.kubeconfig))
    set_quota(space.api, requests_cpu="50m")
    job = start(of=space)
    job.says("waiting: starting", "hidden", *named(missing, space, user))
    user.grant(RIGHTS)
    job.cannot_start("quota", "50m")


@pytest.mark.parametrize("resource", ["jobs", "pods"])
def test_without_watching_jobs_are_carried_out_all_the_same(
    space: Cluster, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resource: str
) -> None:
    user = LimitedUser(space.api, tmp_path, without(right("watch", resource)))
    monkeypatch.setenv("KUBECONFIG", str(user.kubeconfig))
    start(of=space).succeeds()


def test_the_listed_rights_suffice_for_a_chain(
    space: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = LimitedUser(space.api, tmp_path, RIGHTS)
    monkeypatch.setenv("KUBECONFIG", str(user.kubeconfig))
    installation = space.installation()
    try:
        assert installation.run("chain", {"count": 2}).outcome == "successful"
        wait_until(lambda: not space.left(installation), "nothing left")
    finally:
        installation.store.close()


def test_a_kubeconfig_that_is_not_valid_any_more_says_so(
    space: Cluster, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = LimitedUser(space.api, tmp_path, RIGHTS)
    text = user.kubeconfig.read_text()
    user.kubeconfig.write_text(text.replace("token: ", "token: x"))
    with monkeypatch.context() as patch:
        patch.setenv("KUBECONFIG", str(user.kubeconfig))
        job = start(of=space)
    job.says("waiting: admission", "does not know who we are", "renew the kubeconfig")
    job.controller.dispose()
    job.controller = job.installation.controller()
    job.succeeds()
