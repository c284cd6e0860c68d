"""Execute requests: what is accepted becomes CWL values; what is wrong is reported all at once."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given as each
from hypothesis import settings as search
from hypothesis import strategies as st

from k8s_manager.bbox import crs_name
from k8s_manager.cwl import Process, load_process
from k8s_manager.errors import InvalidInputs
from k8s_manager.inputs import AcceptedRequest, accept
from k8s_manager.outside_settings import OutsideSettings
from k8s_manager.settings import Settings

TEXT = """
cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/"}
id: tool
baseCommand: tool
ogc:schema: |
  {"oneOf": [{"required": ["area"]}, {"required": ["box"]}, {"required": ["district"]}]}
inputs:
  area:
    type: File?
    ogc:schema: |
      {"format": "geojson-geometry"}
  box:
    type: ["null", {type: record, name: box, fields: {bbox: "double[]", crs: "string?"}}]
    ogc:schema: |
      {"format": "ogc-bbox"}
  district:
    type: string?
    ogc:schema: |
      {"pattern": "^[0-9]{5}$"}
  trees:
    type: int
    default: 10
    ogc:schema: |
      {"minimum": 1, "maximum": 100}
  height:
    type: double?
    ogc:schema: |
      {"minimum": 0, "exclusiveMinimum": true}
  sources:
    type: string[]?
    ogc:schema: |
      {"minItems": 1, "maxItems": 3, "uniqueItems": true}
  method: {type: ["null", {type: enum, symbols: [fast, exact]}]}
  strict: boolean?
  numbers: int[]?
  inventory:
    type: File?
    ogc:schema: |
      {"oneOf": [{"format": "geojson-feature-collection"},
                 {"contentMediaType": "application/geopackage+sqlite3"}]}
  notes:
    type: File?
    ogc:schema: |
      {"contentMediaType": "text/plain"}
  options: File?
  folder: Directory?
  tables:
    type: File[]?
    ogc:schema: |
      {"maxItems": 2, "items": {"contentMediaType": "text/csv"}}
  start: https://raw.githubusercontent.com/eoap/schemas/main/string_format.yaml#DateTime?
  spot: https://raw.githubusercontent.com/eoap/schemas/main/geojson.yaml#Feature?
  world: https://raw.githubusercontent.com/eoap/schemas/main/ogc.yaml#BBox?
  secret:
    type: File?
    ogc:schema: |
      {"x-internal": true}
outputs:
  table:
    type: File
    outputBinding: {glob: t.csv}
    ogc:schema: |
      {"contentMediaType": "text/csv"}
  count: int
