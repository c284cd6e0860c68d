"""Why pods have not started, and why they ended, in the words of the contract.

One table, so that an administrator finds every reason in one place:

| what Kubernetes says                                | code              | what follows        |
|-----------------------------------------------------|-------------------|---------------------|
| quota exceeded, less asked than it can ever give    | quota             | waits               |
| quota exceeded, more asked than it can ever give    | quota             | fails at once       |
| refused by admission (pod security, limit range...) | admission         | fails at once       |
| no node fits                                        | unschedulable     | waits               |
| the image cannot be pulled                          | image-pull        | fails after minutes |
| the image's name is not valid                       | image-pull        | fails at once       |
| the image has no step runner, or no Python          | image-not-allowed | fails at once       |
| volume or configuration is missing on the node      | starting          | fails after minutes |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from k8s_manager.backends.base import Waiting
from k8s_manager.backends.job_manifest import RUNNER
from k8s_manager.backends.kubernetes_view import PodView
from k8s_manager.kubernetes_settings import KubernetesSettings

NO_ROOM_YET = Waiting("starting", "its pods are being created")
_HOPELESS_IMAGE = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE = ("ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable")
_REFUSED = re.compile(
    "violates PodSecurity|is forbidden|denied the request|RuntimeClass|no PriorityClass|Invalid"
)
_AMOUNT = re.compile(r"([\w./-]+)=(\d+(?:\.\d+)?)([A-Za-z]*)")
_UNITS = {
    "": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6),
    "G": Decimal(10**9), "T": Decimal(10**12), "Ki": Decimal(2**10), "Mi": Decimal(2**20),
    "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip


class Reason(NamedTuple):
    """Why something has not started, and whether waiting on is pointless."""

    waiting: Waiting
    hopeless: bool = False


def not_created(message: str) -> Reason:
    """Return why Kubernetes does not make a Job's pods, from its event ``FailedCreate``."""
    if "exceeded quota" in message:
        never = _never(message)
        if never:
            return Reason(Waiting("quota", f"the step asks for {never}: {message}"), True)
        return Reason(Waiting("quota", message))
    return Reason(Waiting("admission", message), bool(_REFUSED.search(message)))


def not_started(
    pod: PodView, image: str, events: Sequence[str], age_s: float, settings: KubernetesSettings
) -> Reason:
    """Return why a pod that exists has not started its container.

    Args:
        pod: The pod.
        image: The image that it is to run.
        events: Warnings about the pod, the newest last.
        age_s: Seconds since the pod was first seen.
        settings: How long each reason may last.
    """
    if pod.unschedulable:
        limit = settings.unschedulable_wait_s
        return _limited(Waiting("unschedulable", pod.unschedulable), age_s, limit)
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
    no_python = pod.reason in ("StartError", "ContainerCannotRun")
    if not no_file and not no_python:
        return None
    what = f"no step runner at {RUNNER}" if no_file else f"no python3 ({pod.message})"
    return Waiting(
        "image-not-allowed",
        f"image {image} holds {what}; build it on the stage image of containers/Containerfile",
    )


def ended(pod: PodView) -> tuple[str, str]:
    """Return why a pod ended without a word of the runner: cause and sentence."""
    if pod.reason == "OOMKilled":
        return "memory", "the kernel killed it for lack of memory"
    if pod.reason == "DeadlineExceeded":
        return "time-limit", "Kubernetes ended it: it was not over long after its time limit"
    if pod.reason == "Evicted" or pod.disrupted:
        why = pod.message or "the pod was taken from its node"
        return "evicted", f"evicted: {why}"
    code = "" if pod.exit_code is None else f" with exit code {pod.exit_code}"
    last = (pod.message.strip().splitlines() or [pod.reason or "without a word"])[-1]
    return "", f"its pod {pod.name} ended{code}: {last[:300]}"


def _limited(waiting: Waiting, age_s: float, limit_s: float) -> Reason:
    if limit_s and age_s > limit_s:
        sentence = f"{waiting.sentence} (for {age_s:.0f} s; the limit is {limit_s:.0f} s)"
        return Reason(Waiting(waiting.code, sentence), True)
    return Reason(waiting)


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
    return {
        name: (number + unit, Decimal(number) * _UNITS.get(unit, Decimal(1)))
        for name, number, unit in _AMOUNT.findall(text)
    }
