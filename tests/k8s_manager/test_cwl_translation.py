"""Translations beside a process's file: read text by text, no part of it, mistakes refused."""

from pathlib import Path

import pytest

from k8s_manager.cwl import Process, load_process
from k8s_manager.cwl_model import Texts, Translation
from k8s_manager.description import describe
from k8s_manager.errors import ProcessFileError

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
id: count
label: Count trees
doc: Counts.
baseCommand: count
inputs:
  height: {type: double, label: Height, doc: "Lowest. Unit: m."}
  season: {type: {type: array, items: {type: enum, symbols: [spring, autumn]}}, label: Season}
outputs:
  trees: {type: File, label: Trees, outputBinding: {glob: trees.gpkg}}
"""
GERMAN = """
title: Bäume zählen
inputs:
  height: {title: Höhe}
  season: {symbols: {spring: Frühling}}
outputs:
  trees: {description: Gezählte Bäume.}
"""


def load(folder: Path, german: str | None) -> Process:
    (folder / "count.cwl").write_text(TOOL, encoding="utf-8")
    if german is not None:
        (folder / "count.de.yml").write_text(german, encoding="utf-8")
    return load_process(folder / "count.cwl")


def test_what_is_translated_is_known_text_by_text(tmp_path: Path) -> None:
    said = load(tmp_path, GERMAN).translation("de")
    assert said.texts == Texts("Bäume zählen")
    assert said.of_input("height") == Texts("Höhe")
    assert said.of_input("season") == Texts(symbols={"spring": "Frühling"})
    assert said.of_output("trees") == Texts(description="Gezählte Bäume.")


def test_without_a_file_nothing_is_translated(tmp_path: Path) -> None:
    process = load(tmp_path, None)
    assert process.translation("de") == process.translation("fr") == Translation()
    assert load(tmp_path, GERMAN).translation("en") == Translation()


def test_a_translation_is_no_part_of_what_a_process_is(tmp_path: Path) -> None:
    plain = load(tmp_path, None)
    german = load(tmp_path, GERMAN)
    other = load(tmp_path, GERMAN.replace("Höhe", "Mindesthöhe"))
    assert plain == german == other == Process.from_json(german.to_json())
    assert plain.digest == german.digest == other.digest
    assert plain.to_json() == german.to_json()
    assert describe(plain) == describe(german)
    # pages, which show it, have to see that it has changed
    assert len({found.translation("de").digest for found in (plain, german, other)}) == 3


@pytest.mark.parametrize(
    ("german", "complaint"),
    [
        ("titel: x", "titel: is not supported here; known are description, inputs, outputs, title"),
        ("inputs: {hight: {}}", "inputs.hight: is not supported here; known are height, season"),
        ("outputs: {tree: {title: x}}", "outputs.tree: is not supported here; known are trees"),
        ("inputs: {height: {name: x}}", "inputs.height.name: is not supported here"),
        ("inputs: {height: {symbols: {a: b}}}", "inputs.height.symbols: is not supported here"),
        ("inputs: {season: {symbols: {may: x}}}", "symbols.may: is not supported here; known are"),
        ("inputs: {season: {symbols: [a]}}", "inputs.season.symbols: expected a mapping, got list"),
        ("inputs: [height]", "inputs: expected a mapping, got list"),
        ("inputs: {height: Höhe}", "inputs.height: expected a mapping, got str"),
        ("title: 1", "title: expected text, got 1; put it in quotes"),
        ("inputs: {height: {title: }}", "inputs.height.title: expected text, got None"),
        ("title: ' '", "title: is empty; leave it out to show the English text"),
        ("- title", "is no translation; expected a mapping with title, description, inputs"),
        ("title: a: b", "is not valid YAML"),
        ("title: a\ntitle: b", "key 'title' occurs twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(tmp_path: Path, german: str, complaint: str) -> None:
    with pytest.raises(ProcessFileError) as refused:
        load(tmp_path, german)
    assert str(refused.value).startswith(str(tmp_path / "count.de.yml"))
    assert complaint in str(refused.value)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "count.de.yml").mkdir()
    with pytest.raises(ProcessFileError, match=r"count\.de\.yml: cannot be read"):
        load(tmp_path, None)
