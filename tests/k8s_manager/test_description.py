"""Descriptions: what a client sees of a process, in the form that OGC's schema prescribes."""

from pathlib import Path
from typing import Any

import pytest

import processes
from k8s_manager.cwl import Process, load_process
from k8s_manager.description import describe
from k8s_manager.errors import ProcessFileError
from k8s_manager.registry import check_schemas
from k8s_manager.schema_keywords import schema_problem

SHIPPED = sorted(Path(processes.__file__).parent.glob("*/process.cwl"))
HEAD = """
cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: tool
label: A tool
doc: Does something.
s:softwareVersion: "2.1"
s:keywords: one, two
baseCommand: tool
"""


def load(tmp_path: Path, text: str) -> Process:
    (tmp_path / "process.cwl").write_text(HEAD + text)
    return load_process(tmp_path / "process.cwl")


def schema_of(tmp_path: Path, type_: str, schema: str = "{}") -> Any:
    text = f"outputs: {{}}\ninputs:\n  x:\n    type: {type_}\n    ogc:schema: |\n      {schema}\n"
    return describe(load(tmp_path, text))["inputs"]["x"]["schema"]


def test_the_summary_is_the_documents_own(tmp_path: Path) -> None:
    described = describe(load(tmp_path, "inputs: {}\noutputs: {}"))

    assert described == {
        "id": "tool",
        "version": "2.1",
        "title": "A tool",
        "description": "Does something.",
        "keywords": ["one", "two"],
        "jobControlOptions": ["async-execute", "dismiss"],
        "outputTransmission": ["value", "reference"],
        "inputs": {},
        "outputs": {},
    }


@pytest.mark.parametrize(("seconds", "sync"), [(None, False), (60, True), (61, False)])
def test_only_what_surely_ends_soon_may_run_synchronously(
    seconds: int | None, sync: bool, tmp_path: Path
) -> None:
    limit = f"requirements: {{ToolTimeLimit: {{timelimit: {seconds}}}}}\n" if seconds else ""
    options = describe(load(tmp_path, limit + "inputs: {}\noutputs: {}"))["jobControlOptions"]

    assert ("sync-execute" in options) is sync
    assert {"async-execute", "dismiss"} <= set(options)


def test_the_limits_of_all_steps_count_together(tmp_path: Path) -> None:
    tool = load(tmp_path, "requirements: {ToolTimeLimit: {timelimit: 30}}\ninputs: {}\noutputs: {}")
    flow = "cwlVersion: v1.2\nclass: Workflow\nid: flow\ninputs: {}\noutputs: {}\nsteps:\n"
    for count, sync in ((2, True), (3, False)):
        steps = "".join(f"  s{n}: {{run: process.cwl, in: {{}}, out: []}}\n" for n in range(count))
        (tmp_path / "flow.cwl").write_text(flow + steps)
        options = describe(load_process(tmp_path / "flow.cwl"))["jobControlOptions"]
        assert ("sync-execute" in options) is sync
    assert tool.tool is not None


