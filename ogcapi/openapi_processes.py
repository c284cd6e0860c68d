"""Processes in the API definition: what each takes and gives, derived from its description.

A client that reads the definition alone can write an execute request: every input stands in it with
its schema, in each form in which it may be given (OGC 18-062r2, 7.11.2), and with an example.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8s_manager import description
from k8s_manager.cwl_model import Process

JSON = "application/json"
RESULTS = {
    "description": "The results of a synchronous execution: a document, or as they are",
    "content": {
        JSON: {"schema": {}},
        "multipart/related": {"schema": {"type": "string", "format": "binary"}},
        "*/*": {"schema": {}},
    },
    "headers": {
        "Preference-Applied": {
            "description": "The preference that was honoured (RFC 7240)",
            "schema": {"type": "string"},
        }
    },
}
LINKS = {
    "description": "The results, raw and by reference: a Link header for each",
    "headers": {"Link": {"schema": {"type": "string"}}},
}
_TRANSMISSION = {"type": "string", "enum": ["value", "reference"]}
_RESPONSE = {
    "type": "string",
    "enum": ["raw", "document"],
    "default": "document",
    "description": "raw: the values themselves, one as it is, several as multipart/related; "
    "document: one JSON object with a member for each output",
}


def execute_request(process: Process) -> dict[str, Any]:
    """Return the schema of a process's execute request."""
    described = description.describe(process)
    inputs, outputs = described["inputs"], described["outputs"]
    needed = [name for name, entry in inputs.items() if entry.get("minOccurs", 1)]
    members: dict[str, Any] = {
        "inputs": {
            "type": "object",
            "properties": {name: _input(entry) for name, entry in inputs.items()},
            "additionalProperties": False,
            **({"required": needed} if needed else {"nullable": True}),
        },
        "outputs": {
            "type": "object",
            "properties": {name: _output(entry) for name, entry in outputs.items()},
            "additionalProperties": False,
            "nullable": True,
            "description": "Outputs that are wanted; all where this is left out, empty or null",
        },
        "response": _RESPONSE,
        "subscriber": {"$ref": "#/components/schemas/subscriber"},
    }
    return {
        "type": "object",
        "properties": members,
        **({"required": ["inputs"]} if needed else {}),
    }


def _input(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ways to give an input: the value, the value with its media type, or a link."""
    schema = entry["schema"]
    if schema.get("type") == "array":
        portable = _portable(schema) | {"items": {"anyOf": _ways(schema["items"])}}
        ways = [portable, {"$ref": "#/components/schemas/qualifiedValue"}]
    else:
        ways = _ways(schema)
    ways.append({"$ref": "#/components/schemas/nestedProcess"})
    if not entry.get("minOccurs", 1):
        ways.append({"type": "object", "nullable": True, "enum": [None]})  # the same as nothing
    told = {name: entry[name] for name in ("title", "description") if name in entry}
    return {**told, "anyOf": ways}


def _ways(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    ways = [_portable(schema), {"$ref": "#/components/schemas/qualifiedValue"}]
    return [*ways, {"$ref": "#/components/schemas/link"}] if _media_types(schema) else ways


def _output(entry: Mapping[str, Any]) -> dict[str, Any]:
    format_: dict[str, Any] = {"type": "object", "properties": {"encoding": {"type": "string"}}}
    media_types = _media_types(entry["schema"])
    if media_types and "application/octet-stream" not in media_types:
        format_["properties"]["mediaType"] = {"type": "string", "enum": media_types}
    return {
        "type": "object",
        "title": entry.get("title", ""),
        "properties": {"transmissionMode": _TRANSMISSION, "format": format_},
    }


def _media_types(schema: Mapping[str, Any]) -> list[str]:
    parts = [schema, *(schema.get("oneOf") or []), *(schema.get("anyOf") or [])]
    found = [str(part["contentMediaType"]) for part in parts if "contentMediaType" in part]
    return list(dict.fromkeys(found))


def _portable(schema: Any) -> Any:
    """Return a schema with what OpenAPI 3.0 knows; the rest stands in the process description."""
    if isinstance(schema, list):
        return [_portable(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {name: _portable(part) for name, part in value.items()}
        elif key in ("default", "example", "enum"):
            kept[key] = value
        elif key == "contentMediaType":
            kept[f"x-{key}"] = value
        elif key == "contentEncoding":
            kept |= {"format": "byte"} if value == "base64" else {}
        elif key != "contentSchema":
            kept[key] = _portable(value)
    return kept
