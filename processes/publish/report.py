"""The report for people: one HTML file in German and English that loads nothing from elsewhere.

Everything that comes out of data is escaped by the template engine; no text is marked as safe.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from processes.publish.overview import Overview

REASONS = Path(__file__).resolve().parent.parent / "reasons.yml"
TEMPLATES = Path(__file__).resolve().parent / "templates"
MAX_LISTED = 300  # objects; the GeoPackage has all
VERDICT_NAMES = {
    "confirmed": {"de": "bestätigt", "en": "confirmed"},
    "rejected": {"de": "verworfen", "en": "rejected"},
    "uncertain": {"de": "unsicher", "en": "uncertain"},
}
REJECTED_NAMES = {
    "lost": {"de": "verloren", "en": "lost"},
    "never-an-orchard": {"de": "nie eine Streuobstwiese", "en": "never an orchard"},
    "not-detectable": {"de": "nicht erkennbar", "en": "not detectable"},
    "geometry-wrong": {"de": "Geometrie falsch", "en": "geometry wrong"},
}
COLOURS = {"confirmed": "#2b7a3d", "rejected": "#b3261e", "uncertain": "#c77700"}
PRODUCT_NAMES = {
    "ndom": {"de": "Normalisiertes Oberflächenmodell", "en": "normalised surface model"},
    "dop": {"de": "Orthophoto", "en": "orthophoto"},
    "sentinel-2-l2a": {"de": "Sentinel-2 L2A", "en": "Sentinel-2 L2A"},
    "districts": {"de": "Verwaltungsgrenzen", "en": "districts"},
}


@functools.cache
def read_reasons(path: Path = REASONS) -> dict[str, dict[str, str]]:
    """Read the sentence of each reason code in German and English."""
    document: dict[str, dict[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def render(
    summary: Mapping[str, Any],
    manifest: Mapping[str, Any],
    objects: Any,
    overview: Overview,
    attributions: list[str],
    reasons: Mapping[str, Mapping[str, str]],
) -> str:
    """Return the report as HTML.

    Args:
        summary: The numbers of the release.
        manifest: Its manifest (inputs, checks, what was carried over).
        objects: Its objects, for the list of the first `MAX_LISTED`.
        overview: The drawn map.
        attributions: What must be said about the inputs.
        reasons: Sentences by reason code; a code without one stands for itself.
    """
    return (
        _environment()
        .get_template("report.html")
        .render(
            summary=summary,
            manifest=manifest,
            listed=_listed(objects),
            overview=overview,
            attributions=attributions,
            reasons=reasons,
            verdicts=VERDICT_NAMES,
            rejected=REJECTED_NAMES,
            products=PRODUCT_NAMES,
            colours=COLOURS,
        )
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["percent"] = _percent
    return environment


def _listed(objects: Any) -> list[dict[str, Any]]:
    names = ("object_id", "name", "municipality", "verdict", "rejected_as", "confidence", "trees")
    rows = []
    for record in objects.head(MAX_LISTED).to_dict("records"):
        row = {name: _known(record.get(name)) for name in names}
        row["hectares"] = float(_known(record["area_m2"]) or 0) / 10_000
        row["reasons"] = _codes(record["reasons"])
        rows.append(row)
    return rows


def _known(value: Any) -> Any:
    return None if pd.isna(value) else value


def _codes(text: Any) -> list[str]:
    try:
        codes = json.loads(text)
    except (TypeError, ValueError):
        return [str(text)] if text else []
    return [str(code) for code in codes] if isinstance(codes, list) else [str(codes)]


def _number(value: Any, digits: int = 0) -> str:
    """Format a number with a decimal point and thin spaces between thousands; a dash for none."""
    if value is None or value != value:
        return "–"
    return f"{value:,.{digits}f}".replace(",", "\u202f")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}\u202f%"
