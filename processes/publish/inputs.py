"""What a run was made from: which products, of what date, under which licence, by whom.

Taken from the STAC items, so that report, manifest and provenance say the same.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from processes.stage import InputDataError

SENTINEL2 = "sentinel-2-l2a"
COPERNICUS = "Contains modified Copernicus Sentinel data"


def read_items(path: Path) -> list[dict[str, Any]]:
    """Read the STAC items of a run.

    Raises:
        InputDataError: The file is no FeatureCollection of items.
    """
    document = read_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        raise InputDataError("items cannot be read", f"{path.name} is no STAC FeatureCollection")
    return list(document["features"])


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputDataError: The file is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputDataError("file not found", f"{path} does not exist") from error
    except (ValueError, OSError) as error:
        raise InputDataError(
            "file cannot be read", f"{path.name}: {error}; expected JSON"
        ) from error


def inputs_of(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Group items by product, source, licence and attribution; `date` is a day or an interval."""
    groups: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for item in items:
        properties = item.get("properties", {})
        key = (
            str(properties.get("cdi:product") or ""),
            str(properties.get("cdi:source") or ""),
            str(properties.get("cdi:licence") or ""),
            str(properties.get("cdi:attribution") or ""),
        )
        groups[key].append(_day(properties))
    return [
        {
            "product": product,
            "source": source,
            "licence": licence,
            "attribution": attribution,
            "date": _span(days),
            "count": len(days),
            "release": None,
        }
        for (product, source, licence, attribution), days in sorted(groups.items())
    ]


def attributions(inputs: list[dict[str, Any]]) -> list[str]:
    """List what must be said when the data are shown, each once.

    Copernicus asks for "Contains modified Copernicus Sentinel data [year]" (legal notice on the
    use of Copernicus Sentinel data).
    """
    texts: dict[str, None] = {}
    for entry in inputs:
        text = entry["attribution"]
        if entry["product"] == SENTINEL2 and not text:
            text = COPERNICUS
        if text.endswith(COPERNICUS):
            years = sorted({day[:4] for day in (entry["date"] or "").split("/") if day})
            text = f"{text} {'-'.join(years)}".strip()
        if text:
            texts[f"{text}, {entry['licence']}" if entry["licence"] not in text else text] = None
    return list(texts)


def is_test_bench(items: list[dict[str, Any]]) -> bool:
    """Tell whether any input was made up for a test bench."""
    return any(item.get("properties", {}).get("cdi:test_bench") is True for item in items)


def provenance(period: str, items: list[dict[str, Any]]) -> str:
    """Name period and inputs of a run in one short text, equal for equal inputs."""
    named = sorted(
        (str(item.get("id")), key, str(asset.get("file:checksum", "")))
        for item in items
        for key, asset in item.get("assets", {}).items()
    )
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:12]
    return f"{period} sources:{digest}"


def _day(properties: dict[str, Any]) -> str:
    acquisition = properties.get("cdi:acquisition") or {}
    text = acquisition.get("date") or properties.get("datetime") or properties.get("start_datetime")
    return str(text)[:10] if text else ""


def _span(days: list[str]) -> str | None:
    known = sorted(day for day in days if day)
    if not known:
        return None
    return known[0] if known[0] == known[-1] else f"{known[0]}/{known[-1]}"
