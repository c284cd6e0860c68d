"""Why steps have not started, and why they ended, in the words of the contract.

One table, so that an administrator finds every reason in one place:

| what Kubernetes says                                | code              | what follows        |
|-----------------------------------------------------|-------------------|---------------------|
| quota exceeded, less asked than it can ever give    | quota             | waits               |
| quota exceeded, more asked than it can ever give    | quota             | fails at once       |
| a right of the controller is missing                | admission         | waits               |
| the namespace is not there, or being deleted        | admission         | waits               |
| refused by admission (pod security, limit range...) | admission         | fails at once       |
| no node fits                                        | unschedulable     | waits               |
| the image cannot be pulled                          | image-pull        | fails after minutes |
| the image's name is not valid                       | image-pull        | fails at once       |
| the image has no step runner, or no Python          | image-not-allowed | fails at once       |
| a volume claim is not there or not bound            | starting          | fails after minutes |
| volume or configuration is missing on the node      | starting          | fails after minutes |
| the pod was taken from its node                     | evicted           | another one starts  |

What an administrator can mend without touching the job waits; what the job itself asks for, and
will never get, fails.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from kubernetes.utils.quantity import parse_quantity

from k8s_manager.backends.base import Attempt, Round, Waiting
from k8s_manager.backends.job_manifest import RUNNER
from k8s_manager.backends.kubernetes_api import ApiError
from k8s_manager.backends.kubernetes_view import PodView
from k8s_manager.errors import BackendError
from k8s_manager.kubernetes_settings import KubernetesSettings

CREATING = Waiting("starting", "its pods are being created")
_HOPELESS_IMAGE = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE = ("ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable")
_CLAIM = re.compile(
    r'persistentvolumeclaim "(?P<name>[^"]+)" (?P<how>not found|is being deleted)'
    r"|unbound immediate PersistentVolumeClaims"
)
_PREAMBLE = re.compile(r'^Error creating: (?:pods "[^"]*" is forbidden: )?')
_PREEMPTION = re.compile(r"(?: no new claims to deallocate,?)?(?: preemption: .*)?$", re.DOTALL)
_RIGHT = re.compile(
    r'User "(?P<who>[^"]+)" cannot (?P<verb>\w+) resource "(?P<what>[^"]+)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<where>[^"]*)")?'
)
_REFUSALS = (
    ("error looking up service account", False, "the namespace is being set up"),
    ("being terminated", False, "the namespace is being deleted"),
    ("violates PodSecurity", True, "change the setting, or the pod security of the namespace"),
    ("RuntimeClass", True, "make it, or name another in CDI_KUBERNETES_RUNTIME_CLASS(ES)"),
    ("no PriorityClass", True, "make it, or name another in CDI_KUBERNETES_PRIORITY_CLASS"),
    ("failed quota", True, "give the namespace a limit range with defaults for what is missing"),
    (" usage per ", True, "ask for less in the process file, or widen the limit range"),
    ("denied the request", True, "ask who runs that admission policy"),
    ("is forbidden", True, ""),
    ("is invalid", True, ""),
    ("Invalid value", True, ""),
)
"""What Kubernetes says when it refuses, whether that is for ever, and what to do."""
_OWN_LIMIT = re.compile(
    r"exceeds the limit|exceeded its local ephemeral storage|ephemeral local storage usage exceeds"
)
_NO_TASK = re.compile(r"No such file or directory: '/cdi/workspace/\S*/task-r\d+\.json'")
_AMOUNT = re.compile(r"([\w./-]+)=(\d+(?:\.\d+)?(?:[numkMGTPE]|[KMGTPE]i)?)(?=[,; ]|$)")


class Reason(NamedTuple):
    """Why something has not started, and whether waiting on is pointless."""

    waiting: Waiting
    hopeless: bool = False


def unusable(error: BackendError, namespace: str) -> Reason:
    """Return what the answer of the API to one of our own calls means."""
    text = str(error)
    if not isinstance(error, ApiError) or error.transient:
        return Reason(Waiting("starting", text))
    if lacking := missing_right(text):
        return Reason(Waiting("admission", lacking))
    if "being terminated" in text or error.status == 404:
        sentence = f"namespace {namespace} cannot be used ({text}); make it, or name another"
        return Reason(Waiting("admission", f"{sentence} in CDI_KUBERNETES_NAMESPACE"))
    if error.status == 401:
        return Reason(Waiting("admission", text))
    return not_created(text)


def missing_right(text: str) -> str | None:
    """Return which right is missing, and whose, if that is what the API says."""
    found = _RIGHT.search(text)
    if found is None:
        return None
    group = f" ({found['group']})" if found["group"] else ""
    where = f" in namespace {found['where']}" if found["where"] else ""
    return (
        f"the right to {found['verb']} {found['what']}{group}{where} is missing; "
        f"grant it to {found['who']} (docs/operations.md lists all rights)"
    )


def not_created(message: str) -> Reason:
    """Return why Kubernetes does not make a Job or its pods, from error or event."""
    message = _PREAMBLE.sub("", message)
    if "exceeded quota" in message:
        if never := _never(message):
            return Reason(Waiting("quota", f"the step asks for {never} ({message})"), True)
        return Reason(Waiting("quota", f"the namespace's quota is in use: {message}"))
    for words, hopeless, advice in _REFUSALS:
        if words in message:
            sentence = f"Kubernetes refuses it: {message}{'; ' if advice else ''}{advice}"
            return Reason(Waiting("admission", sentence), hopeless)
    return Reason(Waiting("admission", message))


def being_created(blind: ApiError | None) -> Reason:
    """Return why a Job has no pod yet, where Kubernetes gives no reason.

    Args:
        blind: Why its reasons could not be read, if so.
    """
    if blind is None:
        return Reason(CREATING)
    why = missing_right(str(blind)) or str(blind)
    return Reason(Waiting("starting", f"{CREATING.sentence}; why that takes long is hidden: {why}"))


def after(repeated: Attempt | None, waiting: Waiting) -> Waiting:
    """Return why an index waits that Kubernetes starts again: with how its last attempt ended."""
    if repeated is None:
        return waiting
    if repeated.cause == "evicted":
        if waiting.code == "starting":
            return Waiting("evicted", f"{repeated.reason}; another pod is being started")
        return Waiting(waiting.code, f"{waiting.sentence}; before, its pod was {repeated.reason}")
    if waiting.code == "starting":
        return Waiting("starting", "its program asked to be tried again (exit code 75)")
    return waiting


def not_started(
    pod: PodView,
    round_: Round,
    image: str,
    events: Sequence[str],
    age_s: float,
    settings: KubernetesSettings,
) -> Reason:
    """Return why a pod that exists has not started its container.

    Args:
        pod: The pod.
        round_: What it is to run.
        image: The image that it is to run.
        events: Warnings about the pod, the newest last.
        age_s: Seconds since the pod was first seen.
        settings: How long each reason may last.
    """
    if claim := _CLAIM.search(pod.unschedulable):
        sentence = _about_claim(claim, settings)
        return _limited(Waiting("starting", sentence), age_s, settings.starting_wait_s)
    if pod.unschedulable:
        why = _PREEMPTION.sub("", pod.unschedulable)
        sentence = f"no node fits a pod with {_asked(round_, settings)}: {why}"
        return _limited(Waiting("unschedulable", sentence), age_s, settings.unschedulable_wait_s)
    if pod.reason in _HOPELESS_IMAGE:
        return Reason(Waiting("image-pull", f"image {image}: {pod.message or pod.reason}"), True)
    if pod.reason in _IMAGE:
        sentence = f"image {image} cannot be pulled: {pod.message or pod.reason}"
        return _limited(Waiting("image-pull", sentence), age_s, settings.pull_wait_s)
    if events or pod.reason.startswith(("Create", "Run")):
        sentence = pod.message or (events[-1] if events else pod.reason)
        return _limited(Waiting("starting", sentence), age_s, settings.starting_wait_s)
    place = f" on node {pod.node}" if pod.node else ""
    return Reason(Waiting("starting", f"its pod is starting{place}"))


def without_runner(pod: PodView, image: str) -> Waiting | None:
    """Return why an image cannot run steps, when that is how a pod ended."""
    no_file = "No module named 'step_runner'" in pod.message
    no_python = pod.reason in ("StartError", "ContainerCannotRun") and "python3" in pod.message
    if not no_file and not no_python:
        return None
    what = f"no step runner at {RUNNER}" if no_file else f"no python3 that starts ({pod.message})"
    return Waiting(
        "image-not-allowed",
        f"image {image} holds {what}; build it on the stage image of containers/Containerfile",
    )


def ended(pod: PodView) -> tuple[str, str]:
    """Return why a pod ended without a word of the runner: cause and sentence."""
    if pod.reason == "OOMKilled":
        return "memory", "the kernel killed it for lack of memory"
    if limit := beyond_limit(pod):
        return limit
    if pod.reason == "Evicted" or pod.disrupted:
        return "evicted", f"evicted: {pod.disrupted or pod.message}"
    if _NO_TASK.search(pod.message):
        return "", (
            f"its pod {pod.name} does not see the files of CDI_WORKSPACE; the volume of "
            "CDI_KUBERNETES_CLAIM, below CDI_KUBERNETES_CLAIM_PATH, must be the same files"
        )
    code = "" if pod.exit_code is None else f" with exit code {pod.exit_code}"
    last = (pod.message.strip().splitlines() or [pod.reason or "without a word"])[-1]
    return "", f"its pod {pod.name} ended{code}: {last[:300]}"


def beyond_limit(pod: PodView) -> tuple[str, str] | None:
    """Return cause and sentence when Kubernetes ended a pod for going beyond a limit of its own.

    Then another pod would end in the same way, whatever the runner wrote when it was told to stop.
    """
    if pod.reason == "DeadlineExceeded":
        return "time-limit", "Kubernetes ended it: it was not over long after its time limit"
    if pod.reason == "Evicted" and _OWN_LIMIT.search(pod.message):
        return "disk", (
            f"{pod.message.strip()}; write large files into the working folder, "
            "or raise CDI_KUBERNETES_TMP_LIMIT_MB"
        )
    return None


def _limited(waiting: Waiting, age_s: float, limit_s: float) -> Reason:
    if limit_s and age_s > limit_s:
        sentence = f"{waiting.sentence} (for {age_s:.0f} s; the limit is {limit_s:.0f} s)"
        return Reason(Waiting(waiting.code, sentence), True)
    return Reason(waiting)


def _about_claim(found: re.Match[str], settings: KubernetesSettings) -> str:
    if not found["name"]:
        claims = {settings.claim, *settings.source_claims.values()}
        return f"a volume claim is not bound to a volume yet, one of {', '.join(sorted(claims))}"
    setting = "CDI_KUBERNETES_CLAIM"
    if found["name"] in settings.source_claims.values():
        setting = "CDI_KUBERNETES_SOURCE_CLAIMS"
    where = f" in namespace {settings.namespace}" if settings.namespace else ""
    how = found["how"].replace("not found", "is not there")
    return f"volume claim {found['name']} {how}{where}; make it, or name another in {setting}"


def _asked(round_: Round, settings: KubernetesSettings) -> str:
    """Return what a round asks of a node."""
    asked = [f"{round_.cores:g} cores", f"{round_.ram_mb + settings.runner_ram_mb} MiB of memory"]
    if round_.gpus and settings.gpu_resource:
        asked.append(f"{round_.gpus} {settings.gpu_resource}")
    asked += [f"node label {name}={value}" for name, value in settings.node_selector.items()]
    return ", ".join(asked)


def _never(message: str) -> str:
    """Return what of a quota message can never be had: requested more than the whole quota."""
    parts = dict(re.findall(r"(requested|used|limited): ([^ ]+)", message.replace(", ", " ;")))
    requested, limited = _amounts(parts.get("requested", "")), _amounts(parts.get("limited", ""))
    over = [
        f"{name}={text}, more than the quota of {limited[name][0]} ever gives"
        for name, (text, amount) in requested.items()
        if name in limited and amount > limited[name][1]
    ]
    return "; ".join(over)


def _amounts(text: str) -> dict[str, tuple[str, Decimal]]:
    return {name: (amount, parse_quantity(amount)) for name, amount in _AMOUNT.findall(text)}
