"""What pages and the API definition need from ``metadata`` in the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from k8s_manager.errors import ConfigError

NEEDED = (
    ("metadata", "identification", "title"),
    ("metadata", "identification", "description"),
    ("metadata", "license", "name"),
    ("metadata", "license", "url"),
)


def check_metadata(config: Mapping[str, Any], path: Path) -> None:
    """Check before anything starts, so that not every page fails later.

    Raises:
        ConfigError: Something is missing; the sentence names all of it.
    """
    missing = [".".join(names) for names in NEEDED if not _has(config, names)]
    if missing:
        raise ConfigError(f"configuration {path} lacks {', '.join(missing)}")


def _has(value: Any, names: tuple[str, ...]) -> bool:
    for name in names:
        if not isinstance(value, Mapping) or not value.get(name):
            return False
        value = value[name]
    return True
