"""What the values of a result's columns mean, for tables and maps: verdicts and reason codes.

Data hold codes, which programs filter by. Pages show the sentence for each beside it, the same as
the report of a release has (``processes/reasons.yml``).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml

from ogcapi import negotiation, phrases

VERDICTS = ("confirmed", "rejected", "uncertain")


def reason(code: Any) -> str:
    """Return what a reason code means, in the language of the page; "" for an unknown one."""
    known = _sentences().get(code) if isinstance(code, str) else None
    return known[negotiation.language()] if known else ""


def meanings() -> dict[str, dict[str, str]]:
    """Return the texts of the page's language that stand for values, by column and value."""
    return {
        "verdict": {name: phrases.word(name) for name in VERDICTS},
        "reason_main": {code: f"{reason(code)} ({code})" for code in _sentences()},
    }


@functools.cache
def _sentences() -> Mapping[str, Mapping[str, str]]:
    text = (files("processes") / "reasons.yml").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = yaml.safe_load(text)
    return found