@pytest.mark.parametrize(
    ("type_", "schema", "expected"),
    [
        ("string", "{}", {"type": "string"}),
        ("int?", '{"minimum": 1}', {"type": "integer", "minimum": 1}),
        ("double", '{"maximum": 9}', {"type": "number", "maximum": 9}),
        ("boolean", "{}", {"type": "boolean"}),
        ("{type: enum, symbols: [a, b]}", "{}", {"type": "string", "enum": ["a", "b"]}),
        (
            "string[]",
            '{"minItems": 1, "items": {"pattern": "^a"}}',
            {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^a"}},
        ),
        (
            "{type: record, name: p, fields: {x: double, y: {type: 'int?', doc: Why}}}",
            '{"properties": {"x": {"minimum": 0}}}',
            {
                "type": "object",
                "properties": {
                    "x": {"type": "number", "minimum": 0},
                    "y": {"type": "integer", "title": "Why"},
                },
                "required": ["x"],
                "additionalProperties": False,
            },
        ),
        (
            "File",
            "{}",
            {
                "type": "string",
                "contentMediaType": "application/octet-stream",
                "contentEncoding": "base64",
            },
        ),
        (
            "File",
            '{"contentMediaType": "text/csv"}',
            {"type": "string", "contentMediaType": "text/csv"},
        ),
        (
            "File",
            '{"format": "geojson-feature-collection"}',
            {
                "format": "geojson-feature-collection",
                "contentMediaType": "application/geo+json",
                "type": "object",
            },
        ),
        (
            "File",
            '{"allOf": [{"format": "geojson-geometry"}]}',
            {
                "allOf": [{"format": "geojson-geometry"}],
                "contentMediaType": "application/geo+json",
                "type": "object",
            },
        ),
        (
            "File[]",
            '{"items": {"contentMediaType": "text/csv"}}',
            {"type": "array", "items": {"type": "string", "contentMediaType": "text/csv"}},
        ),
        (
            "https://raw.githubusercontent.com/eoap/schemas/main/string_format.yaml#DateTime",
            "{}",
            {"type": "string", "format": "date-time"},
        ),
    ],
)
def test_types_become_schemas(type_: str, schema: str, expected: Any, tmp_path: Path) -> None:
    assert schema_of(tmp_path, type_, schema) == expected


def test_defaults_are_shown_but_not_those_that_are_files(tmp_path: Path) -> None:
    file = "{type: File, default: {class: File, location: x.yml}}"
    process = load(tmp_path, f"outputs: {{}}\ninputs: {{a: {{type: int, default: 0}}, b: {file}}}")

    schemas = {name: part["schema"] for name, part in describe(process)["inputs"].items()}
    assert schemas["a"] == {"type": "integer", "default": 0}
    assert "default" not in schemas["b"]


def test_a_file_in_several_formats_offers_each(tmp_path: Path) -> None:
    schema = schema_of(
        tmp_path,
        "File",
        '{"oneOf": [{"format": "geojson-feature-collection"},'
        ' {"contentMediaType": "application/geopackage+sqlite3"}]}',
    )
    assert [(part["type"], part["contentMediaType"]) for part in schema["oneOf"]] == [
        ("object", "application/geo+json"),
        ("string", "application/geopackage+sqlite3"),
    ]
    assert schema["oneOf"][1]["contentEncoding"] == "base64"


@pytest.mark.parametrize(
    ("type_", "schema"),
    [
        (
            "{type: record, name: b, fields: {bbox: 'double[]', crs: 'string?'}}",
            '{"format": "ogc-bbox"}',
        ),
        (
            "{type: record, name: b, fields: {bbox: 'double[]', crs: 'string?'}}",
            '{"allOf": [{"format": "ogc-bbox"}, {"$ref": "https://schemas.example/bbox.yaml"}]}',
        ),
        ("https://raw.githubusercontent.com/eoap/schemas/main/ogc.yaml#BBox", "{}"),
    ],
)
def test_a_bounding_box_has_the_format_of_the_standard(
    type_: str, schema: str, tmp_path: Path
) -> None:
    described = schema_of(tmp_path, type_, schema)

    assert described["allOf"][0] == {"format": "ogc-bbox"}
    assert described["allOf"][1]["required"] == ["bbox"]
    assert schema_problem(described) is None


def test_what_the_manager_fills_is_not_shown(tmp_path: Path) -> None:
    text = "outputs: {}\ninputs:\n  a: int\n  b:\n    type: File?\n    ogc:schema: |\n"
    text += '      {"x-internal": true}\n'
    assert list(describe(load(tmp_path, text))["inputs"]) == ["a"]


@pytest.mark.parametrize(
    ("type_", "occurs"), [("int", 1), ("int?", 0), ("{type: int, default: 3}", 0)]
)
def test_what_has_a_default_or_may_be_absent_is_not_required(
    type_: str, occurs: int, tmp_path: Path
) -> None:
    part = describe(load(tmp_path, f"outputs: {{}}\ninputs: {{a: {type_}}}"))["inputs"]["a"]

    assert (part["minOccurs"], part["maxOccurs"]) == (occurs, 1)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_processes_keep_to_the_schema_of_the_standard(path: Path) -> None:
    process = load_process(path)
    check_schemas(process)
    described = describe(process)

    for part in [*described["inputs"].values(), *described["outputs"].values()]:
        assert part["title"]
        assert schema_problem(part["schema"]) is None
        assert "x-internal" not in part["schema"]
    assert set(described) <= {
        *("id", "version", "title", "description", "keywords"),
        *("jobControlOptions", "outputTransmission", "inputs", "outputs"),
    }


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ('{"minimun": 1}', "schema/minimun: is no keyword of OpenAPI 3.0's schema object"),
        ('{"minimum": "1"}', "schema/minimum: expected a number, got '1'"),
        ('{"pattern": "("}', "schema/pattern: expected a regular expression"),
        ('{"type": ["integer", "null"]}', "schema/type: expected one of array"),
        ('{"exclusiveMinimum": 3}', "schema/exclusiveMinimum: expected true or false"),
        ('{"maximum": 2}', "the default breaks it: expected a number of at most 2"),
    ],
)
def test_a_wrong_schema_is_refused_at_load(schema: str, message: str, tmp_path: Path) -> None:
    text = "outputs: {}\ninputs:\n  x:\n    type: int\n    default: 3\n    ogc:schema: |\n"
    text += f"      {schema}\n"
    with pytest.raises(ProcessFileError, match=r"inputs\.x\.ogc:") as raised:
        check_schemas(load(tmp_path, text))
    assert message in str(raised.value)
