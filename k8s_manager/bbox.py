"""Bounding boxes in requests: order of corners, axes, and the many ways to name a CRS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from k8s_manager.cwl_types import CwlType, Enum, Record, required


def bbox_problems(value: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield ``(JSON pointer, expected, got)`` for corners out of order or out of the world.

    Args:
        value: ``{bbox, crs}``; 4 or 6 numbers, lower corner first.
    """
    numbers = value["bbox"]
    half = len(numbers) // 2
    for axis in range(half):
        low, high = numbers[axis], numbers[axis + half]
        if low >= high:
            yield f"/bbox/{axis + half}", f"more than {low} (lower corner, then upper)", str(high)
    if crs_name(str(value.get("crs", "CRS84"))).startswith("OGC:CRS84"):
        for index, limit in ((0, 180), (1, 90), (half, 180), (half + 1, 90)):
            if abs(numbers[index]) > limit:
                expected = (
                    f"{'longitude' if limit == 180 else 'latitude'} between -{limit} and {limit}"
                )
                yield f"/bbox/{index}", expected + " (or name the crs)", str(numbers[index])


def bbox_value(type_: CwlType, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the CWL record, its CRS as authority and code (or as the record's own symbol)."""
    name = crs_name(str(value.get("crs", "CRS84")))
    field = type_.field("crs") if isinstance(type_, Record) else None
    if field is not None and isinstance(required(field.type), Enum):
        name = name.removeprefix("OGC:")
    return {"bbox": [float(number) for number in value["bbox"]], "crs": name}


def bbox_document(value: Any) -> dict[str, Any] | None:
    """Return a bounding box as OGC API - Processes writes it, its CRS as URI; None for no box.

    Args:
        value: A CWL value; a box is a record of ``bbox`` and, perhaps, ``crs``.
    """
    if not isinstance(value, Mapping) or "bbox" not in value or not set(value) <= {"bbox", "crs"}:
        return None
    name = crs_name(str(value.get("crs") or "CRS84"))
    authority, _, code = name.partition(":")
    versions = {"EPSG": "0", "OGC": "0" if code == "CRS84h" else "1.3"}
    crs = f"http://www.opengis.net/def/crs/{authority}/{versions[authority]}/{code}"
    return {"bbox": value["bbox"], "crs": crs}


def crs_name(given: str) -> str:
    """Return a CRS as authority and code: ``EPSG:25832``, ``OGC:CRS84``."""
    match = re.search(r"EPSG[/:](?:[0-9.]+/)?([0-9]+)$", given)
    if match:
        return f"EPSG:{match.group(1)}"
    return "OGC:CRS84h" if given.endswith("CRS84h") else "OGC:CRS84"
