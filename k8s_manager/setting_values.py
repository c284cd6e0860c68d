"""From text of the environment, or values of a file, to the types that settings declare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from k8s_manager.errors import ConfigError

_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def section_values(
    settings: type[Any], name: str, given: Any, env: Mapping[str, str]
) -> dict[str, Any]:
    """Return what file and environment say of one section, by the fields of its dataclass.

    Args:
        settings: The dataclass; its fields are the settings that there are.
        name: Of the section below ``server.manager``; variables are named ``CDI_<NAME>_<FIELD>``.
        given: The section as the file has it; None where it has none.
        env: The environment; it beats the file.

    Raises:
        ConfigError: A value is not what is expected, or a name is not known.
    """
    section = given or {}
    if not isinstance(section, Mapping):
        raise ConfigError(f"server.manager.{name} must map names to values")
    known = {item.name for item in fields(settings)}
    if unknown := sorted(set(section) - known):
        raise ConfigError(
            f"server.manager.{name}: {', '.join(unknown)} is no setting; "
            f"there are {', '.join(sorted(known))}"
        )
    values = {}
    for item in fields(settings):
        variable = f"CDI_{name.upper()}_{item.name.upper()}"
        value = env.get(variable) or section.get(item.name)
        if value is not None and value != "":
            values[item.name] = converted(variable, str(item.type), value)
    return values


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
