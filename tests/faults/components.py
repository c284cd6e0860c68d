"""The parts that a cluster consists of, to be stopped and paused by CDI_CLUSTER_CTL.

It names a program with the verbs ``stop``, ``start``, ``pause``, ``resume`` (of a component) and
``snapshot``, ``restore`` (of etcd's state, to and from a file).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

CONTROL = os.environ.get("CDI_CLUSTER_CTL", "")
NEEDED = ("CDI_CLUSTER_CTL", "KUBECONFIG", "CDI_STAGE_IMAGE")


def control(verb: str, what: str) -> None:
    """Do something to the cluster and wait until it is done."""
    done = subprocess.run([CONTROL, verb, what], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{verb} {what}: {done.stdout}{done.stderr}"


@contextmanager
def stopped(component: str) -> Iterator[None]:
    """Stop a component; start it again, whatever happens meanwhile."""
    control("stop", component)
    try:
        yield
    finally:
        control("start", component)


@contextmanager
def paused(component: str) -> Iterator[None]:
    """Let a component stand still, its connections open; let it go on, whatever happens."""
    control("pause", component)
    try:
        yield
    finally:
        control("resume", component)
