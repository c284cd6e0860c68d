"""Settings of the datasets that releases are published to (``server.manager.datasets``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from k8s_manager.errors import ConfigError

Rectangle = tuple[float, float, float, float]

_LANGUAGES = ("en", "de")


@dataclass(frozen=True)
class Dataset:
    """A published dataset: the area it covers and the processes that may write to it."""

    name: str
    area: Rectangle | None
    """Declared extent ``[left, bottom, right, top]`` in `crs`, x east and y north; left out where
    it is not limited. A run beyond it is refused."""
    crs: str
    """CRS of its collections, for example ``EPSG:25832``. A run in another one is refused."""
    writers: tuple[str, ...]
    """Ids of the processes whose releases may become current."""
    title: Mapping[str, str] = field(default_factory=dict)
    """Title: a text, or one for each language (``en``, ``de``)."""
    note: Mapping[str, str] = field(default_factory=dict)
    """What a reader must know about it, written likewise: shown with its collections and on
    pages."""


def read_datasets(given: Mapping[str, Any]) -> dict[str, Dataset]:
    """Read the datasets of a configuration, by name.

    Raises:
        ConfigError: A name or an entry is not what is expected.
    """
    return {name: _read(name, entry) for name, entry in given.items()}


def _read(name: Any, entry: Any) -> Dataset:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name):
        raise ConfigError(f"dataset name {name!r}: expected lower case letters, digits and hyphens")
    if not isinstance(entry, Mapping) or "crs" not in entry or not entry.get("writers"):
        raise ConfigError(f"dataset {name}: expected crs, writers and optionally area, title, note")
    unknown = sorted(set(map(str, entry)) - {"area", "crs", "writers", "title", "note"})
    if unknown:
        raise ConfigError(
            f"dataset {name}: {', '.join(unknown)} not understood; "
            "expected crs, writers and optionally area, title, note"
        )
    crs = re.fullmatch(r"EPSG:[0-9]{4,6}", str(entry["crs"]))
    if crs is None:
        raise ConfigError(
            f"dataset {name}: crs is {entry['crs']!r}; expected authority and code, as EPSG:25832"
        )
    return Dataset(
        name=name,
        area=_area(name, entry.get("area")),
        crs=crs.group(),
        writers=_writers(name, entry["writers"]),
        title=_text(f"dataset {name}: title", entry.get("title")),
        note=_text(f"dataset {name}: note", entry.get("note")),
    )


def _area(name: str, given: Any) -> Rectangle | None:
    if given is None:
        return None
    try:
        left, bottom, right, top = (float(number) for number in given)
    except (TypeError, ValueError):
        left, bottom, right, top = (float("nan"),) * 4
    if not (left < right and bottom < top):
        raise ConfigError(
            f"dataset {name}: area is {given!r}; expected four numbers [left, bottom, right, top]"
        )
    return left, bottom, right, top


def _writers(name: str, given: Any) -> tuple[str, ...]:
    writers = [given] if isinstance(given, str) else given
    if not isinstance(writers, list) or not all(isinstance(item, str) for item in writers):
        raise ConfigError(f"dataset {name}: writers is {given!r}; expected ids of processes")
    return tuple(writers)


def _text(what: str, given: Any) -> dict[str, str]:
    """Return a text by language; one that names no language holds for all."""
    if given is None:
        return {}
    if isinstance(given, str):
        return dict.fromkeys(_LANGUAGES, given)
    if isinstance(given, Mapping) and all(
        key in _LANGUAGES and isinstance(text, str) for key, text in given.items()
    ):
        return dict(given)
    raise ConfigError(
        f"{what} is {given!r}; expected a text, or one for each language: {{en: ..., de: ...}}"
    )
