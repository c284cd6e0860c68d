"""Which backend a configuration asks for."""

from __future__ import annotations

from k8s_manager.backends.base import Backend
from k8s_manager.backends.local import LocalBackend
from k8s_manager.settings import Settings


def chosen_backend(settings: Settings) -> Backend:
    """Return the backend that ``CDI_BACKEND`` names.

    Raises:
        ConfigError: The cluster cannot be reached as configured.
    """
    if settings.backend == "local":
        return LocalBackend(settings)
    from k8s_manager.backends.kubernetes import KubernetesBackend  # 50 MB of client, where wanted

    return KubernetesBackend(settings)
