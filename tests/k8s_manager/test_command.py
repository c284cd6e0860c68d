"""The command of a tool: by hand for the rules, against cwltool for the order of arguments."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from k8s_manager.command import build
from k8s_manager.cwl import load_process
from k8s_manager.errors import ProcessFileError

PRINT = "import json, sys; json.dump(sys.argv[1:], open('argv.json', 'w'))"
HEAD = f"""
cwlVersion: v1.2
class: CommandLineTool
id: show
baseCommand: [{sys.executable}, -c, "{PRINT}"]
outputs: {{argv: {{type: File, outputBinding: {{glob: argv.json}}}}}}
"""
BATCH = """
inputs:
  batch:
    type:
      type: record
      name: batch
      fields:
        id: {type: string, inputBinding: {prefix: "--batch-id=", separate: false}}
        core:
          type: double[]
          inputBinding: {prefix: "--core=", separate: false, itemSeparator: ","}
        buffer: {type: double, inputBinding: {prefix: "--buffer=", separate: false}}
        crs: {type: string, inputBinding: {prefix: "--crs=", separate: false}}
        ndom: {type: {type: array, items: File, inputBinding: {prefix: --ndom}}, inputBinding: {}}
        dop: {type: {type: array, items: File, inputBinding: {prefix: --dop}}, inputBinding: {}}
        items: {type: File, inputBinding: {prefix: --items}}
        unused: {type: File?}
    inputBinding: {}
  min_height: {type: double, default: 2.5, inputBinding: {prefix: --min-height}}
arguments: [--id, $(inputs.batch.id), --items-name, "the $(inputs.batch.items.basename)!"]
"""
POSITIONS = """
inputs:
  last: {type: string, inputBinding: {position: 9}}
  first: {type: "string[]", inputBinding: {position: -1, prefix: -f}}
  many:
    type: {type: array, items: string, inputBinding: {prefix: -m, separate: false}}
    inputBinding: {position: 3}
  bare:
    type: {type: array, items: int, inputBinding: {prefix: -b}}
  nested:
    type: {type: array, items: {type: array, items: int, inputBinding: {prefix: -n}}}
    inputBinding: {position: 3, prefix: -N}
  kind:
    type: {type: enum, symbols: [soft, hard], inputBinding: {prefix: --inner}}
    inputBinding: {prefix: --kind}
  yes: {type: boolean, inputBinding: {prefix: --yes}}
  no: {type: boolean, inputBinding: {prefix: --no}}
  absent: {type: "string?", inputBinding: {prefix: --absent}}
  empty: {type: "string[]", inputBinding: {prefix: --empty}}
  whole: {type: double, inputBinding: {prefix: --whole}}
  tiny: {type: double, inputBinding: {prefix: --tiny}}
  spaced: {type: string, inputBinding: {position: 2, prefix: --text}}
  folder: {type: Directory, inputBinding: {prefix: --folder}}
  pairs:
    type:
      type: array
      items:
        type: record
        name: pair
        fields:
          x: {type: int, inputBinding: {prefix: -x, position: 2}}
          y: {type: "int?", inputBinding: {prefix: -y, position: 1}}
    inputBinding: {position: 4, prefix: --pairs}
arguments:
  - plain
  - {valueFrom: $(inputs.whole), prefix: --again, position: 5}
  - {valueFrom: $(inputs.first), prefix: --list, itemSeparator: ";"}
  - {valueFrom: $(inputs.first), prefix: --words, position: 20}
  - \\$(not.a.reference)
  - $(runtime.cores)
  - $(runtime.ram)
"""
STAGED = """
requirements:
  InitialWorkDirRequirement: {listing: [$(inputs.gathered), $(inputs.single)]}
  EnvVarRequirement: {envDef: {PLACE: "in $(inputs.single.basename)"}}
inputs:
  gathered: File[]
  single: {type: File, inputBinding: {prefix: --single}}
  other: {type: File, inputBinding: {prefix: --other}}
arguments:
  - "--all=."
  - $(inputs.gathered[1].basename)
  - $(inputs.single.nameroot)
  - $(inputs.single.nameext)
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "folder").mkdir(parents=True)
    for name in ("a.tif", "b.tif", "items.json", "x.tar.gz"):
        (folder / name).write_text(name)
    return folder


def file(path: Path) -> dict[str, Any]:
    kind = "Directory" if path.is_dir() else "File"
    return {"class": kind, "location": path.as_uri(), "basename": path.name}


def values_of(case: str, folder: Path) -> dict[str, Any]:
    a, b, items, x = (file(folder / name) for name in ("a.tif", "b.tif", "items.json", "x.tar.gz"))
    return {
        "batch": {
            "batch": {
                "id": "b1_2",
                "core": [500000.0, 5700000.5, 501000.0, 5701000.0],
                "buffer": 30.0,
                "crs": "EPSG:25832",
                "ndom": [a, b],
                "dop": [],
                "items": items,
                "unused": None,
            }
        },
        "positions": {
            "last": "end",
            "first": ["one", "two three"],
            "many": [*"abcdefghijkl"],
            "bare": [7, 8, 9],
            "nested": [[1, 2], [], [3]],
            "kind": "hard",
            "yes": True,
            "no": False,
            "empty": [],
            "whole": 3.0,
            "tiny": 0.00001,
            "spaced": "$HOME; 'ä'",
            "folder": file(folder / "folder"),
            "pairs": [{"x": 1, "y": 2}, {"x": 3}],
        },
        "staged": {"gathered": [a, b], "single": x, "other": items},
    }[case]


