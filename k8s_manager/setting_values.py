"""From text of the environment, or values of a file, to the types that settings declare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from k8s_manager.errors import ConfigError

_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def converted(variable: str, kind: str, given: Any) -> Any:
    """Return `given` as the type that a setting declares.

    Args:
        variable: Name of the environment variable, for the error.
        kind: The declared type as written, for example ``tuple[float, ...]``.
        given: Text of the environment (lists: ``a,b``; maps: ``name=value,name=value``), or a value
            of the configuration file.

    Raises:
        ConfigError: It is not of that type.
    """
    try:
        if kind.startswith("Mapping"):
            return _mapping(given)
        if kind.startswith("tuple[str"):
            return tuple(_parts(given))
        if kind.startswith("tuple[float"):
            return tuple(float(part) for part in _parts(given))
        if kind == "bool":
            return _TRUTH[str(given).lower()]
        for start, convert in (("int", int), ("float", float), ("Path", Path)):
            if kind.startswith(start):
                return convert(given)
        return str(given)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"setting {variable} is {given!r}; expected {_described(kind)}"
        ) from error


def _parts(given: Any) -> list[Any]:
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    return list(given)


def _mapping(given: Any) -> dict[str, str]:
    if isinstance(given, str):
        pairs = [part.split("=", 1) for part in _parts(given)]
        return {name.strip(): value.strip() for name, value in pairs}
    if not isinstance(given, Mapping):
        raise TypeError(type(given).__name__)
    return {str(name): str(value) for name, value in given.items()}


def _described(kind: str) -> str:
    return {
        "bool": "true or false",
        "Mapping[str, str]": "name=value,name=value (in the file: a map)",
        "tuple[str, ...]": "a list (in the environment: a,b,c)",
        "tuple[float, ...]": "a list of numbers (in the environment: 1,4,16)",
    }.get(kind, kind)
