"""Reading a CommandLineTool: what runs, with what resources, and where its outputs will lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from k8s_manager.cwl_document import (
    Place,
    entries,
    flag,
    json_text,
    known_keys,
    number,
    prose,
    text,
    texts,
)
from k8s_manager.cwl_model import Argument, Gpu, Input, Output, Resources, Tool
from k8s_manager.cwl_parts import (
    CDI,
    OGC,
    Scope,
    identifier,
    parse_binding,
    parse_named_types,
    parse_type,
)
from k8s_manager.cwl_reference import check, has_reference, input_of
from k8s_manager.cwl_types import Binding, CwlType, Primitive, is_file_like

TOOL_KEYS = ("baseCommand", "arguments", "stdout", "permanentFailCodes", "temporaryFailCodes")
TOOL_REFUSED = {
    "stdin": "pass the file by its name",
    "stderr": "the runner keeps stderr as the log",
    "successCodes": "let the program exit with 0",
    "intent": "leave it out",
}
_OUTPUT_REFUSED = {
    "secondaryFiles": "declare an output for each file",
    "streamable": "leave it out",
    "format": "name the media type in ogc:schema as contentMediaType",
}
_NEVER = {
    "InlineJavascriptRequirement": "use $(inputs.name) without JavaScript",
    "ShellCommandRequirement": "write the command as a list",
    "SubworkflowFeatureRequirement": "write all steps into one workflow",
    "StepInputExpressionRequirement": "let a step make the value",
    "InplaceUpdateRequirement": "write a new file",
    "LoadListingRequirement": "list the Directory in the program",
    "CUDARequirement": "use the hint cdi:GPU",
    "http://commonwl.org/cwltool#CUDARequirement": "use the hint cdi:GPU",
}


def parse_tool(document: Mapping[str, Any], inputs: Mapping[str, Input], scope: Scope) -> Tool:
    """Return the tool of a document.

    Raises:
        ProcessFileError: Something in it is wrong or not supported.
    """
    place = scope.place
    base = texts(document.get("baseCommand"), place / "baseCommand")
    arguments = tuple(
        _argument(value, inputs, place / "arguments" / index)
        for index, value in enumerate(_listed(document.get("arguments"), place / "arguments"))
    )
    if not base and not arguments:
        place.refuse("has neither baseCommand nor arguments", "name the program to run")
    stdout = document.get("stdout")
    found = _requirements(document, inputs, scope)
    if stdout is not None:
        found["stdout"] = file_pattern(check(text(stdout, place / "stdout"), inputs, place), place)
    for key, name in (
        ("permanentFailCodes", "permanent_fail_codes"),
        ("temporaryFailCodes", "temporary_fail_codes"),
    ):
        if key in document:
            found[name] = _codes(document[key], place / key)
    return Tool(base_command=base, arguments=arguments, **found)


def parse_outputs(
    value: Any, inputs: Mapping[str, Input], tool: Tool, scope: Scope
) -> tuple[dict[str, Output], Tool]:
    """Return the outputs of a tool, and the tool with a name for its stdout if one is needed."""
    result: dict[str, Output] = {}
    for where, entry in entries(value, scope.place / "outputs", "id", "type"):
        plain, more = scope.extensions(entry, where)
        known_keys(plain, where, {"id", "type", "label", "doc", "outputBinding"}, _OUTPUT_REFUSED)
        name = identifier(entry["id"], where)
        glob = _glob(plain.get("outputBinding"), inputs, where / "outputBinding")
        if plain.get("type") == "stdout":
            if tool.stdout is None:
                tool = replace(tool, stdout=f"{name}.txt")
            type_: CwlType = Primitive("File")
            glob = (str(tool.stdout),)
        else:
            type_ = parse_type(plain.get("type"), scope, where / "type")
        if glob and not is_file_like(type_):
            where.refuse("glob is for File and Directory", "write other values to cwl.output.json")
        result[name] = Output(
            id=name,
            type=type_,
            label=prose(plain.get("label"), where / "label"),
            doc=prose(plain.get("doc"), where / "doc"),
            schema=json_text(more.get(f"{OGC}schema"), where / "ogc:schema"),
            glob=glob,
        )
    return result, tool


def file_pattern(pattern: str, place: Place) -> str:
    """Return a file name pattern after checking that it stays within the working folder."""
    if pattern.startswith("/") or ".." in pattern.split("/") or "\0" in pattern or not pattern:
        place.refuse(f"{pattern!r} leaves the working folder", "use a relative name without ..")
    return pattern


def requirement_entries(
    document: Mapping[str, Any], scope: Scope, known: Mapping[str, set[str]], hints_only: set[str]
) -> list[tuple[str, dict[str, Any], Place]]:
    """Return requirements and hints by class, refusing what is not supported by name.

    Args:
        document: Tool or workflow.
        scope: Its namespaces.
        known: Classes and their fields.
        hints_only: Classes allowed under hints alone.
    """
    result = []
    for section in ("requirements", "hints"):
        for where, entry in entries(document.get(section), scope.place / section, "class", None):
            class_ = scope.uri(entry["class"], where) or entry["class"]
            class_ = "cdi:" + class_.removeprefix(CDI) if class_.startswith(CDI) else class_
            if class_ in _NEVER:
                where.refuse("is not supported", _NEVER[class_])
            if class_ == "SoftwareRequirement" and section == "hints":
                continue
            if class_ not in known:
                where.refuse("is not supported here", f"known are {', '.join(sorted(known))}")
            if class_ in hints_only and section == "requirements":
                where.refuse("must stand under hints", "engines without it shall run the tool too")
            result.append((class_, known_keys(entry, where, {"class", *known[class_]}), where))
    return result


_KNOWN = {
    "DockerRequirement": {"dockerPull"},
    "cdi:GPU": {"count"},
    "ResourceRequirement": {
        "coresMin",
        "coresMax",
        "ramMin",
        "ramMax",
        "tmpdirMin",
        "tmpdirMax",
        "outdirMin",
        "outdirMax",
    },
    "ToolTimeLimit": {"timelimit"},
    "NetworkAccess": {"networkAccess"},
    "WorkReuse": {"enableReuse"},
    "InitialWorkDirRequirement": {"listing"},
    "EnvVarRequirement": {"envDef"},
    "SchemaDefRequirement": {"types"},
}


def _requirements(
    document: Mapping[str, Any], inputs: Mapping[str, Input], scope: Scope
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for class_, entry, where in requirement_entries(
        document, scope, _KNOWN, {"DockerRequirement", "cdi:GPU"}
    ):
        match class_:
            case "DockerRequirement":
                found["image"] = text(entry.get("dockerPull"), where / "dockerPull")
            case "cdi:GPU":
                found["gpu"] = Gpu(int(number(entry.get("count"), where / "count", 1)))
            case "ResourceRequirement":
                found["resources"] = _resources(entry, where)
            case "ToolTimeLimit":
                found["time_limit_s"] = int(number(entry.get("timelimit"), where / "timelimit"))
            case "NetworkAccess":
                found["network"] = flag(entry.get("networkAccess"), where / "networkAccess", False)
            case "WorkReuse":
                found["reuse"] = flag(entry.get("enableReuse"), where / "enableReuse", True)
            case "InitialWorkDirRequirement":
                found["staged"] = _staged(entry.get("listing"), inputs, where / "listing")
            case "EnvVarRequirement":
                found["env"] = _environment(entry.get("envDef"), inputs, where / "envDef")
    return found


def read_named_types(document: Mapping[str, Any], scope: Scope) -> None:
    """Read the types that the document defines, before its inputs name them."""
    for section in ("requirements", "hints"):
        for where, entry in entries(document.get(section), scope.place / section, "class", None):
            if entry["class"] == "SchemaDefRequirement":
                parse_named_types(entry.get("types"), scope, where / "types")


def _resources(entry: Mapping[str, Any], place: Place) -> Resources:
    def pair(name: str, default: float) -> tuple[float, float]:
        low, high = entry.get(f"{name}Min"), entry.get(f"{name}Max")
        smallest = number(low if low is not None else high, place / f"{name}Min", default)
        largest = number(high, place / f"{name}Max", smallest)
        if largest < smallest:
            place.refuse(f"{name}Max is less than {name}Min")
        return smallest, largest

    cores, ram = pair("cores", 1), pair("ram", 256)
    return Resources(cores[0], cores[1], int(ram[0]), int(ram[1]))


def _staged(value: Any, inputs: Mapping[str, Input], place: Place) -> tuple[str, ...]:
    names = []
    for index, entry in enumerate(_listed(value, place)):
        where = place / index
        name = input_of(entry) if isinstance(entry, str) else None
        if name is None:
            where.refuse("only `$(inputs.name)` is supported", "let the program write other files")
        if name not in inputs:
            where.refuse(f"names no input: {name}", f"declared are {', '.join(inputs)}")
        if not is_file_like(inputs[name].type):
            where.refuse(f"input {name} holds no files")
        names.append(name)
    return tuple(names)


def _environment(value: Any, inputs: Mapping[str, Input], place: Place) -> dict[str, str]:
    result = {}
    for where, entry in entries(value, place, "envName", "envValue"):
        known_keys(entry, where, {"envName", "envValue"})
        name = entry["envName"]
        if "=" in name or not name or name.startswith("CDI_"):
            where.refuse(f"environment variable {name!r} may not be set")
        result[name] = check(text(entry.get("envValue"), where), inputs, where)
    return result


def _argument(value: Any, inputs: Mapping[str, Input], place: Place) -> Argument:
    if isinstance(value, str):
        return Argument(check(value, inputs, place), Binding())
    known = {"position", "prefix", "separate", "itemSeparator", "valueFrom"}
    known_keys(value, place, known, {"shellQuote": "commands are run without a shell"})
    binding = parse_binding({k: v for k, v in value.items() if k != "valueFrom"}, place)
    given = check(text(value.get("valueFrom"), place / "valueFrom"), inputs, place / "valueFrom")
    return Argument(given, binding or Binding())


def _glob(value: Any, inputs: Mapping[str, Input], place: Place) -> tuple[str, ...]:
    if value is None:
        return ()
    refused = {
        "outputEval": "write the value to cwl.output.json",
        "loadContents": "write the value to cwl.output.json",
        "loadListing": "leave it out",
    }
    known_keys(value, place, {"glob"}, refused)
    patterns = texts(value.get("glob"), place / "glob")
    for pattern in patterns:
        check(pattern, inputs, place / "glob")
        if not has_reference(pattern):
            file_pattern(pattern, place / "glob")
    return patterns


def _codes(value: Any, place: Place) -> tuple[int, ...]:
    codes = _listed(value, place)
    if not all(isinstance(code, int) and 0 < code < 256 for code in codes):
        place.refuse(f"expected exit codes between 1 and 255, got {value!r}")
    return tuple(codes)


def _listed(value: Any, place: Place) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        place.refuse(f"expected a list, got {type(value).__name__}")
    return value
