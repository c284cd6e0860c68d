"""Loading processes: what is understood, and what is refused by name and place."""

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import processes
from k8s_manager.cwl import Process, load_process
from k8s_manager.cwl_types import Array, Enum, Optional, Primitive, Record, accepts, type_name
from k8s_manager.errors import ProcessFileError

SHIPPED = sorted(Path(processes.__file__).parent.glob("*/process.cwl"))
NAMES = '$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", '
NAMES += 's: "https://schema.org/", cdi: "urn:cdi-nrw:cwl#"}\n'
TOOL = "cwlVersion: v1.2\nclass: CommandLineTool\nid: tool\nbaseCommand: [tool]\n" + NAMES
FLOW = "cwlVersion: v1.2\nclass: Workflow\nid: flow\n" + NAMES
MAKE = (
    TOOL.replace("id: tool", "id: make")
    + """
inputs: {name: string, size: {type: int, default: 1}, maybe: "File?"}
outputs:
  file: {type: File, outputBinding: {glob: out.txt}}
  rare: {type: "File?", outputBinding: {glob: rare.txt}}
  names: {type: "string[]"}
"""
)
GATHER = (
    TOOL.replace("id: tool", "id: gather")
    + """
inputs: {files: "File[]", one: "File?"}
outputs: {report: {type: File, outputBinding: {glob: report.txt}}}
"""
)
SCATTERED = (
    FLOW
    + """
requirements: {ScatterFeatureRequirement: {}, MultipleInputFeatureRequirement: {}}
inputs: {names: "string[]", extra: "File?"}
steps:
  gather:
    run: gather.cwl
    in: {files: {source: make/rare, pickValue: all_non_null}, one: extra}
    out: [report]
  make: {run: make.cwl, scatter: name, in: {name: names}, out: [file, rare]}
outputs:
  report: {type: File, outputSource: gather/report}
  files: {type: "File[]", outputSource: make/file}
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "make.cwl").write_text(MAKE)
    (tmp_path / "gather.cwl").write_text(GATHER)
    return tmp_path


def load(folder: Path, text: str) -> Process:
    (folder / "process.cwl").write_text(text)
    return load_process(folder / "process.cwl")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_a_snapshot_gives_an_equal_process(path: Path) -> None:
    process = load_process(path)

    assert Process.from_json(json.loads(json.dumps(process.to_json()))) == process


def test_there_are_processes_to_load() -> None:
    assert {"ingest", "detect", "orchard_monitoring"} <= {path.parent.name for path in SHIPPED}


def test_a_snapshot_outlives_its_files(folder: Path) -> None:
    process = load(folder, SCATTERED)
    snapshot = process.to_json()
    for file in folder.iterdir():
        file.unlink()

    assert Process.from_json(snapshot) == process


def test_the_digest_depends_on_content_and_not_on_place(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    assert load(folder, MAKE).digest == load(elsewhere, MAKE).digest
    assert (
        load(folder, MAKE).digest != load(folder, MAKE.replace("default: 1", "default: 2")).digest
    )


def test_loading_is_fast(folder: Path) -> None:
    load(folder, SCATTERED)
    times = []
    for _ in range(5):
        start = time.process_time()
        load_process(folder / "process.cwl")
        times.append(time.process_time() - start)
    assert min(times) < 0.03, "30 ms of CPU"


def test_steps_come_in_an_order_in_which_they_can_run(folder: Path) -> None:
    process = load(folder, SCATTERED)

    assert list(process.steps) == ["make", "gather"]
    assert process.steps["make"].scatter == ("name",)
    assert process.steps["gather"].inputs["files"].pick_value == "all_non_null"
    assert process.steps["make"].process.id == "make"


def test_lists_and_maps_say_the_same(folder: Path) -> None:
    as_map = load(
        folder,
        TOOL
        + """
requirements: {ResourceRequirement: {ramMin: 100, ramMax: 200, coresMin: 2}}
hints: {DockerRequirement: {dockerPull: "image:1"}, "cdi:GPU": {count: 1}}
inputs: {a: string?, b: {type: {type: record, name: b, fields: {x: int, y: {type: "File[]"}}}}}
outputs: {c: {type: File, outputBinding: {glob: c.txt}}}
""",
    )
    as_list = load(
        folder,
        TOOL
        + """
requirements: [{class: ResourceRequirement, ramMin: 100, ramMax: 200, coresMin: 2}]
hints: [{class: DockerRequirement, dockerPull: "image:1"}, {class: "cdi:GPU", count: 1}]
inputs:
  - {id: a, type: ["null", string]}
  - id: b
    type: {type: record, name: b, fields: [{name: x, type: int}, {name: y, type: {type: array, items: File}}]}
outputs: [{id: c, type: File, outputBinding: {glob: c.txt}}]
""",  # noqa: E501
    )
    assert as_map.inputs == as_list.inputs
    assert as_map.outputs == as_list.outputs
    assert as_map.tool == as_list.tool
    assert as_list.tool is not None
    assert as_list.tool.image == "image:1"
    assert as_list.tool.gpu is not None
    assert (as_list.tool.resources.ram_max, as_list.tool.resources.cores_max) == (200, 2)


def test_what_the_tool_says_about_itself_is_read(folder: Path) -> None:
    process = load(
        folder,
        TOOL
        + """
label: Count trees
doc: Counts.
s:softwareVersion: "1.2.0"
s:keywords: [trees, crowns]
s:license: https://spdx.org/licenses/Apache-2.0
ogc:schema: |
  {"anyOf": [{"required": ["a"]}]}
requirements: {ToolTimeLimit: {timelimit: 60}, NetworkAccess: {networkAccess: true}, WorkReuse: {enableReuse: false}}
permanentFailCodes: [65]
temporaryFailCodes: [75, 76]
inputs:
  a:
    type: double?
    ogc:schema: |
      {"minimum": 0.5}
  hidden:
    type: File?
    ogc:schema: |
      {"x-internal": true}
outputs: {}
""",  # noqa: E501
    )
    tool = process.tool
    assert tool is not None
    assert (process.title, process.version) == ("Count trees", "1.2.0")
    assert process.keywords == ("trees", "crowns")
    assert process.schema == {"anyOf": [{"required": ["a"]}]}
    assert process.inputs["a"].schema == {"minimum": 0.5}
    assert [name for name, item in process.inputs.items() if item.internal] == ["hidden"]
    assert (tool.time_limit_s, tool.network, tool.reuse) == (60, True, False)
    assert tool.temporary_fail_codes == (75, 76)


def test_scalars_are_read_as_by_the_reference_runner(folder: Path) -> None:
    text = (
        TOOL
        + "outputs: {}\ninputs:\n"
        + "".join(
            f"  {name}: {{type: {kind}, default: {value}}}\n"
            for name, kind, value in [
                ("day", "string", "2023-01-01"),
                ("answer", "string", "no"),
                ("clock", "string", "12:30"),
                ("tiny", "double", "1e-3"),
                ("ten", "int", "010"),
            ]
        )
    )
    defaults = {name: item.default for name, item in load(folder, text).inputs.items()}

    assert defaults == {
        "day": "2023-01-01",
        "answer": "no",
        "clock": "12:30",
        "tiny": 0.001,
        "ten": 10,
    }


def test_a_default_file_lies_beside_the_process(folder: Path) -> None:
    text = (
        TOOL
        + "outputs: {}\ninputs: {config: {type: File, default: {class: File, location: x.yml}}}"
    )

    default = load(folder, text).inputs["config"].default
    assert default == {
        "class": "File",
        "location": (folder / "x.yml").as_uri(),
        "basename": "x.yml",
    }


def test_types_of_earth_observation_packages_are_known_by_name(folder: Path) -> None:
    base = "https://raw.githubusercontent.com/eoap/schemas/main"
    process = load(
        folder,
        TOOL
        + f"""
requirements:
  SchemaDefRequirement:
    types:
      - $import: {base}/ogc.yaml
      - $import: {base}/string_format.yaml
      - {{type: enum, name: Season, symbols: [spring, autumn]}}
inputs:
  area: {base}/ogc.yaml#BBox
  start: {base}/string_format.yaml#DateTime?
  pages: {{type: {{type: array, items: "{base}/string_format.yaml#URI"}}}}
  shapes: {base}/geojson.yaml#FeatureCollection
  season: Season
outputs: {{}}
arguments: [$(inputs.start.value)]
""",
    )
    area, start, pages, shapes, season = (item.type for item in process.inputs.values())
    assert isinstance(area, Record)
    assert [field.name for field in area.fields] == ["bbox", "crs"]
    assert isinstance(start, Optional)
    assert isinstance(pages, Array)
    assert isinstance(shapes, Record)
    assert shapes.open
    assert season == Enum(("spring", "autumn"), name="Season")


INPUT = TOOL + "outputs: {}\ninputs: "
REFUSED_IN_TOOLS = [
    (MAKE.replace("v1.2", "v1.0"), r"cwlVersion: is 'v1.0'; expected v1.2"),
    (MAKE.replace("CommandLineTool", "ExpressionTool"), "class: 'ExpressionTool' is not supported"),
    ("$graph: []", r"\$graph: is not supported; use one file per process"),
    (MAKE.replace("id: make", "id: 'a/b'"), "id: 'a/b' is no usable id"),
    (MAKE.replace("id: make", ""), "id: expected text, got None"),
    (MAKE + "stdin: x\n", "stdin: is not supported; pass the file by its name"),
    (MAKE + "successCodes: [3]\n", "successCodes: is not supported"),
    (MAKE + "colour: red\n", "colour: is not supported here; known are .*baseCommand"),
    (MAKE + "cdi:colour: red\n", "cdi:colour: is not known here"),
    (MAKE + "x:colour: red\n", "x:colour: namespace prefix 'x' is not declared"),
    (
        MAKE + "requirements: {InlineJavascriptRequirement: {}}",
        "InlineJavascriptRequirement: is not",
    ),
    (MAKE + "requirements: {ShellCommandRequirement: {}}", "write the command as a list"),
    (MAKE + "requirements: {DockerRequirement: {dockerPull: x}}", "must stand under hints"),
    (MAKE + "hints: {DockerRequirement: {dockerFile: x}}", "dockerFile: is not supported here"),
    (MAKE + "hints: {'cwltool:CUDARequirement': {}}", "prefix 'cwltool' is not declared"),
    (MAKE + "requirements: {ResourceRequirement: {ramMin: 9, ramMax: 8}}", "ramMax is less than"),
    (MAKE + "requirements: {ResourceRequirement: {ramMin: $(inputs.size)}}", "write the number"),
    (MAKE + "requirements: {ToolTimeLimit: {timelimit: 0}}", "a number greater than 0"),
    (MAKE + "requirements: {InitialWorkDirRequirement: {listing: [{entry: x}]}}", "only `"),
    (MAKE + "requirements: {InitialWorkDirRequirement: {listing: [$(inputs.x)]}}", "no input: x"),
    (MAKE + "requirements: {InitialWorkDirRequirement: {listing: [$(inputs.name)]}}", "no files"),
    (MAKE + "requirements: {EnvVarRequirement: {envDef: {CDI_CACHE: x}}}", "may not be set"),
    (MAKE + "arguments: [$(inputs.nam)]", r"\$\(inputs.nam\) names no input; declared are name"),
    (MAKE + "arguments: [$(inputs.maybe.colour)]", "there is no 'colour'"),
    (MAKE + "arguments: [$(runtime.tmpdir)]", "known are runtime.cores"),
    (MAKE + "arguments: ['${return 1}']", "JavaScript expression is not supported"),
    (MAKE + "arguments: [$(self)]", r"use \$\(inputs.name\)"),
    (MAKE + "arguments: ['$(inputs.size + f(1))']", "is not supported"),
    (MAKE.replace("glob: out.txt", "glob: ../x"), "leaves the working folder"),
    (MAKE.replace("glob: out.txt", "glob: x, outputEval: y"), "outputEval: is not supported"),
    (INPUT + "{a: [string, int]}", "inputs.a.type: a union of several types is not supported"),
    (INPUT + "{a: Any}", "a.type: type 'Any' is not supported; name the type"),
    (INPUT + "{a: strin}", "type 'strin' is not supported"),
    (INPUT + "{a: {type: File, secondaryFiles: [.bai]}}", "declare an input for each file"),
    (INPUT + "{a: {type: string, inputBinding: {valueFrom: $(self)}}}", "valueFrom: is not"),
    (INPUT + "{a: {type: string, inputBinding: {separate: false}}}", "needs a prefix"),
    (
        INPUT + "{a: {type: string, inputBinding: {position: $(1)}}}",
        "position: expected an integer",
    ),
    (
        INPUT + "{a: {type: int, default: 2.5}}",
        "expected an integer of 32 bits, got the number 2.5",
    ),
    (INPUT + "{a: {type: int, default: 3000000000}}", "expected an integer of 32 bits"),
    (INPUT + "{'1a': int}", "no usable id"),
    (INPUT + "[{id: a, type: int}, {id: a, type: int}]", "id 'a' occurs twice"),
    (INPUT + "{a: {type: int, ogc:schema: {minimum: 1}}}", "expected JSON text"),
    (INPUT + "{a: {type: int, ogc:schema: '{'}}", "is not valid JSON"),
    (INPUT + "{a: {type: int}, a: {type: int}}", r"key 'a' occurs twice[^\n]*\n.*line 7"),
    (TOOL + "requirements: {SchemaDefRequirement: {types: [{$import: x.yml}]}}", "import of x.yml"),
    ("- a list", "is no CWL document"),
    ("{", "is not valid YAML"),
    ("a: &a [*a]", "is not valid YAML"),
    (
        "a: &a [x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for a, b in pairwise("abcdefg")),
        "holds too many values",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED_IN_TOOLS)
def test_a_tool_outside_the_subset_is_refused(text: str, message: str, folder: Path) -> None:
    with pytest.raises(ProcessFileError, match=message) as raised:
        load(folder, text)
    assert str(raised.value).startswith(str(folder / "process.cwl"))


REFUSED_IN_WORKFLOWS = [
    ("run: make.cwl", "run: none.cwl", "none.cwl: cannot be read"),
    ("run: make.cwl", "run: https://x.org/make.cwl", "name a file relative to this one"),
    ("run: make.cwl", "run: process.cwl", "a workflow as a step is not supported"),
    ("run: make.cwl", "run: {class: CommandLineTool}", "expected the file of a tool"),
    ("make: {run", "a-step-id-that-is-too-long: {run", "at most 20 characters"),
    ("make: {run", "Make_it: {run", "step id 'Make_it' is not usable"),
    ("scatter: name", "scatter: nam", "'nam' is no input of this step"),
    ("scatter: name", "when: $(inputs.name)", "when: is not supported"),
    ("scatter: name", "scatter: name, scatterMethod: flat_crossproduct", "use dotproduct"),
    ("scatter: name, ", "", "takes string, but its source gives string"),
    ("ScatterFeatureRequirement: {}, ", "", "needs `ScatterFeatureRequirement"),
    ("{name: names}", "{name: names, nam: names}", "make has no such input; it has name, size"),
    ("{name: names}", "{}", "'name' is no input of this step"),
    ("{name: names}", "{name: namez}", "source 'namez' names no input; there are names, extra"),
    ("{name: names}", "{name: gather/report}", "steps wait for one another: "),
    ("{name: names}", "{name: x/report}", "names no step"),
    ("{name: names}", "{name: {source: names, valueFrom: $(self)}}", "valueFrom: is not supported"),
    ("{name: names}", "{name: names, size: {default: x}}", "expected an integer of 32 bits"),
    ("out: [file, rare]", "out: [file]", "step make gives no 'rare'"),
    ("out: [file, rare]", "out: [file, rare, other]", "make has no output 'other'"),
    (", pickValue: all_non_null", "", r"gives File\?\[\]; add `pickValue: all_non_null`"),
    ("pickValue: all_non_null", "pickValue: first_non_null", "use all_non_null"),
    ("extra: \"File?\"", "extra: int", r"takes File\?, but its source gives int"),
    ("files: {source: make/rare, pickValue: all_non_null}, ", "", "gather needs input 'files'"),
    ("type: \"File[]\"", "type: File", r"is File, but its source gives File\[\]"),
    ("outputSource: gather/report", "outputSource: gather/none", "gives no 'none'"),
    (", outputSource: gather/report", "", "has no outputSource"),
    ("names: \"string[]\"", "names: {type: \"string[]\", inputBinding: {}}", "to the tools"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), REFUSED_IN_WORKFLOWS)
def test_a_wrong_workflow_is_refused(old: str, new: str, message: str, folder: Path) -> None:
    assert old in SCATTERED
    with pytest.raises(ProcessFileError, match=message):
        load(folder, SCATTERED.replace(old, new))


def test_an_optional_source_needs_a_default_or_an_optional_sink(folder: Path) -> None:
    text = SCATTERED.replace("scatter: name, in: {name: names}", "in: {name: maybe}")
    text = text.replace('extra: "File?"', 'extra: "File?", maybe: "string?"')
    with pytest.raises(
        ProcessFileError, match=r"takes string, but its source gives string\?; make it"
    ):
        load(folder, text)


def test_several_sources_make_a_list(folder: Path) -> None:
    text = (
        FLOW
        + """
requirements: {MultipleInputFeatureRequirement: {}}
inputs: {one: File, two: "File?"}
steps:
  gather:
    run: gather.cwl
    in: {files: {source: [one, two], pickValue: all_non_null}}
    out: [report]
outputs: {report: {type: File, outputSource: gather/report}}
"""
    )
    link = load(folder, text).steps["gather"].inputs["files"]

    assert (link.sources, link.many) == (("one", "two"), True)
    with pytest.raises(ProcessFileError, match="needs `MultipleInputFeatureRequirement"):
        load(folder, text.replace("MultipleInputFeatureRequirement: {}", ""))


FILE, INT = Primitive("File"), Primitive("int")


@pytest.mark.parametrize(
    ("sink", "source", "fits"),
    [
        (INT, INT, True),
        (Primitive("long"), INT, False),
        (Optional(INT), INT, True),
        (INT, Optional(INT), False),
        (Array(Optional(FILE)), Array(FILE), True),
        (Array(FILE), Array(Optional(FILE)), False),
        (Enum(("a", "b")), Enum(("a",)), True),
        (Enum(("a",)), Enum(("a", "b")), False),
        (Primitive("string"), Enum(("a",)), False),
    ],
    ids=lambda value: type_name(value) if not isinstance(value, bool) else str(value),
)
def test_links_fit_as_the_standard_says(sink: Any, source: Any, fits: bool) -> None:
    assert accepts(sink, source) is fits