"""
DISTRICT = {"district": "05170"}
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
FEATURES = {
    "type": "FeatureCollection",
    "features": [{"type": "Feature", "properties": {}, "geometry": SQUARE}],
}


HIDING = {
    "type": "Feature",
    "geometry": None,
    "properties": {"x": {"class": "File", "location": "file:///etc/passwd"}},
}
HTML = {"notes": {"value": "x", "mediaType": "text/html"}}
HTML_AT = {"notes": {"href": "https://x.org/y", "type": "text/html"}}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Process:
    path = tmp_path_factory.mktemp("inputs") / "process.cwl"
    path.write_text(TEXT)
    return load_process(path)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(Path("c.yml"), Path("var"), "sqlite://", Path("work"))


def wrong(
    process: Process, body: Any, settings: Settings, **more: Any
) -> list[tuple[str, str, str]]:
    """Return pointer, expectation and finding of each violation."""
    with pytest.raises(InvalidInputs) as raised:
        accept(process, body, settings, **more)
    return [(item.pointer, item.expected, item.got) for item in raised.value.violations]


def value(process: Process, settings: Settings, name: str, given: Any) -> Any:
    others = {} if name in ("area", "box", "district") else DISTRICT
    return accept(process, {"inputs": {**others, name: given}}, settings).values[name]


def test_defaults_are_left_to_the_command(process: Process, settings: Settings) -> None:
    accepted = accept(process, {"inputs": DISTRICT}, settings)

    assert accepted == AcceptedRequest(DISTRICT, None, "document", None)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("trees", 3, 3),
        ("trees", 3.0, 3),
        ("trees", {"value": 3}, 3),
        ("height", 2.5, 2.5),
        ("strict", False, False),
        ("method", "exact", "exact"),
        ("sources", ["a", "b"], ["a", "b"]),
        ("sources", [{"value": "a"}], ["a"]),
        ("numbers", [1, 2.0], [1, 2]),
        ("district", {"value": "05170", "mediaType": "text/plain"}, "05170"),
        ("box", {"bbox": [6, 50, 7, 51]}, {"bbox": [6.0, 50.0, 7.0, 51.0], "crs": "OGC:CRS84"}),
        (
            "box",
            {"bbox": [1, 2, 0, 3, 4, 9], "crs": "http://www.opengis.net/def/crs/EPSG/0/25832"},
            {"bbox": [1.0, 2.0, 0.0, 3.0, 4.0, 9.0], "crs": "EPSG:25832"},
        ),
        ("world", {"bbox": [6, 50, 7, 51]}, {"bbox": [6.0, 50.0, 7.0, 51.0], "crs": "CRS84"}),
        ("start", "2023-05-01T00:00:00Z", {"value": "2023-05-01T00:00:00Z"}),
        ("start", {"value": "2023-05-01T00:00:00+02:00"}, {"value": "2023-05-01T00:00:00+02:00"}),
        ("notes", "hello", {"class": "File", "contents": "hello", "basename": "notes.txt"}),
        (
            "notes",
            {"value": "hello", "mediaType": "text/plain; charset=utf-8"},
            {"class": "File", "contents": "hello", "basename": "notes.txt"},
        ),
        (
            "tables",
            ["a,b", "c,d"],
            [
                {"class": "File", "contents": "a,b", "basename": "tables-0.csv"},
                {"class": "File", "contents": "c,d", "basename": "tables-1.csv"},
            ],
        ),
        (
            "options",
            "AAEC",
            {"class": "File", "contents_base64": "AAEC", "basename": "options.bin"},
        ),
    ],
)
def test_values_become_cwl_values(
    name: str, given: Any, expected: Any, process: Process, settings: Settings
) -> None:
    found = value(process, settings, name, given)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "given", [FEATURES, {"value": FEATURES, "mediaType": "application/geo+json"}]
)
def test_geojson_becomes_a_file(given: Any, process: Process, settings: Settings) -> None:
    found = value(process, settings, "inventory", given)

    assert found["basename"] == "inventory.geojson"
    assert json.loads(found["contents"]) == FEATURES


def test_a_geopackage_comes_in_base64(process: Process, settings: Settings) -> None:
    text = base64.b64encode(b"SQLite format 3\0").decode()
    expected = {"class": "File", "contents_base64": text, "basename": "inventory.gpkg"}

    assert value(process, settings, "inventory", text) == expected
    qualified = {"value": text, "mediaType": "application/geopackage+sqlite3", "encoding": "base64"}
    assert value(process, settings, "inventory", qualified) == expected


def test_every_violation_is_reported_at_once(process: Process, settings: Settings) -> None:
    body = {
        "inputs": {
            **{"district": "5170", "trees": 0, "height": 0, "tree": 5, "method": "slow"},
            **{"sources": ["a", "a", "b", "c"], "strict": "yes", "numbers": [1, "2", 2.5]},
            "secret": {"href": "https://x.org/y"},
        },
        "outputs": {"tables": {}, "count": {"transmissionMode": "link"}},
        "response": "both",
        "subscriber": {"failedUri": "ftp://x.org"},
        "input": {},
    }
    outside = OutsideSettings(callback_hosts=("x.org",))
    settings = replace(settings, outside=outside)
    found = dict.fromkeys(pointer for pointer, _, _ in wrong(process, body, settings))

    assert set(found) == {
        *("/inputs/district", "/inputs/trees", "/inputs/height", "/inputs/tree", "/inputs/method"),
        *("/inputs/sources", "/inputs/strict", "/inputs/numbers/1", "/inputs/numbers/2"),
        *("/inputs/secret", "/outputs/tables", "/outputs/count/transmissionMode", "/response"),
        *("/subscriber/successUri", "/subscriber/failedUri", "/input"),
    }


@pytest.mark.parametrize(
    ("inputs", "pointer", "expected", "got"),
    [
        ({"trees": 101}, "/trees", "a number of at most 100", "the number 101"),
        ({"trees": "3"}, "/trees", "an integer", "the string '3'"),
        ({"trees": True}, "/trees", "an integer", "true"),
        ({"trees": [3]}, "/trees", "an integer", "an array of 1"),
        ({"trees": {"value": 0}}, "/trees/value", "a number of at least 1", "the number 0"),
        ({"trees": {"href": "https://x.org/3"}}, "/trees", "the value itself", "a reference"),
        ({"height": float("nan")}, "/height", "a finite number", "nan"),
        ({"height": 0}, "/height", "a number greater than 0", "the number 0"),
        ({"method": "slow"}, "/method", "one of fast, exact", "the string 'slow'"),
        ({"sources": []}, "/sources", "at least 1 items", "an array of 0"),
        ({"sources": ["a", "a"]}, "/sources", "items that differ", "an array of 2"),
        ({"district": "5"}, "", "^[0-9]{5}$", "the string '5'"),
        ({"treees": 3}, "/treees", "one of the inputs area", "the unknown input 'treees'"),
        ({"secret": "x"}, "/secret", "one of the inputs area", "the unknown input 'secret'"),
        (HTML, "/notes/mediaType", "text/plain", "html"),
        ({"trees": {"value": 3, "mediaType": 5}}, "/trees/mediaType", "a media type", "number 5"),
        ({"notes": {"value": "x", "mediaType": []}}, "/notes/mediaType", "a media type", "array"),
        (
            {"notes": {"value": "x", "encoding": "utf-16"}},
            "/notes/encoding",
            "base64 or utf-8",
            "the string 'utf-16'",
        ),
        (
            {"trees": {"value": 3, "schema": 5}},
            "/trees/schema",
            "a schema or its address",
            "the number 5",
        ),
        ({"options": "?"}, "/options", "application/octet-stream in base64", "not base64"),
        ({"inventory": "?"}, "/inventory", "geopackage+sqlite3 in base64", "not base64"),
        ({"inventory": SQUARE}, "/inventory", "a GeoJSON FeatureCollection", "type 'Polygon'"),
        ({"inventory": 5}, "/inventory", "a string with application/geop", "the number 5"),
        ({"tables": ["a", 5]}, "/tables/1", "a string with text/csv", "the number 5"),
        ({"tables": ["a", "b", "c"]}, "/tables", "at most 2 items", "an array of 3"),
        ({"folder": "x"}, "/folder", "a reference {href}", "the string 'x'"),
        (
            {"start": "yesterday"},
            "/start",
            "a date and time with its zone",
            "the string 'yesterday'",
        ),
        ({"start": "2023-05-01T00:00:00"}, "/start", "a date and time with its zone", "2023"),
        ({"options": {"href": "https://x.org/y.bin"}}, "/options/href", "from no host", "x.org"),
        ({"options": {"href": "file:///etc/passwd"}}, "/options/href", "https address", "passwd"),
        ({"options": {"class": "File", "path": "/x"}}, "/options", "a string", "an object"),
        (HTML_AT, "/notes/type", "text/plain", "html"),
        ({"spot": HIDING}, "/spot/properties/x", "no file inside this input", "of class File"),
        ({"notes": "a\0b"}, "/notes", "text in UTF-8 without NUL", "other characters"),
        ({"spot": {"\ud800": 1}}, "/spot", "text in UTF-8 without NUL", "other characters"),
    ],
)
def test_each_violation_says_what_was_expected(
    inputs: dict[str, Any],
    pointer: str,
    expected: str,
    got: str,
    process: Process,
    settings: Settings,
) -> None:
    found = wrong(process, {"inputs": {**DISTRICT, **inputs}}, settings)

    assert len(found) == 1
    assert found[0][0] == (f"/inputs{pointer}" if pointer else "/inputs/district")
    assert expected in found[0][1]
    assert got in found[0][2]


@pytest.mark.parametrize(
    ("box", "pointer", "expected"),
    [
        ({"bbox": [6, 50, 7]}, "/bbox", "4 items or 6 items"),
        ({"bbox": [7, 50, 6, 51]}, "/bbox/2", "more than 7"),
        ({"bbox": [6, 51, 7, 50]}, "/bbox/3", "more than 51"),
        ({"bbox": [500000, 50, 500001, 51]}, "/bbox/0", "longitude between -180 and 180"),
        ({"bbox": [6, "50", 7, 51]}, "/bbox/1", "a number"),
        ({"bbox": [6, float("inf"), 7, 51]}, "/bbox/1", "a finite number"),
        ({"bbox": [6, 50, 7, 51], "crs": "WGS84"}, "/crs", "A coordinate reference system"),
        ({"bbox": [6, 50, 7, 51], "srs": "x"}, "/srs", "one of bbox, crs"),
        ({"crs": "EPSG:4326"}, "/bbox", "a value"),
        ([6, 50, 7, 51], "", "an object"),
    ],
)
def test_a_bounding_box_is_checked(
    box: Any, pointer: str, expected: str, process: Process, settings: Settings
) -> None:
    found = wrong(process, {"inputs": {"box": box}}, settings)

    assert f"/inputs/box{pointer}" in [item[0] for item in found]
    assert any(expected in item[1] for item in found)


@pytest.mark.parametrize(
    ("given", "crs"),
    [
        ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "OGC:CRS84"),
        ("http://www.opengis.net/def/crs/OGC/0/CRS84h", "OGC:CRS84h"),
        ("http://www.opengis.net/def/crs/EPSG/9.9.1/25832", "EPSG:25832"),
        ("EPSG:4326", "EPSG:4326"),
    ],
)
def test_a_crs_has_one_name(given: str, crs: str) -> None:
    assert crs_name(given) == crs


@pytest.mark.parametrize(
    ("area", "pointer", "expected"),
    [
        ({"type": "Polygon"}, "/coordinates", "an array"),
        ({"type": "Polygon", "coordinates": []}, "/coordinates", "at least one ring"),
        ({"type": "Point", "coordinates": [1]}, "/coordinates", "2 or 3 finite numbers"),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]},
            "/coordinates/0",
            "a closed ring",
        ),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [1, "0"], [1, 1], [0, 0]]]},
            "/coordinates/0/1",
            "2 or 3 finite numbers",
        ),
        (FEATURES, "", "a GeoJSON geometry"),
        ({"typ": "Polygon"}, "", "a GeoJSON geometry"),
    ],
)
def test_geojson_is_checked(
    area: Any, pointer: str, expected: str, process: Process, settings: Settings
) -> None:
    ((at, wanted, _),) = wrong(process, {"inputs": {"area": area}}, settings)

    assert at == f"/inputs/area{pointer}"
    assert expected in wanted


@pytest.mark.parametrize(
    ("inputs", "got"),
    [
        ({}, "none of them"),
        ({"district": None}, "none of them"),
        ({**DISTRICT, "area": SQUARE}, "area and district"),
    ],
)
def test_exactly_one_way_to_name_the_area(
    inputs: dict[str, Any], got: str, process: Process, settings: Settings
) -> None:
    found = wrong(process, {"inputs": inputs}, settings)

    assert found == [("/inputs", "exactly one of area, box, district", got)]


def test_endless_nesting_is_refused(process: Process, settings: Settings) -> None:
    nested: Any = {"type": "Point", "coordinates": [0, 0]}
    for _ in range(400):
        nested = {"type": "GeometryCollection", "geometries": [nested]}

    ((pointer, expected, _),) = wrong(process, {"inputs": {"area": nested}}, settings)
    assert (pointer, expected) == ("/inputs/area", "at most 64 levels of nesting")


@pytest.mark.parametrize("body", [{"inputs": []}, {"inputs": "x"}, [], "x", None])
def test_what_is_no_request_is_refused(body: Any, process: Process, settings: Settings) -> None:
    assert "an object" in wrong(process, body, settings)[0][1]


def test_outputs_are_chosen_with_options(process: Process, settings: Settings) -> None:
    outputs = {"table": {"transmissionMode": "reference", "format": {"mediaType": "text/csv"}}}
    body = {"inputs": DISTRICT, "outputs": outputs, "response": "raw"}

    accepted = accept(process, body, settings)
    assert (accepted.outputs, accepted.response) == (outputs, "raw")

    body["outputs"] = {"table": {"format": {"mediaType": "image/png"}}}
    assert wrong(process, body, settings) == [
        ("/outputs/table/format/mediaType", "text/csv", "the string 'image/png'")
    ]


def test_references_are_followed_only_to_named_hosts(process: Process) -> None:
    outside = OutsideSettings(input_hosts=("data.example.org",))
    open_ = Settings(Path("c"), Path("v"), "", Path("w"), outside=outside)
    address = "https://data.example.org/a%20b/trees.bin"

    assert value(process, open_, "options", {"href": address}) == {
        "class": "File",
        "location": address,
        "basename": "trees.bin",
        "mediaTypes": ["application/octet-stream"],
    }
    for other in (
        "https://data.example.org.evil.org/x",
        "https://user@data.example.org/x",
        "https://evil.org/data.example.org",
        "https://[::1",
        "https://data.example.org/",
        "http://data.example.org/trees.bin",
        "https://data.example.org/trees%0d%0aX-Injected%3a%20yes.bin",
    ):
        found = wrong(process, {"inputs": {**DISTRICT, "options": {"href": other}}}, open_)
        assert found[0][0] == "/inputs/options/href"


def test_the_command_line_may_name_files(
    process: Process, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "my file.gpkg"
    file.write_bytes(b"x")
    expected = {"class": "File", "location": file.as_uri(), "basename": "my file.gpkg"}
    for named in ({"href": file.as_uri()}, {"class": "File", "path": str(file)}):
        body = {"inputs": {**DISTRICT, "inventory": named}}
        assert accept(process, body, settings, trusted=True).values["inventory"] == expected

    body = {"inputs": {**DISTRICT, "inventory": {"href": (tmp_path / "no.gpkg").as_uri()}}}
    assert wrong(process, body, settings, trusted=True)[0][1] == "an existing file"
    body = {"inputs": {**DISTRICT, "folder": {"href": tmp_path.as_uri()}}}
    assert accept(process, body, settings, trusted=True).values["folder"]["class"] == "Directory"


VOCABULARY = "x 05170 type href value mediaType class path bbox crs features FeatureCollection"
VOCABULARY += " Polygon coordinates file:///etc/passwd AAEC"
WORDS = st.sampled_from(VOCABULARY.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
NAMES = (
    "area box district trees height sources method strict numbers inventory notes options folder"
)
NAMES += " tables start world secret"


@search(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@each(inputs=st.dictionaries(st.sampled_from(NAMES.split()), JSON, max_size=5))
def test_whatever_is_sent_is_accepted_or_refused_with_reasons(
    process: Process, settings: Settings, inputs: dict[str, Any]
) -> None:
    try:
        accept(process, {"inputs": inputs}, settings)
    except InvalidInputs as error:
        assert error.violations  # noqa: PT017
        assert all(item.expected and item.got for item in error.violations)  # noqa: PT017
