"""Every reason has a sentence in both languages, and the documentation shows the same ones."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import yaml

from processes.assess.rules import UNCERTAIN_ORDER
from processes.assess.thresholds import Thresholds

ROOT = Path(__file__).parents[3]
REASONS = yaml.safe_load((ROOT / "processes" / "reasons.yml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")


def test_every_reason_has_a_sentence_in_english_and_german() -> None:
    assert set(REASONS) == set(UNCERTAIN_ORDER)
    for code, sentences in REASONS.items():
        assert set(sentences) == {"en", "de"}, code
        assert all(text.endswith(".") and len(text) > 20 for text in sentences.values()), code


def test_page_shows_every_reason_with_its_sentences() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", PAGE, re.MULTILINE))
    for code, sentences in REASONS.items():
        assert rows[code] == f"{sentences['en']} | {sentences['de']}"


def test_page_shows_every_threshold_with_its_default() -> None:
    for entry in fields(Thresholds):
        assert f"| `{entry.name}` | {entry.default:g} |" in PAGE
