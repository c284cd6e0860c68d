"""The pages' texts: all translated, with the same gaps, and the manager's sentences recognised."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from k8s_manager import geojson, queue
from k8s_manager.bbox import bbox_problems
from k8s_manager.errors import Violation
from k8s_manager.progress import StepProgress, message
from k8s_manager.schema_check import violations
from ogcapi import phrases
from ogcapi.translation import catalogue

ROOT = Path(__file__).parents[2]
LOCALE = ROOT / "ogcapi" / "locale"
TEMPLATES = ROOT / "ogcapi" / "templates"
SPOKEN = ("aria-label", "alt", "title", "placeholder")
NAMES = {"curl", "Python", "JSON", "Python (httpx", "request.json", "OpenAPI", "UTM 32N"}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Every text that templates and code mark, collected as `make messages` does."""
    target = tmp_path_factory.mktemp("texts") / "messages.pot"
    options = ["-F", str(LOCALE / "babel.cfg"), "-k", "N_", "-o", str(target), "ogcapi"]
    command = [sys.executable, "-m", "babel.messages.frontend", "--quiet", "extract", *options]
    subprocess.run(command, cwd=ROOT, check=True)
    with target.open("rb") as stream:
        return read_po(stream)


@pytest.fixture(scope="module")
def german() -> Catalog:
    with (LOCALE / "de" / "LC_MESSAGES" / "messages.po").open("rb") as stream:
        return read_po(stream, locale="de")


def test_every_text_has_a_translation(collected: Catalog, german: Catalog) -> None:
    texts = {entry.id for entry in collected if entry.id}
    assert len(texts) > 200
    translated = {entry.id for entry in german if entry.id and entry.string and not entry.fuzzy}
    assert texts - translated == set(), "run `make messages` and translate these"
    assert translated - texts == set(), "run `make messages`: these are used no more"


def test_translations_have_the_gaps_of_their_texts(german: Catalog) -> None:
    for entry in german:
        plural = isinstance(entry.id, tuple)
        ids, strings = (entry.id, entry.string) if plural else ((entry.id,), (entry.string,))
        for pair in zip(ids, strings, strict=True):
            gaps = [sorted(re.findall(r"%\(\w+\)s|\{\d\}|<[^>]+>", text)) for text in pair]
            assert not entry.id or gaps[0] == gaps[1], entry.id


class Visible(HTMLParser):
    """What a reader sees or hears of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._silent = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent = tag if tag in ("script", "style") else ""
        self.texts += [text or "" for name, text in attrs if name in SPOKEN]

    def handle_endtag(self, tag: str) -> None:
        self._silent = ""

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_holds_words_that_are_not_marked(template: Path) -> None:
    source = template.read_text("utf-8")
    for left_out in (
        r"{% trans\b.*?{% endtrans %}",
        r"{% block main_attributes %}.*?{% endblock %}",  # inside of a tag
        r"{% macro attributes.*?{% endmacro %}",
    ):
        source = re.sub(left_out, "", source, flags=re.S)
    reader = Visible()
    reader.feed(re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", source, flags=re.S))
    found = {text.strip(" ·…,:()\n") for text in reader.texts}
    assert {text for text in found if re.search("[A-Za-z]{2}", text)} <= NAMES


def sentences() -> set[str]:
    """What the manager really says about requests and jobs that are not as they should be."""
    schema = {
        "type": "object",
        "required": ["there"],
        "properties": {
            "low": {"type": "number", "minimum": 2},
            "high": {"type": "number", "maximum": 2},
            "whole": {"type": "integer"},
            "words": {"type": "string", "minLength": 3, "maxLength": 4, "pattern": "^a"},
            "few": {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": True},
            "season": {"enum": ["spring", "autumn"]},
            "yes": {"type": "boolean"},
        },
    }
    bad = {
        "low": 1,
        "high": 3,
        "whole": "x",
        "words": "bb",
        "few": [1, 1, 1],
        "season": 1,
        "yes": 2,
    }
    found = [*violations(schema, bad), *violations(schema, bad | {"words": "b" * 70, "few": []})]
    for ring in ([[0, 0]], [[0, 0], [0, 1], [1, 1], [1, 0]]):
        polygon = {"type": "Polygon", "coordinates": [ring]}
        found += geojson.problems(polygon, "geojson-geometry")
    found += geojson.problems({}, "geojson-feature-collection")
    found += bbox_problems({"bbox": [8, 95, 7, 52]})
    said = {text for _, expected, got in found for text in (expected, got)}
    step = StepProgress("detect", "running", 7, 3, (None,), "batches")
    said |= {queue.Place(3, 12).message, queue.Place(1, 1).message, message({"detect": step}, None)}
    return {text for text in said if not text.isdecimal()}


@pytest.mark.parametrize("sentence", sorted(sentences()))
def test_sentences_of_the_manager_are_known(sentence: str) -> None:
    german = phrases.translated(sentence, "de")
    assert german is not None
    assert german != sentence
    assert phrases.translated(sentence, "en") == sentence


def test_what_is_not_known_is_left_as_it_is() -> None:
    assert phrases.translated("the cow jumped over the moon", "de") is None
    assert phrases.translated("a number or the moon", "de") is None
    assert phrases.translated("a number or an array", "de") == "eine Zahl oder eine Liste"
    assert catalogue("fr").gettext("Jobs") == "Jobs"


def test_a_violation_reads_well_in_german() -> None:
    (violation,) = (Violation("n", *entry) for entry in violations({"minimum": 2}, 1))
    assert phrases.translated(violation.expected, "de") == "eine Zahl von mindestens 2"
    assert phrases.translated("detect: 3 of 7 batches", "de") == "detect: 3 von 7 Stapeln"
