"""What the columns of a result are called and their codes mean, for tables and maps.

Data hold names and codes, which programs filter by. Pages show words for them
(``processes/columns.yml``) and the sentence for each code beside it, the same as the report of a
release has (``processes/reasons.yml``).
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
    known = _texts("reasons.yml").get(code) if isinstance(code, str) else None
    return known[negotiation.language()] if known else ""


def column(name: str) -> str:
    """Return what a column is called in the language of the page; an unknown one keeps its name."""
    known = _texts("columns.yml").get(name)
    return known[negotiation.language()] if known else name


def meanings() -> dict[str, dict[str, Any]]:
    """Return the texts of the page's language: names of columns, and of values by column."""
    codes = _texts("reasons.yml")
    values = {
        "verdict": {name: phrases.word(name) for name in VERDICTS},
        "reason_main": {code: f"{reason(code)} ({code})" for code in codes},
    }
    return {"columns": {name: column(name) for name in _texts("columns.yml")}, "values": values}


@functools.cache
def _texts(file: str) -> Mapping[str, Mapping[str, str]]:
    text = (files("processes") / file).read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = yaml.safe_load(text)
    return found
