"""Settings of the Kubernetes backend; they stand under ``server.manager.kubernetes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from k8s_manager.errors import ConfigError
from k8s_manager.setting_values import section_values


@dataclass(frozen=True)
class KubernetesSettings:
    """Where and how steps become Jobs; build it with `load`."""

    namespace: str = ""
    """Namespace of the steps' Jobs. Default the one of the kubeconfig's context or of the pod that
    the controller runs in."""
    installation: str = "cdi"
    """Label that tells the Jobs of this installation from others of the same namespace. Two
    installations with one name and namespace would delete each other's Jobs."""
    claim: str = "cdi-workspace"
    """Volume claim that holds the workspace; the controller must see the same files as
    CDI_WORKSPACE. Read-write-many unless all pods run on one node."""
    claim_path: str = ""
    """Folder within the claim that is the workspace. Default the claim itself."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Images to run instead of those that process files name, for example
    ``cdi/stage:0.1.0=registry.example/cdi/stage@sha256:...``. A process file names what it needs,
    an installation where that lies and which build it trusts."""
    allowed_registries: tuple[str, ...] = ()
    """Beginnings of image names that may run, for example ``registry.example/cdi/``. Empty: any."""
    require_digest: bool = False
    """Refuse images that are not named by digest. Off, since process files name tags; production
    sets it together with `images`."""
    pull_secrets: tuple[str, ...] = ()
    """Names of secrets for pulling images, in the stages' namespace."""
    runtime_class: str = ""
    """RuntimeClass of all steps, for example ``gvisor``. Default the cluster's own."""
    runtime_classes: Mapping[str, str] = field(default_factory=dict)
    """RuntimeClass by process id, where it differs from `runtime_class`; an empty value is the
    cluster's own."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels of the nodes that run steps."""
    priority_class: str = ""
    """PriorityClass of the steps' pods; one below services lets the service push steps away."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """More labels for Jobs and pods, for cost accounting for example."""
    source_claims: Mapping[str, str] = field(default_factory=dict)
    """Folders of sources that are read in place, and the claims that hold them, for example
    ``/data/nrw=nrw-tiles``; mounted read-only at the same path."""
    run_as_user: int = 10001
    """User and group id of the steps. Files of the workspace belong to it."""
    gpu_resource: str = ""
    """Resource name of a GPU, for example ``nvidia.com/gpu``. Default none: steps with the hint
    ``cdi:GPU`` then run without."""
    max_pods: int = 50
    """Pods of steps at once. More wait in the queue, taking turns between owners."""
    tmp_limit_mb: int = 1024
    """Size limit of a pod's /tmp in MiB; large files belong into the working folder."""
    runner_ram_mb: int = 48
    """MiB that a pod gets beyond the step's own memory, for the step runner (12 MiB) and for what
    the kernel counts besides. So it is the runner that notices a step's lack of memory and can say
    so, and not the kernel, which takes the runner with it."""
    temporary_repeats: int = 3
    """How often Kubernetes itself repeats, within a round, an index that asks to be tried again
    (exit code 75) or whose pod was taken from its node."""
    pull_wait_s: float = 300.0
    """Seconds that an image may fail to be pulled before the job fails: a registry may be away."""
    starting_wait_s: float = 600.0
    """Seconds that a pod on its node may fail to start (volume, configuration) before the job
    fails."""
    unschedulable_wait_s: float = 0.0
    """Seconds to wait for a node with room; 0 for ever, since capacity comes back."""
    node_lost_s: float = 60.0
    """Seconds after which a pod that should have gone from a node that does not answer counts as
    lost, and is tried elsewhere. It may still run: of two attempts one counts."""
    longest_wait_s: float = 604_800.0
    """Seconds of waiting that a Job survives before Kubernetes itself ends it: the last backstop, a
    week."""

    @classmethod
    def load(cls, given: Any, env: Mapping[str, str]) -> KubernetesSettings:
        """Read the section of the file and the environment (``CDI_KUBERNETES_<NAME>``).

        Raises:
            ConfigError: A value is not what is expected, or a name is not known.
        """
        settings = cls(**section_values(cls, "kubernetes", given, env))
        if settings.max_pods < 1 or settings.temporary_repeats < 0:
            raise ConfigError(
                f"CDI_KUBERNETES_MAX_PODS is {settings.max_pods} and "
                f"CDI_KUBERNETES_TEMPORARY_REPEATS {settings.temporary_repeats}; "
                "expected at least 1 and 0"
            )
        return settings
