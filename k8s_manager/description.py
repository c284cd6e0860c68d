"""The OGC process description of a process, derived from its CWL: there is nothing to keep in step.

Schemas are those of OpenAPI 3.0, which OGC API - Processes 1.0 (18-062r2) prescribes for
descriptions: one type per schema, no ``const``, boolean ``exclusiveMinimum``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8s_manager.cwl_custom_types import custom_schema
from k8s_manager.cwl_model import Input, Output, Process
from k8s_manager.cwl_types import Array, CwlType, Enum, Optional, Primitive, Record, required

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CRS_PATTERN = (
    r"^(http://www\.opengis\.net/def/crs/(OGC/1\.3/CRS84|OGC/0/CRS84h|EPSG/[0-9.]+/[0-9]{4,6})"
    r"|EPSG:[0-9]{4,6}|OGC:CRS84h?|CRS84h?)$"
)
_PRIMITIVES = {
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "string": "string",
}


def summarise(process: Process) -> dict[str, Any]:
    """Return the summary of a process: its description without inputs, outputs and links."""
    summary: dict[str, Any] = {
        "id": process.id,
        "version": process.version,
        "title": process.title,
        "description": process.description,
        "jobControlOptions": job_control_options(process),
        "outputTransmission": ["value", "reference"],
    }
    if process.keywords:
        summary["keywords"] = list(process.keywords)
    return summary


def describe(process: Process) -> dict[str, Any]:
    """Return the description of a process, in English and without links."""
    return {
        **summarise(process),
        "inputs": {
            declared.id: _describe_input(declared)
            for declared in process.inputs.values()
            if not declared.internal
        },
        "outputs": {output.id: _describe_output(output) for output in process.outputs.values()},
    }


def job_control_options(process: Process) -> list[str]:
    """Return how the process may be executed, in the standard's words."""
    synchronous = ["sync-execute"] if allows_sync(process) else []
    return [*synchronous, "async-execute", "dismiss"]


def allows_sync(process: Process, limit_s: float = 60.0) -> bool:
    """Tell whether the process surely ends within the limit (seconds).

    A scattered step has no known number of runs, so it never does.
    """
    if any(step.scatter for step in process.steps.values()):
        return False
    limits = [part.tool.time_limit_s for part in process.tools().values() if part.tool is not None]
    return all(limits) and sum(limit or 0 for limit in limits) <= limit_s


def input_schema(declared: Input) -> dict[str, Any]:
    """Return the schema of an input's value as a client gives it."""
    schema = _merge(_type_schema(declared.type, declared.schema), declared.schema)
    if is_bbox(declared):
        schema = _bbox_schema(declared.schema)
    if declared.has_default and not _holds_files(declared.default):
        schema["default"] = declared.default
    return schema


def is_bbox(declared: Input | Output) -> bool:
    """Tell whether the input or output is a bounding box in the sense of OGC API - Processes."""
    type_ = required(declared.type)
    if not isinstance(type_, Record):
        return False
    return format_of(declared.schema) == "ogc-bbox" or type_.name == "ogc.yaml#BBox"


def format_of(schema: Mapping[str, Any]) -> str | None:
    """Return a schema's format, also where it stands in ``allOf`` as in the standard's examples."""
    for part in (schema, *(schema.get("allOf") or [])):
        if "format" in part:
            return str(part["format"])
    return None


