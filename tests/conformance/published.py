"""The published schemas of OGC API - Processes 1.0, and what has to be mended in them.

The files below tests/data/ogc-schemas are as published. Each correction here has its reason;
nothing else is changed, so that an answer is held to what validators hold it to.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from jsonschema import Draft4Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

FOLDER = Path(__file__).parents[1] / "data" / "ogc-schemas" / "processes-1"
_FORMATS = FormatChecker()


@_FORMATS.checks("date-time", raises=ValueError)
def _date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("uri", raises=ValueError)
def _uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


def problems(name: str, document: Any) -> list[str]:
    """Return in which places a document breaks the published schema of that name."""
    validator = Draft4Validator(
        {"$ref": f"urn:ogc:{name}.yaml"}, registry=_registry(), format_checker=_FORMATS
    )
    found = sorted(validator.iter_errors(document), key=lambda error: list(error.absolute_path))
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


def check(name: str, document: Any) -> None:
    """Fail where a document breaks the published schema of that name."""
    found = problems(name, document)
    assert not found, f"{name}: " + "; ".join(found)


def _subscriber(schema: dict[str, Any]) -> None:
    """It requires ``successUrl``, which it does not define; the standard's text says successUri."""
    schema["required"] = ["successUri"]


def _bbox(schema: dict[str, Any]) -> None:
    """It lists CRS84 and CRS84h only; the text lets a process offer further systems."""
    del schema["properties"]["crs"]["enum"]
    del schema["properties"]["crs"]["format"]


def _value_without_object(schema: dict[str, Any]) -> None:
    """An integer is a number, a string may be base64: exactly one of these can never hold."""
    schema["anyOf"] = schema.pop("oneOf")


def _execute(schema: dict[str, Any]) -> None:
    """An array matches both branches of ``oneOf``; ``response`` is in the text, not in the file."""
    inputs = schema["properties"]["inputs"]["additionalProperties"]
    inputs["anyOf"] = inputs.pop("oneOf")
    schema["properties"]["response"] = {"type": "string", "enum": ["raw", "document"]}


_CORRECTIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "subscriber.yaml": _subscriber,
    "bbox.yaml": _bbox,
    "inputValueNoObject.yaml": _value_without_object,
    "execute.yaml": _execute,
}


@functools.cache
def _registry() -> Registry[Any]:
    resources = []
    for path in sorted(FOLDER.glob("*.yaml")):
        schema = _absolute(yaml.safe_load(path.read_text(encoding="utf-8")))
        if path.name in _CORRECTIONS:
            _CORRECTIONS[path.name](schema)
        resources.append((f"urn:ogc:{path.name}", Resource.from_contents(schema, DRAFT4)))
    registry: Registry[Any] = Registry()
    return registry.with_resources(resources)


def _absolute(schema: Any) -> Any:
    """Write ``$ref: "link.yaml"`` as an address of the registry."""
    if isinstance(schema, list):
        return [_absolute(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: f"urn:ogc:{value}" if key == "$ref" and isinstance(value, str) else _absolute(value)
        for key, value in schema.items()
    }
