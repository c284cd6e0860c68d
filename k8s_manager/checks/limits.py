"""Whether quota and limit ranges of the namespace let the largest step of every process run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from k8s_manager.backends.kubernetes_api import Api, ApiError
from k8s_manager.checks.finding import Finding, failed, ok, unread
from k8s_manager.cwl_model import Process, Tool
from k8s_manager.kubernetes_settings import KubernetesSettings

QUOTAS = "/api/v1/namespaces/{namespace}/resourcequotas"
RANGES = "/api/v1/namespaces/{namespace}/limitranges"
_MIB = 2**20
_ADVICE = "raise it, or lower what the process file asks for (ResourceRequirement)"


def check(
    api: Api, settings: KubernetesSettings, tools: Mapping[str, Process]
) -> Iterator[Finding]:
    """Compare what every process may ask for at most with what the namespace may give."""
    needs = {name: _need(process.tool, settings) for name, process in tools.items() if process.tool}
    for kind, path, judge in (
        ("quota", QUOTAS, _over_quota),
        ("limit range", RANGES, _out_of_range),
    ):
        try:
            items, _version = api.everything(path)
        except ApiError as error:
            yield unread(f"{kind}s", error)
            continue
        for item in items:
            what = f"{kind} {item['metadata']['name']}"
            found = [sentence for name in needs for sentence in judge(item, name, needs[name])]
            if found:
                yield failed(what, "; ".join(found), _ADVICE)
            else:
                yield ok(what, f"has room for each of {len(needs)} processes")
        if not items:
            yield ok(f"{kind}s", "none")


def _need(tool: Tool, settings: KubernetesSettings) -> dict[str, Decimal]:
    """Return what one pod of a process asks for at most, by the names of quotas."""
    memory = Decimal((tool.resources.ram_max + settings.runner_ram_mb) * _MIB)
    cores = Decimal(str(tool.resources.cores_min))
    one = Decimal(1)
    need = {
        "cpu": cores, "requests.cpu": cores,
        "memory": memory, "requests.memory": memory, "limits.memory": memory,
        "pods": one, "count/pods": one, "count/jobs.batch": one,
    }  # fmt: skip
    if tool.gpu and settings.gpu_resource:
        need[f"requests.{settings.gpu_resource}"] = Decimal(tool.gpu.count)
    return need


def _over_quota(item: Mapping[str, Any], name: str, need: Mapping[str, Decimal]) -> Iterator[str]:
    hard = item["spec"].get("hard") or {}
    for resource in sorted(hard.keys() & need.keys()):
        if need[resource] > parse_quantity(hard[resource]):
            yield f"{name} may ask for {_text(resource, need)}, it gives {hard[resource]}"


def _out_of_range(item: Mapping[str, Any], name: str, need: Mapping[str, Decimal]) -> Iterator[str]:
    for limit in item["spec"]["limits"]:
        if limit["type"] not in ("Container", "Pod"):
            continue
        least, most = limit.get("min") or {}, dict(limit.get("max") or {})
        # A pod without a limit for its cores gets the default, and may not request more than that.
        if cores := (limit.get("default") or {}).get("cpu"):
            most["cpu"] = cores
        for resource in ("cpu", "memory"):
            if resource in most and need[resource] > parse_quantity(most[resource]):
                yield f"{name} may ask for {_text(resource, need)}, it allows {most[resource]}"
            if resource in least and need[resource] < parse_quantity(least[resource]):
                yield f"{name} asks for {_text(resource, need)}, it demands {least[resource]}"


def _text(resource: str, need: Mapping[str, Decimal]) -> str:
    amount = need[resource]
    if resource.endswith("memory"):
        return f"{resource} {amount / _MIB:f}Mi"
    return f"{resource} {amount:f}"
