"""Schemas of the documents about the site, its processes and jobs, as the standard publishes them.

Source: schemas.opengis.net/ogcapi/processes/part1/1.0. Tests hold answers to the published files
and to these; they stand here so that the API definition refers to nothing outside itself.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_LINKS = {"type": "array", "items": {"$ref": "#/components/schemas/link"}}


def schemas() -> dict[str, Any]:
    """Return the schemas by the names that paths refer to."""
    return {
        "link": {
            "type": "object",
            "required": ["href"],
            "properties": dict.fromkeys(("href", "rel", "type", "hreflang", "title"), _TEXT),
        },
        "landingPage": {
            "type": "object",
            "required": ["links"],
            "properties": {"title": _TEXT, "description": _TEXT, "links": _LINKS},
        },
        "confClasses": {
            "type": "object",
            "required": ["conformsTo"],
            "properties": {"conformsTo": {"type": "array", "items": _TEXT}},
        },
        "processList": _listing("processes", "processSummary"),
        "jobList": _listing("jobs", "statusInfo"),
        "processSummary": _summary(),
        "process": _process(),
        "nestedProcess": {
            "type": "object",
            "description": "The output of another process of this server (Part 3)",
            "required": ["process"],
            "properties": {
                "process": {**_TEXT, "pattern": "[^/]$", "description": "Its id or address"},
                "inputs": {"type": "object"},
                "outputs": {"type": "object", "description": "The one output that is meant"},
            },
            "additionalProperties": False,
        },
        "qualifiedValue": {
            "type": "object",
            "required": ["value"],
            "properties": {
                "value": {},
                "mediaType": _TEXT,
                "encoding": {"type": "string", "enum": ["base64", "utf-8"]},
                "schema": {"anyOf": [_TEXT, {"type": "object"}]},
            },
            "additionalProperties": False,
        },
    }


def _listing(name: str, item: str) -> dict[str, Any]:
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{item}"}}
    return {
        "type": "object",
        "required": [name, "links"],
        "properties": {name: items, "links": _LINKS},
    }


def _summary() -> dict[str, Any]:
    options = {"type": "string", "enum": ["sync-execute", "async-execute", "dismiss"]}
    transmission = {"type": "string", "enum": ["value", "reference"]}
    return {
        "type": "object",
        "required": ["id", "version", "jobControlOptions", "outputTransmission", "links"],
        "properties": {
            **dict.fromkeys(("id", "version", "title", "description"), _TEXT),
            "keywords": {"type": "array", "items": _TEXT},
            "jobControlOptions": {"type": "array", "items": options},
            "outputTransmission": {"type": "array", "items": transmission},
            "links": _LINKS,
        },
    }


def _process() -> dict[str, Any]:
    told = {"title": _TEXT, "description": _TEXT, "schema": {"type": "object"}}
    count = {"type": "integer", "minimum": 0}
    parts = {
        "inputs": {**told, "minOccurs": count, "maxOccurs": count},
        "outputs": told,
    }
    described = {
        name: {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["title", "schema"],
                "properties": members,
            },
        }
        for name, members in parts.items()
    }
    return {
        "allOf": [
            {"$ref": "#/components/schemas/processSummary"},
            {"type": "object", "required": ["inputs", "outputs"], "properties": described},
        ]
    }
