"""Forms of processes: what they ask for, the request they stand for, errors at their fields."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from werkzeug.datastructures import FileStorage, MultiDict

from k8s_manager.cwl import load_process
from k8s_manager.settings import Settings
from ogcapi import form_fields
from ogcapi.app import create_app
from ogcapi.examples import examples_of
from ogcapi.form_request import read, shown
from tests.serving import Server, serving

ROOT = Path(__file__).parents[2]
PROCESSES = ROOT / "tests" / "data" / "processes"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
POINT = {"type": "Point", "coordinates": [7.5, 51.5]}
PNG = b"\x89PNG\r\n\x1a\n" + zlib.compress(b"\0\xff")


def configuration(folder: Path) -> Path:
    """Write a configuration with the processes that have a form to try."""
    config = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    name = "k8s_manager.processor.CwlProcessor"
    files = {"survey": "survey.cwl", "greet": "greet.cwl"}
    config["resources"] = {
        process: {"type": "process", "processor": {"name": name, "cwl": str(PROCESSES / file)}}
        for process, file in files.items()
    }
    example = {"inputs": {"name": "Grace", "months": [4, 5], "box": {"bbox": [7, 51, 8, 52]}}}
    (folder / "survey.json").write_text(json.dumps(example), encoding="utf-8")
    titles = {"en": "Two months in Westphalia", "de": "Zwei Monate in Westfalen"}
    config["resources"]["survey"]["examples"] = [
        {"title": titles, "request": "survey.json"},
        {"title": "Lost", "request": "there-is-none.json"},
    ]
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def surveys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("surveys")
    with serving(configuration(folder), folder / "var", env={"CDI_WORKERS": "1"}) as running:
        yield running


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, form_fields.Field]]:
    config = configuration(tmp_path_factory.mktemp("fields"))
    app = create_app(Settings.load(env={}, config=config))
    with app.test_request_context("/?lang=en"):
        found = form_fields.fields_of(load_process(PROCESSES / "survey.cwl"), "en")
        yield {field.id: field for field in found}


def request_of(fields: dict[str, form_fields.Field], **controls: Any) -> dict[str, Any]:
    names = {f"in.{name.replace('__', '.')}": value for name, value in controls.items()}
    uploads = {name: value for name, value in names.items() if isinstance(value, FileStorage)}
    texts = {name: value for name, value in names.items() if name not in uploads}
    document, found = read(fields.values(), MultiDict(texts), MultiDict(uploads))
    assert found == []
    return dict(document["inputs"])


def upload(data: bytes, name: str) -> FileStorage:
    return FileStorage(io.BytesIO(data), filename=name)


def test_each_input_is_asked_for_by_a_field_of_its_kind(
    fields: dict[str, form_fields.Field],
) -> None:
    assert {name: field.kind for name, field in fields.items()} == {
        "name": "text",
        "height": "number",
        "count": "number",
        "careful": "boolean",
        "season": "choice",
        "months": "lines",
        "day": "text",
        "box": "bbox",
        "area": "file",
        "table": "file",
        "picture": "file",
        "limits": "json",
        "folder": "folder",
    }
    assert (fields["box"].map, fields["area"].map, fields["table"].map) == ("bbox", "geometry", "")
    assert (fields["height"].unit, fields["height"].description) == (
        "m",
        "Lower tops are no trees.",
    )
    assert fields["height"].expects == "Number from 0.5 to 20."
    assert fields["count"].expects == "Whole number, at least 1."
    assert fields["name"].expects == "1 to 40 characters."
    assert fields["day"].html_type == "date"
    assert fields["area"].accept == "application/geo+json,.geojson,.json"
    assert [name for name, field in fields.items() if field.main] == ["name", "box", "area"]


def test_numbers_are_written_as_the_page_writes_them(tmp_path: Path) -> None:
    app = create_app(Settings.load(env={}, config=configuration(tmp_path)))
    with app.test_request_context("/?lang=de"):
        found = form_fields.fields_of(load_process(PROCESSES / "survey.cwl"), "de")
    assert {field.id: field.expects for field in found}["height"] == "Zahl von 0,5 bis 20."


def test_a_form_becomes_the_request_that_a_client_would_send(
    fields: dict[str, form_fields.Field],
) -> None:
    given = request_of(
        fields,
        name="Ada",
        height="3,5",
        count="7",
        careful="false",
        season="summer",
        months="4\n\n 5 \n",
        day="2026-11-25",
        box__0="7",
        box__1="51",
        box__2="8.5",
        box__3="52",
        box__crs="OGC:CRS84",
        area=json.dumps(POINT),
        table="a;b\r\n1;2\r\n",
        picture__file=upload(PNG, "p.png"),
        limits='{"low": 1, "high": 2}',
    )
    assert given == {
        "name": "Ada",
        "height": 3.5,
        "count": 7,
        "careful": False,
        "season": "summer",
        "months": [4, 5],
        "day": "2026-11-25",
        "box": {"bbox": [7, 51, 8.5, 52]},
        "area": POINT,
        "table": "a;b\r\n1;2\r\n",
        "picture": {"value": base64.b64encode(PNG).decode(), "mediaType": "image/png"},
        "limits": {"low": 1, "high": 2},
    }


def test_what_was_left_empty_or_as_it_was_is_not_sent(
    fields: dict[str, form_fields.Field],
) -> None:
    assert request_of(fields, name="Ada", height="2.5", count="", season="", box__0="") == {
        "name": "Ada"
    }


def test_an_upload_counts_more_than_the_text_beside_it(
    fields: dict[str, form_fields.Field],
) -> None:
    data = upload(b"\xef\xbb\xbf" + json.dumps(POINT).encode(), "point.geojson")
    assert request_of(fields, area="{}", area__file=data) == {"area": POINT}
    assert request_of(fields, area="", area__file=upload(b"", "")) == {}


def test_what_is_no_value_is_passed_on_for_the_check_to_refuse(
    fields: dict[str, form_fields.Field],
) -> None:
    given = request_of(fields, height="high", months="4\nMay", box__0="7", season="winter")
    assert given["height"] == "high"
    assert given["months"] == [4, "May"]
    assert given["box"] == {"bbox": [7, "", "", ""]}
    assert given["season"] == "winter"


def test_half_a_document_is_an_error_of_its_field(fields: dict[str, form_fields.Field]) -> None:
    deep = '{"a": ' * 500 + "1" + "}" * 500
    for text in (
        *(
            '{"type": ',
            "[" * 100_000,
            '{"a": NaN}',
            '{"a": 1, "a": 2}',
            deep,
            "[" * 500 + "]" * 500,
        ),
        *('{"a": "\\ud800"}', "[" + "[]," * 2_000_001 + "1]"),
    ):
        controls = MultiDict({"in.area": text, "in.limits": text})
        document, found = read(fields.values(), controls, MultiDict())
        assert document == {"inputs": {}}
        assert [entry.pointer for entry in found] == ["/inputs/area", "/inputs/limits"]
        assert all("no JSON" in entry.got for entry in found)


def test_a_form_shows_a_request_so_that_sending_it_gives_the_same(
    fields: dict[str, form_fields.Field],
) -> None:
    inputs = {
        "name": "Ada",
        "careful": True,
        "months": [1, 12],
        "box": {"bbox": [484649, 6632629, 485000.5, 6633000], "crs": "EPSG:2154"},
        "area": POINT,
        "table": "a;b\n",
        "limits": {"low": 1, "high": 2},
    }
    request = {"inputs": inputs, "outputs": {"said": {}}}
    form = shown(fields.values(), request)
    form.setlist("out.all", ["said", "another"])
    assert form["in.height"] == "2.5"
    assert form.getlist("out") == ["said"]
    assert read(fields.values(), form, MultiDict()) == (request, [])


def test_sending_the_form_runs_the_process_and_leads_to_the_job(surveys: Server) -> None:
    controls = {"in.name": "Ada", "in.height": "2.5", "in.area": json.dumps(POINT)}
    files = {"in.table.file": ("t.csv", b"x,y\n1,2\n", "text/csv")}
    answer = httpx.post(
        f"{surveys.url}/processes/survey/form", data=controls, files=files, timeout=60
    )
    assert answer.status_code == 303, answer.text
    path = answer.headers["Location"]
    assert path.startswith("/jobs/")
    job = path.rpartition("/")[2]
    assert surveys.finish(job)["status"] == "successful"
    said = surveys.get(surveys.get(f"{path}/results").json()["said"]["href"]).text.splitlines()
    assert said[:2] == ["Ada", "2.5"]
    assert [Path(line).suffix for line in said[2:]] == [".geojson", ".csv"]


def test_outputs_that_are_not_ticked_are_not_asked_for(surveys: Server) -> None:
    controls = {"in.name": "Ada", "out.all": ["greeting", "record"], "out": ["record"]}
    answer = httpx.post(f"{surveys.url}/processes/greet/form", data=controls, timeout=60)
    path = answer.headers["Location"]
    surveys.finish(path.rpartition("/")[2])
    assert set(surveys.get(f"{path}/results").json()) == {"record"}


def test_everything_that_is_wrong_is_shown_at_its_field(surveys: Server) -> None:
    controls = {"in.name": "", "in.height": "99", "in.count": "many", "in.area": "{"}
    controls |= {"in.box.0": "8", "in.box.1": "51", "in.box.2": "7", "in.box.3": "52"}
    address = f"{surveys.url}/processes/survey/form"
    page = httpx.post(address, data=controls, headers={"Accept-Language": "en"}, timeout=60)
    assert page.status_code == 400
    assert page.headers["Content-Type"].startswith("text/html")
    errors = dict(re.findall(r'<div class="error" id="error\.(\w+)">(.*?)</div>', page.text, re.S))
    assert set(errors) == {"name", "height", "count", "area", "box"}
    assert "a number of at most 20. Given: the number 99" in errors["height"]
    assert "an integer. Given: the string" in errors["count"]
    assert "JSON" in errors["area"]
    assert "more than 8" in errors["box"]
    assert 'value="99"' in page.text  # what was typed is still there
    german = httpx.post(address, data=controls, headers={"Accept-Language": "de"}, timeout=60).text
    assert "Erwartet: eine Zahl von höchstens 20. Angegeben: die Zahl 99." in german


def test_an_error_of_several_inputs_is_shown_at_each(surveys: Server) -> None:
    address = f"{surveys.url}/processes/survey/form"
    page = httpx.post(address, data={"in.name": "Ada"}, timeout=60).text
    for name in ("box", "area"):
        assert f'id="error.{name}"' in page
    assert 'id="error.name"' not in page


def test_a_long_text_is_taken_as_far_as_a_body_may_be_long(surveys: Server) -> None:
    line = {"type": "LineString", "coordinates": [[7.0, 51.0]] * 60_000}
    controls = {"in.name": "Ada", "in.area": json.dumps(line)}
    assert len(controls["in.area"]) > 600_000
    answer = httpx.post(f"{surveys.url}/processes/survey/form", data=controls, timeout=60)
    assert answer.status_code == 303, answer.text[:2000]


def test_an_example_fills_the_form_and_says_its_name(surveys: Server) -> None:
    page = surveys.get("/processes/survey", headers=BROWSER | {"Accept-Language": "de"}).text
    assert "Zwei Monate in Westfalen" in page
    assert "Lost" not in page
    filled = surveys.get("/processes/survey/form?example=0", headers=BROWSER).text
    assert 'name="in.name" value="Grace"' in filled
    assert 'name="in.box.2" value="8"' in filled
    assert "4\n5</textarea>" in filled
    answer = surveys.get("/processes/survey/form?example=7")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/processes/survey?lang=en")


def test_where_no_example_is_configured_the_schemas_make_one(tmp_path: Path) -> None:
    service = create_app(Settings.load(env={}, config=configuration(tmp_path))).extensions["cdi"]
    made = examples_of(service, load_process(PROCESSES / "greet" / "process.cwl"))
    assert [entry.request for entry in made] == [{"inputs": {"name": "World"}}]
    assert examples_of(service, service.registry.get("greet")) == []  # its name has no example


def code(page: str, name: str) -> str:
    found = re.search(rf'<code id="{name}">(.*?)</code>', page, re.S)
    assert found is not None
    return html.unescape(found[1])


def job_of(text: str) -> str:
    found = re.search("[0-9a-f]{32}", text)
    assert found is not None, text
    return found[0]


@pytest.mark.parametrize("letters", [3, 5000])
def test_the_commands_beside_a_form_do_what_the_form_does(
    surveys: Server, tmp_path: Path, letters: int
) -> None:
    controls = {"in.name": "Grace's", "in.height": "3", "in.area": json.dumps(POINT)}
    controls["in.table"] = "ä" * letters
    address = f"{surveys.url}/processes/survey/form/request"
    page = httpx.post(address, data=controls, timeout=60).text
    request = json.loads(code(page, "request"))
    assert request == {
        "inputs": {"name": "Grace's", "height": 3, "area": POINT, "table": "ä" * letters}
    }
    (tmp_path / "request.json").write_text(code(page, "request"), encoding="utf-8")
    done = subprocess.run(
        ["bash", "-c", code(page, "curl")], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert surveys.finish(job_of(done.stdout))["status"] == "successful"
    (tmp_path / "program.py").write_text(code(page, "python"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.startswith("successful")
    assert "said" in done.stdout


def test_a_file_is_shown_by_its_name_where_a_request_is_only_shown(surveys: Server) -> None:
    address = f"{surveys.url}/processes/survey/form/request"
    page = httpx.post(address, data={"in.picture.name": "tree.png"}, timeout=60).text
    assert json.loads(code(page, "request")) == {"inputs": {"picture": "<tree.png>"}}


def test_a_file_that_is_only_named_is_none_where_the_form_is_sent(
    fields: dict[str, form_fields.Field],
) -> None:
    controls = MultiDict({"in.picture.name": "picture.png"})
    shown_only, _ = read(fields.values(), controls, MultiDict(), preview=True)
    assert shown_only == {"inputs": {"picture": "<picture.png>"}}
    assert read(fields.values(), controls, MultiDict()) == ({"inputs": {}}, [])


def test_forms_of_processes_that_do_not_exist_are_404(surveys: Server) -> None:
    assert surveys.get("/processes/none/form").status_code == 404
    assert httpx.post(f"{surveys.url}/processes/none/form").status_code == 404
    assert httpx.post(f"{surveys.url}/processes/survey/form?colour=red").status_code == 400
