"""Checks of the cluster that runs the steps: reach, rights, and all that pods refer to by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from k8s_manager.backends.job_manifest import ImageNotAllowed, allowed_image
from k8s_manager.backends.kubernetes_api import Api, ApiError
from k8s_manager.backends.rights import RIGHTS, Right
from k8s_manager.checks import limits
from k8s_manager.checks import probe as probes
from k8s_manager.checks.finding import FAILED, Finding, failed, note, ok, unread
from k8s_manager.cwl_model import Process
from k8s_manager.errors import ConfigError
from k8s_manager.kubernetes_settings import KubernetesSettings
from k8s_manager.registry import Registry
from k8s_manager.settings import Settings

OLDEST = (1, 30)
"""First version in which an Indexed Job has limits by index and waits for a pod's end."""
NAMESPACE = "/api/v1/namespaces/{namespace}"
CLAIMS = NAMESPACE + "/persistentvolumeclaims"
RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"
PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
WORKSPACE_CLAIM = "CDI_KUBERNETES_CLAIM"
_LEVEL = "pod-security.kubernetes.io/enforce"


def check(
    settings: Settings, registry: Registry, *, usable: bool, probe: bool, probe_wait_s: float
) -> Iterator[Finding]:
    """Look at everything in the cluster that steps need.

    Args:
        settings: The deployment's.
        registry: Its processes, whose images and needs are looked at.
        usable: The workspace can be written to, so that pods can be tried with it.
        probe: Start a pod for each image.
        probe_wait_s: How long such a pod may take to its end.
    """
    kubernetes = settings.kubernetes
    try:
        api = Api(kubernetes.namespace)
        version = api.get("/version")
    except (ApiError, ConfigError) as error:
        yield failed("Kubernetes API", str(error), "correct KUBECONFIG, or start the cluster")
        return
    yield _version(version)
    tools = {
        process.id: process
        for each in registry.processes.values()
        for process in each.tools().values()
    }
    findings = [
        _namespace(api),
        _rights(api),
        *(_claim(api, name, kind) for name, kind in sorted(_claims(kubernetes).items())),
        *_classes(api, kubernetes, tools),
        *limits.check(api, kubernetes, tools),
        *_images(kubernetes, tools),
    ]
    yield from findings
    if not probe:
        yield note("images", "not tried: no pod was started", "leave out --no-probe")
    elif not usable or any(found.state == FAILED for found in findings):
        yield note("images", "not tried", "mend the above first")
    else:
        yield from probes.check(settings, tools, probe_wait_s)


def _version(found: Mapping[str, Any]) -> Finding:
    major, minor = (int(re.sub(r"\D", "", str(found[part]))) for part in ("major", "minor"))
    what, text = "Kubernetes API", str(found["gitVersion"])
    if (major, minor) < OLDEST:
        return failed(what, text, f"upgrade to {'.'.join(map(str, OLDEST))} or newer")
    return ok(what, f"version {text}")


def _namespace(api: Api) -> Finding:
    what = f"namespace {api.namespace}"
    try:
        found = api.get(NAMESPACE)
    except ApiError as error:
        if error.status == 404:
            return failed(what, "is not there", "make it, or correct CDI_KUBERNETES_NAMESPACE")
        return unread(what, error)
    if found["metadata"].get("deletionTimestamp"):
        return failed(what, "is being deleted", "wait, then make it anew")
    level = (found["metadata"].get("labels") or {}).get(_LEVEL, "privileged")
    if level != "restricted":
        advice = f"label it {_LEVEL}=restricted: steps need no more"
        return note(what, f"pod security {level}", advice)
    return ok(what, "pod security restricted")


def _rights(api: Api) -> Finding:
    """Ask for every right at once; a role may be seen by nobody, but everybody may ask."""
    what = f"rights in namespace {api.namespace}"
    try:
        missing = [right for right in RIGHTS if not _has(api, right)]
        user = api.ask(_WHO, {})["status"]["userInfo"]["username"] if missing else ""
    except ApiError as error:
        return unread(what, error)
    if not missing:
        return ok(what, f"all {len(RIGHTS)} that the controller needs")
    names = "; ".join(f"{right.sentence()}: {right.why}" for right in missing)
    return failed(what, f"missing: {names}", f"grant them to {user}")


def _has(api: Api, right: Right) -> bool:
    attributes = {
        "namespace": api.namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
    }
    answer = api.ask(_REVIEW, {"spec": {"resourceAttributes": attributes}})
    return bool(answer["status"].get("allowed"))


def _claims(settings: KubernetesSettings) -> dict[str, str]:
    """Return the volume claims that pods mount, and the setting that names each."""
    sources = dict.fromkeys(settings.source_claims.values(), "CDI_KUBERNETES_SOURCE_CLAIMS")
    return sources | {settings.claim: WORKSPACE_CLAIM}


def _claim(api: Api, name: str, setting: str) -> Finding:
    what = f"volume claim {name}"
    try:
        found = api.get(f"{CLAIMS}/{name}")
    except ApiError as error:
        if error.status == 404:
            where = f"is not in namespace {api.namespace}"
            return failed(what, where, f"make it, or correct {setting}")
        return unread(what, error)
    phase = str(found["status"].get("phase"))
    if phase != "Bound":
        return failed(what, f"is {phase}, not Bound", "give it a volume or a storage class")
    modes = found["status"].get("accessModes") or []
    if setting == WORKSPACE_CLAIM and "ReadWriteMany" not in modes:
        advice = "use ReadWriteMany, unless all pods run on one node"
        return note(what, f"Bound, {', '.join(modes)}", advice)
    return ok(what, f"Bound, {', '.join(modes)}")


def _classes(
    api: Api, settings: KubernetesSettings, tools: Mapping[str, Process]
) -> Iterator[Finding]:
    runtimes = {settings.runtime_classes.get(name, settings.runtime_class) for name in tools}
    for name in sorted(runtimes - {""}):
        setting = "CDI_KUBERNETES_RUNTIME_CLASS(ES)"
        yield _exists(api, f"RuntimeClass {name}", f"{RUNTIMES}/{name}", setting)
    if name := settings.priority_class:
        setting = "CDI_KUBERNETES_PRIORITY_CLASS"
        yield _exists(api, f"PriorityClass {name}", f"{PRIORITIES}/{name}", setting)
    for name in sorted(settings.runtime_classes.keys() - tools.keys()):
        known = ", ".join(sorted(tools))
        yield note("CDI_KUBERNETES_RUNTIME_CLASSES", f"names {name}", f"no such process: {known}")


def _exists(api: Api, what: str, path: str, setting: str) -> Finding:
    try:
        api.get(path)
    except ApiError as error:
        if error.status == 404:
            return failed(what, "is not there", f"make it, or correct {setting}")
        return unread(what, error)
    return ok(what, "is there")


def _images(settings: KubernetesSettings, tools: Mapping[str, Process]) -> Iterator[Finding]:
    """Judge every image by the policy, without asking any registry."""
    refused = []
    for process in tools.values():
        assert process.tool is not None  # noqa: S101  a tool
        try:
            allowed_image(process.tool.image, process.id, settings)
        except ImageNotAllowed as error:
            refused.append(failed(f"image of {process.id}", str(error), "see docs/settings.md"))
    yield from refused or [ok("image policy", f"lets the images of {len(tools)} processes run")]
