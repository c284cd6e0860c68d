"""A step that cannot start says why and what to do; it waits where waiting helps, else it fails."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from k8s_manager.backends.kubernetes_api import JOBS, Api, ApiError
from tests.cluster.conftest import CLAIMS, NAMESPACES, VOLUMES, Cluster, claim, wait_until
from tests.cluster.watched import Start

CONFIG_MAPS = "/api/v1/namespaces/{namespace}/configmaps"
LIMITS = "/api/v1/namespaces/{namespace}/limitranges"
QUOTAS = "/api/v1/namespaces/{namespace}/resourcequotas"
REGISTRY = os.environ.get("REGISTRY", "")
PYTHON = os.environ.get("PYTHON_IMAGE", "docker.io/library/python:3.13-slim")
DEBIAN = os.environ.get("DEBIAN_IMAGE", "docker.io/library/debian:trixie-slim")


def set_quota(api: Api, **hard: str) -> None:
    hard = {name.replace("_", "."): value for name, value in hard.items()}
    quota = {"metadata": {"name": "steps"}, "spec": {"hard": hard}}
    if not api.create(QUOTAS, quota):
        api.patch(f"{QUOTAS}/steps", {"spec": {"hard": hard}})
    path = f"{QUOTAS}/steps"
    wait_until(lambda: api.get(path).get("status", {}).get("hard") == hard, "quota in force")


class TestQuota:
    def test_one_in_use_is_waited_for(self, space: Cluster, start: Start) -> None:
        set_quota(space.api, pods="1")
        first = start("import time; time.sleep(600)", of=space, time_limit_s=600)
        first.says("python: 0 of 1 runs")
        second = start(of=space)
        second.says("waiting: quota: the namespace's quota is in use", "steps", "limited: pods=1")
        first.is_dismissed()
        second.succeeds()

    def test_more_than_it_ever_gives_fails_at_once(self, space: Cluster, start: Start) -> None:
        set_quota(space.api, requests_cpu="50m")
        start(of=space).cannot_start(
            "quota", "asks for requests.cpu=100m, more than the quota of 50m ever gives", "steps"
        )

    def test_one_on_jobs_is_waited_for(self, space: Cluster, start: Start) -> None:
        set_quota(space.api, **{"count/jobs_batch": "1"})
        container = {"name": "none", "image": "none"}
        pod = {"restartPolicy": "Never", "containers": [container]}
        other = {"suspend": True, "template": {"spec": pod}}
        space.api.create(JOBS, {"metadata": {"name": "other"}, "spec": other})
        job = start(of=space)
        job.says("waiting: quota: the namespace's quota is in use", "count/jobs.batch=1")
        space.api.delete(f"{JOBS}/other")
        job.succeeds()


class TestNodes:
    @pytest.mark.parametrize(
        ("asks", "words"),
        [
            ({"cores": 900}, ("900 cores", "Insufficient cpu")),
            ({"ram_mb": 9_000_000}, ("9000048 MiB of memory", "Insufficient memory")),
        ],
    )
    def test_none_with_the_resources_is_waited_for_and_the_resource_named(
        self, start: Start, asks: dict[str, Any], words: tuple[str, ...]
    ) -> None:
        job = start(**asks)
        job.says("waiting: unschedulable: no node fits a pod with", *words)
        job.is_dismissed()

    def test_none_with_the_labels_is_waited_for_as_long_as_configured(self, start: Start) -> None:
        nowhere = {"node_selector": {"cdi.nrw/none": "x"}}
        job = start(settings=nowhere)
        job.says("waiting: unschedulable", "node label cdi.nrw/none=x", "node affinity/selector")
        job.is_dismissed()
        job = start(settings={**nowhere, "unschedulable_wait_s": 4.0})
        job.cannot_start("unschedulable", "cdi.nrw/none=x", "the limit is 4 s")


class TestImages:
    def test_one_that_cannot_be_pulled_is_waited_for_as_configured(self, start: Start) -> None:
        image = f"{REGISTRY or 'registry.invalid'}/cdi/none:1"
        missing = {"images": {"cdi/test:1": image}}
        job = start(settings=missing)
        job.says(f"waiting: image-pull: image {image} cannot be pulled")
        job.is_dismissed()
        job = start(settings={**missing, "pull_wait_s": 4.0})
        job.cannot_start("image-pull", f"image {image} cannot be pulled", "the limit is 4 s")

    def test_a_name_that_is_none_is_named(self, start: Start) -> None:
        name = "Not/A:Valid:Name"
        start(settings={"images": {"cdi/test:1": name}}).cannot_start("image-pull", name, "parse")

    def test_a_tag_is_refused_where_digests_are_demanded(self, start: Start) -> None:
        settings = {"images": {"cdi/test:1": "registry.example/stage:1"}, "require_digest": True}
        start(settings=settings).cannot_start(
            "image-not-allowed", "registry.example/stage:1", "by tag", "CDI_KUBERNETES_IMAGES"
        )

    def test_another_registry_is_refused(self, start: Start) -> None:
        image = "elsewhere.example/stage:1"
        settings = {
            "images": {"cdi/test:1": image},
            "allowed_registries": ("registry.example/cdi/",),
        }
        start(settings=settings).cannot_start(
            "image-not-allowed", image, "is not from registry.example/cdi/"
        )

    @pytest.mark.parametrize(
        ("image", "lacks"),
        [
            (PYTHON, "no step runner at /cdi/step_runner.py"),
            (DEBIAN, "no python3 that starts"),
        ],
        ids=["python", "debian"],
    )
    def test_one_without_the_step_runner_is_refused(
        self, start: Start, image: str, lacks: str
    ) -> None:
        start(settings={"images": {"cdi/test:1": image}}).cannot_start(
            "image-not-allowed", f"image {image} holds {lacks}", "containers/Containerfile"
        )

    def test_every_attempt_knows_its_image_by_digest(self, start: Start) -> None:
        watched = start()
        (attempt,) = watched.installation.store.attempts(watched.succeeds().id)
        digest = os.environ["CDI_STAGE_IMAGE"].partition("@")[2]
        assert (attempt.document or {})["image_digest"] == digest

    @pytest.mark.skipif(not REGISTRY, reason="REGISTRY is not set: it is asked for a tag")
    def test_so_does_one_whose_image_has_a_tag_only(self, start: Start) -> None:
        name = os.environ["CDI_STAGE_IMAGE"].partition("@")[0]
        tags = json.load(urlopen(f"http://{name.replace('/', '/v2/', 1)}/tags/list"))["tags"]
        watched = start(settings={"images": {"cdi/test:1": f"{name}:{tags[0]}"}})
        (attempt,) = watched.installation.store.attempts(watched.succeeds().id)
        assert re.fullmatch("sha256:[0-9a-f]{64}", (attempt.document or {})["image_digest"])


class TestAdmission:
    def test_what_pod_security_forbids_is_named(self, start: Start) -> None:
        start(settings={"run_as_user": 0}).cannot_start(
            "admission", 'violates PodSecurity "restricted:latest"', "runAsUser=0"
        )

    def test_what_a_limit_range_forbids_is_named(self, space: Cluster, start: Start) -> None:
        limit = {"type": "Container", "max": {"memory": "64Mi"}}
        space.api.create(LIMITS, {"metadata": {"name": "steps"}, "spec": {"limits": [limit]}})
        start(of=space).cannot_start(
            "admission", "maximum memory usage per Container is 64Mi", "112Mi", "process file"
        )

    @pytest.mark.parametrize("setting", ["runtime_class", "priority_class"])
    def test_a_class_that_is_not_there_is_named(self, start: Start, setting: str) -> None:
        start(settings={setting: "none-such"}).cannot_start(
            "admission", "none-such", f"CDI_KUBERNETES_{setting.upper()}"
        )


class TestVolumes:
    def test_a_claim_that_is_not_there_is_waited_for(self, space: Cluster, start: Start) -> None:
        job = start(of=space, settings={"claim": "late"})
        job.says("waiting: starting: volume claim late is not there", "CDI_KUBERNETES_CLAIM")
        space.bind("late", f"{space.api.namespace}-late")
        job.succeeds()

    def test_a_claim_without_a_volume_fails_after_the_configured_time(
        self, space: Cluster, start: Start
    ) -> None:
        space.api.create(CLAIMS, claim("unbound", "no-such-volume"))
        job = start(of=space, settings={"claim": "unbound", "starting_wait_s": 4.0})
        job.cannot_start("starting", "not bound to a volume", "unbound", "the limit is 4 s")


class TestNamespace:
    def test_one_that_goes_away_and_comes_back_is_waited_for(
        self, space: Cluster, start: Start
    ) -> None:
        """A finalizer of the test's own keeps the namespace in the state of being deleted."""
        api, name = space.api, space.api.namespace
        keeper = {"metadata": {"name": "keeper", "finalizers": ["cdi.nrw/test"]}}
        api.create(CONFIG_MAPS, keeper)
        api.delete(f"{NAMESPACES}/{name}")
        job = start(of=space)
        job.says("waiting: admission", f"namespace {name} cannot be used", "being terminated")
        api.patch(f"{CONFIG_MAPS}/keeper", {"metadata": {"finalizers": []}})
        job.says("waiting: admission", f"namespace {name} cannot be used", "not found")
        api.delete(f"{VOLUMES}/{name}")
        wait_until(lambda: not _exists(api, f"{VOLUMES}/{name}"), "volume gone")
        space.set_up()
        job.succeeds()


class TestRuntimeClasses:
    def test_a_process_runs_under_its_own(self, cluster: Cluster, start: Start) -> None:
        if not _exists(cluster.api, "/apis/node.k8s.io/v1/runtimeclasses/gvisor"):
            pytest.skip("the cluster has no RuntimeClass gvisor")
        code = "open('result.txt', 'w').write(open('/proc/version').read())"
        classes = {"runtime_class": "none-such", "runtime_classes": {"python": "gvisor"}}
        watched = start(code, settings=classes)
        results = watched.succeeds().results or {}
        assert watched.installation.text(results["result"]) != Path("/proc/version").read_text()


def _exists(api: Api, path: str) -> bool:
    try:
        api.get(path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True