def by_name(argv: list[str]) -> list[str]:
    """Reduce paths to base names: the folders differ between runners."""
    return [re.sub(r"(?<![\w.])[^=,]*/(?=[^/]+$)", "", word) for word in argv]


@pytest.mark.parametrize(
    ("case", "text"), [("batch", BATCH), ("positions", POSITIONS), ("staged", STAGED)]
)
def test_arguments_are_those_that_cwltool_gives(
    case: str, text: str, tmp_path: Path, files: Path
) -> None:
    tool = tmp_path / "tool.cwl"
    tool.write_text(HEAD + text)
    values = values_of(case, files)
    (tmp_path / "job.json").write_text(json.dumps(values))

    ours = build(load_process(tool), values).argv

    subprocess.run(
        [sys.executable, "-m", "cwltool", "--no-container", "--quiet", "tool.cwl", "job.json"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    theirs = json.loads((tmp_path / "argv.json").read_text())
    assert by_name(list(ours[3:])) == by_name(theirs)


def load(tmp_path: Path, text: str) -> Any:
    tool = tmp_path / "tool.cwl"
    tool.write_text(HEAD + text)
    return load_process(tool)


def test_files_are_linked_in_the_order_of_the_inputs(tmp_path: Path, files: Path) -> None:
    invocation = build(load(tmp_path, BATCH), values_of("batch", files))

    assert [(link.basename, link.location) for link in invocation.inputs] == [
        ("a.tif", (files / "a.tif").as_uri()),
        ("b.tif", (files / "b.tif").as_uri()),
        ("items.json", (files / "items.json").as_uri()),
    ]
    assert invocation.argv[7:] == (
        "--buffer=30.0",
        "--core=500000.0,5700000.5,501000.0,5701000.0",
        "--crs=EPSG:25832",
        "--batch-id=b1_2",
        "--items",
        "../inputs/2/items.json",
        "--ndom",
        "../inputs/0/a.tif",
        "--ndom",
        "../inputs/1/b.tif",
        "--min-height",
        "2.5",
    )
    assert invocation.staged == ()


def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    tool = load(tmp_path, "inputs: {files: {type: 'File[]', inputBinding: {}}}")
    same = [
        {"class": "File", "location": f"workspace:jobs/{n}/x.tif", "basename": "x.tif"}
        for n in (1, 2)
    ]

    assert build(tool, {"files": same}).argv[3:] == ("../inputs/0/x.tif", "../inputs/1/x.tif")


def test_staged_files_lie_in_the_working_folder(tmp_path: Path, files: Path) -> None:
    invocation = build(load(tmp_path, STAGED), values_of("staged", files))

    assert invocation.staged == ((0, "a.tif"), (1, "b.tif"), (2, "x.tar.gz"))
    assert invocation.argv[3:] == (
        *("--all=.", "b.tif", "x.tar", ".gz"),
        *("--other", "../inputs/3/items.json"),
        *("--single", "x.tar.gz"),
    )
    assert invocation.env == {"PLACE": "in x.tar.gz"}


def test_staged_files_of_one_name_are_refused(tmp_path: Path, files: Path) -> None:
    values = values_of("staged", files)
    values["gathered"] = [values["gathered"][0]] * 2

    with pytest.raises(ProcessFileError, match=r"two files named 'a.tif' would lie in the working"):
        build(load(tmp_path, STAGED), values)


def test_output_patterns_take_values_but_never_leave_the_folder(tmp_path: Path) -> None:
    text = (
        HEAD.replace("glob: argv.json", "glob: 'crowns-$(inputs.id).gpkg'") + "inputs: {id: string}"
    )
    (tmp_path / "tool.cwl").write_text(text)
    tool = load_process(tmp_path / "tool.cwl")

    assert build(tool, {"id": "b1"}).outputs["argv"].glob == ("crowns-b1.gpkg",)
    with pytest.raises(ProcessFileError, match="no file name within the working folder"):
        build(tool, {"id": "/../../x"})


def test_resources_of_a_later_round_reach_the_command(tmp_path: Path) -> None:
    tool = load(
        tmp_path, "inputs: {}\narguments: [$(runtime.cores), $(runtime.ram), $(runtime.outdir)]"
    )

    assert build(tool, {}).argv[3:] == ("1", "256", ".")
    assert build(tool, {}, cores=2, ram_mb=512).argv[3:] == ("2", "512", ".")


def test_stdout_gets_the_name_that_the_tool_gives(tmp_path: Path) -> None:
    (tmp_path / "tool.cwl").write_text(
        "{cwlVersion: v1.2, class: CommandLineTool, id: echo, baseCommand: echo,"
        " stdout: $(inputs.name).txt, inputs: {name: string}, outputs: {said: stdout}}"
    )
    invocation = build(load_process(tmp_path / "tool.cwl"), {"name": "greeting"})

    assert invocation.stdout == "greeting.txt"
    assert invocation.outputs["said"].glob == ("greeting.txt",)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "input id: expected a string, got null"),
        ({"id": 5}, "input id: expected a string, got the number 5"),
    ],
)
def test_a_value_of_another_type_is_refused(
    values: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ProcessFileError, match=message):
        build(load(tmp_path, "inputs: {id: string}"), values)