def file_variants(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ways in which a file may be given: each with media type, and type of JSON value.

    Args:
        schema: What ``ogc:schema`` says about the file; it may offer several with ``oneOf``.
    """
    offered = schema.get("oneOf") or schema.get("anyOf") or [schema]
    variants = []
    for given in offered:
        variant = {key: value for key, value in given.items() if not key.startswith("x-")}
        media_type = variant.setdefault("contentMediaType", _media_type(variant))
        if "type" not in variant:
            variant["type"] = "object" if is_json(media_type) else "string"
        if variant["type"] == "string" and not media_type.startswith("text/"):
            variant.setdefault("contentEncoding", "base64")
        variants.append(variant)
    return variants


def is_json(media_type: str) -> bool:
    """Tell whether documents of the media type are JSON."""
    return media_type == "application/json" or media_type.endswith("+json")


def _describe_input(declared: Input) -> dict[str, Any]:
    optional = isinstance(declared.type, Optional) or declared.has_default
    return {
        **_titles(declared),
        "schema": input_schema(declared),
        "minOccurs": 0 if optional else 1,
        "maxOccurs": 1,
    }


def _describe_output(output: Output) -> dict[str, Any]:
    schema = _merge(_type_schema(output.type, output.schema), output.schema)
    if is_bbox(output):
        schema = _bbox_schema(output.schema)
    return {**_titles(output), "schema": schema}


def _titles(part: Input | Output) -> dict[str, Any]:
    found = {"title": part.label or part.id}
    if part.doc:
        found["description"] = part.doc
    return found


def _type_schema(type_: CwlType, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a type; `given` is what ``ogc:schema`` adds at this level."""
    match type_:
        case Optional(item):
            return _type_schema(item, given)
        case Array(items):
            inner = given.get("items") or {}
            return {"type": "array", "items": _merge(_type_schema(items, inner), inner)}
        case Enum(symbols):
            return {"type": "string", "enum": list(symbols)}
        case Record():
            return custom_schema(type_) or _record_schema(type_, given)
        case Primitive("File"):
            return _file_schema(given)
        case Primitive("Directory"):
            return {"type": "string", "format": "uri"}
        case Primitive(name):
            return {"type": _PRIMITIVES[name]}


def _file_schema(given: Mapping[str, Any]) -> dict[str, Any]:
    variants = file_variants(given)
    return variants[0] if len(variants) == 1 else {"oneOf": variants}


def _record_schema(type_: Record, given: Mapping[str, Any]) -> dict[str, Any]:
    members = given.get("properties") or {}
    properties = {}
    for field in type_.fields:
        more = members.get(field.name) or {}
        properties[field.name] = _merge(_type_schema(field.type, more), more)
        title = field.label or field.doc
        if title:
            properties[field.name].setdefault("title", title)
    needed = [field.name for field in type_.fields if not isinstance(field.type, Optional)]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if needed:
        schema["required"] = needed
    return {**schema, "additionalProperties": False}


def _bbox_schema(given: Mapping[str, Any]) -> dict[str, Any]:
    members = given.get("properties") or {}
    crs = {
        **{"type": "string", "default": CRS84, "pattern": CRS_PATTERN},
        "description": f"A coordinate reference system, such as EPSG:25832 or {CRS84}",
    }
    numbers = {
        "type": "array",
        "items": {"type": "number"},
        "oneOf": [{"minItems": 4, "maxItems": 4}, {"minItems": 6, "maxItems": 6}],
    }
    return {
        "allOf": [
            {"format": "ogc-bbox"},
            {
                "type": "object",
                "required": ["bbox"],
                "properties": {
                    "bbox": {**numbers, **(members.get("bbox") or {})},
                    "crs": {**crs, **(members.get("crs") or {})},
                },
                "additionalProperties": False,
            },
        ]
    }


def _merge(derived: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Add what ``ogc:schema`` says; ``items`` and ``properties`` were merged at their own level."""
    merged = dict(derived)
    for key, value in given.items():
        inside = key in ("items", "properties") and key in derived
        choice = key in ("oneOf", "anyOf") and (key in derived or "oneOf" in derived)
        if not key.startswith("x-") and not inside and not choice:
            merged[key] = value
    return merged


def _media_type(variant: Mapping[str, Any]) -> str:
    if (format_of(variant) or "").startswith("geojson-"):
        return "application/geo+json"
    return "application/json" if variant.get("type") == "object" else "application/octet-stream"


def _holds_files(value: Any) -> bool:
    if isinstance(value, list):
        return any(_holds_files(item) for item in value)
    if isinstance(value, Mapping):
        return value.get("class") in ("File", "Directory") or any(map(_holds_files, value.values()))
    return False
