"""Which backend a configuration asks for."""

from __future__ import annotations

from k8s_manager.backends.base import Backend
from k8s_manager.backends.local import LocalBackend
from k8s_manager.errors import ConfigError
from k8s_manager.settings import Settings


def chosen_backend(settings: Settings) -> Backend:
    """Return the backend that ``CDI_BACKEND`` names.

    Raises:
        ConfigError: There is none of that name in this version.
    """
    if settings.backend == "local":
        return LocalBackend(settings)
    raise ConfigError(
        f"CDI_BACKEND is {settings.backend!r}, which this version does not have; use local"
    )
