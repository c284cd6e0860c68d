"""Processes on German pages: every shipped one in German throughout, others as far as they go."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from flask import Flask

import processes
from k8s_manager.cwl import Process, load_process
from k8s_manager.cwl_model import Input, Output, Texts
from k8s_manager.description import input_schema
from ogcapi.form_fields import UNIT, fields_of
from tests.ogcapi.test_processes import execute
from tests.serving import Server

DATA = Path(__file__).parents[1] / "data" / "processes"
SHIPPED = [
    load_process(path) for path in sorted(Path(processes.__file__).parent.glob("*/process.cwl"))
]
GERMAN = {"Accept": "text/html", "Accept-Language": "de"}
ENGLISH = '<span lang="en">'  # marks what has no translation
shipped = pytest.mark.parametrize("process", SHIPPED, ids=lambda process: process.id)


def parts(process: Process) -> list[tuple[Input | Output, Texts]]:
    """What pages show of a process, with its German texts."""
    said = process.translation("de")
    shown = [part for part in process.inputs.values() if not part.internal]
    return [
        *((part, said.of_input(part.id)) for part in shown),
        *((part, said.of_output(part.id)) for part in process.outputs.values()),
    ]


def text_of(page: str) -> str:
    """What a reader sees of a page."""
    without = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", "", page, flags=re.S)
    return " ".join(html.unescape(without).split())


def plain(text: str | None) -> str:
    """A text as pages show it: in one line, the unit apart."""
    return " ".join(UNIT.sub("", text or "").split())


@shipped
def test_every_text_of_a_shipped_process_has_a_translation(process: Process) -> None:
    own = process.translation("de").texts
    assert own.title
    assert own.description
    for part, said in parts(process):
        assert said.title, part.id
        assert bool(said.description) == bool(part.doc), part.id
        assert bool(UNIT.search(part.doc or "")) == bool(UNIT.search(said.description or "")), (
            part.id
        )
        if isinstance(part, Input):
            schema = input_schema(part)
            assert set(said.symbols) == set(schema.get("enum", [])), part.id


@shipped
def test_the_page_of_a_shipped_process_is_german(server: Server, process: Process) -> None:
    page = server.get(f"/processes/{process.id}", headers=GERMAN).text
    seen, own = text_of(page), process.translation("de").texts
    assert ENGLISH not in page
    assert f"<h1>{own.title}</h1>" in page
    assert plain(own.description) in seen
    for part, said in parts(process):
        assert f"{said.title} " in seen, part.id
        assert plain(said.description) in seen, part.id
        unit = UNIT.search(said.description or "")
        assert unit is None or f"Einheit: {unit['unit']}." in seen, part.id


def test_lists_of_processes_are_german(server: Server) -> None:
    listed, landing = (server.get(path, headers=GERMAN).text for path in ("/processes", "/"))
    for process in SHIPPED:
        own = process.translation("de").texts
        assert f">{own.title}</a>" in listed
        assert f">{own.title}</a>" in landing
        assert plain(own.description)[:100] in text_of(listed)
    assert f">{ENGLISH}Greet somebody</span></a>" in listed


def test_the_page_of_a_job_names_its_process_and_outputs_in_german(server: Server) -> None:
    job = server.post("/processes/chain/execution", {"inputs": {"count": 1}}).json()["jobID"]
    assert server.finish(job)["status"] == "successful"
    for path, title in ((f"/jobs/{job}", "Auftrag: "), (f"/jobs/{job}/results", "Ergebnisse von ")):
        page = server.get(path, headers=GERMAN).text
        assert f"<h1>{title}Addiert Quadrate, ein Schritt je Zahl</h1>" in page
        assert "<td>Summe <code>total</code></td>" in page


def test_a_process_without_translations_stays_english_and_says_so(server: Server) -> None:
    page = server.get("/processes/greet", headers=GERMAN).text
    assert f"<h1>{ENGLISH}Greet somebody</span></h1>" in page
    assert "Pflichtfelder" in page
    answer = execute(server, {"name": "Ada"})
    job = answer.json()["jobID"]
    assert server.finish(job)["status"] == "successful"
    page = server.get(f"/jobs/{job}", headers=GERMAN).text
    assert "Auftrag: Greet somebody" in page
    assert "erfolgreich" in page


def test_a_form_is_translated_text_by_text() -> None:
    with Flask(__name__).test_request_context("/?lang=de"):
        fields = {field.id: field for field in fields_of(load_process(DATA / "survey.cwl"), "de")}
    height, season, name = fields["height"], fields["season"], fields["name"]
    assert (height.title, height.unit) == ("Höhe", "m")
    assert height.description == "Niedrigere Spitzen sind keine Bäume."
    assert season.symbols["summer"] == "Sommer"
    assert season.schema["enum"] == ["spring", "summer", "autumn"]
    assert (name.title, name.description, name.translated) == ("Name", "Who asks.", frozenset())


def test_descriptions_in_json_are_english_for_everyone(server: Server) -> None:
    answers = [
        server.get("/processes/detect", headers={"Accept-Language": name}) for name in ("de", "en")
    ]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["title"] == "Detect tree crowns"
