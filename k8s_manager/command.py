"""From a tool and values to what the runner starts: argument list, linked inputs, environment.

The rules are CWL v1.2's (CommandLineTool, "Input binding"); the order of arguments is the one that
CWL's reference runner gives, which a test compares. Nothing is looked up on disk here: a command is
a pure function of tool and values, so that a step can be recognised as done before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from k8s_manager.cwl_model import Input, Process
from k8s_manager.cwl_reference import as_text, evaluate, has_reference
from k8s_manager.cwl_types import Array, Binding, CwlType, Enum, Optional, Record, mismatches
from k8s_manager.errors import ProcessFileError


@dataclass(frozen=True)
class InputLink:
    """A file or folder that the step reads: link n is ``inputs/<n>/<basename>``."""

    location: str
    """``workspace:...``, ``cache:sha256/<hex>`` or ``file:///...``."""
    basename: str
    checksum: str | None = None
    """``sha256$<hex>``, if known."""
    directory: bool = False


@dataclass(frozen=True)
class OutputSpec:
    """An output that the runner looks for."""

    type: CwlType
    glob: tuple[str, ...]
    """File name patterns in the working folder; none: the value stands in cwl.output.json."""


@dataclass(frozen=True)
class Invocation:
    """One program start. Its working folder is the attempt's ``outputs``."""

    argv: tuple[str, ...]
    inputs: tuple[InputLink, ...]
    staged: tuple[tuple[int, str], ...]
    """Number of a link and the name under which it also lies in the working folder."""
    outputs: Mapping[str, OutputSpec]
    stdout: str | None = None
    """File in the working folder that takes the standard output."""
    env: Mapping[str, str] = field(default_factory=dict)


def build(
    process: Process,
    values: Mapping[str, Any],
    *,
    cores: float | None = None,
    ram_mb: int | None = None,
) -> Invocation:
    """Return the command of a tool for the given input values.

    Args:
        process: A process with a tool.
        values: CWL values by input id; what is absent or null takes the input's default.
        cores: ``$(runtime.cores)``; the tool's minimum when None.
        ram_mb: ``$(runtime.ram)`` in MiB; the tool's minimum when None.

    Raises:
        ProcessFileError: A value does not fit the tool, or two staged files have one name.
    """
    tool = process.tool
    if tool is None:
        raise ProcessFileError(f"{process.id} is a workflow; only its steps have commands")
    links: list[InputLink] = []
    staged: list[tuple[int, str]] = []
    given = {}
    for declared in process.inputs.values():
        value = _value(process.id, declared, values.get(declared.id))
        given[declared.id] = _link(value, links, staged if declared.id in tool.staged else None)
    _refuse_clashes(process.id, staged)
    context = {
        "inputs": given,
        "runtime": {
            "cores": _whole(tool.resources.cores_min if cores is None else cores),
            "ram": tool.resources.ram_min if ram_mb is None else ram_mb,
            "outdir": ".",
        },
    }
    outputs = {
        output.id: OutputSpec(output.type, _patterns(process.id, output.glob, context))
        for output in process.outputs.values()
    }
    return Invocation(
        argv=_argv(process, given, context),
        inputs=tuple(links),
        staged=tuple(staged),
        outputs=outputs,
        stdout=None if tool.stdout is None else _name(process.id, evaluate(tool.stdout, context)),
        env={name: as_text(evaluate(text, context)) for name, text in tool.env.items()},
    )


def _value(process_id: str, declared: Input, given: Any) -> Any:
    value = declared.default if given is None else given
    type_ = Optional(declared.type) if value is None and declared.has_default else declared.type
    for pointer, expected, got in mismatches(type_, value):
        raise ProcessFileError(
            f"{process_id}: input {declared.id}{pointer}: expected {expected}, got {got}"
        )
    return value


def _link(value: Any, links: list[InputLink], staged: list[tuple[int, str]] | None) -> Any:
    """Return the value with a ``path`` in each File and Directory, and note the links to make."""
    if isinstance(value, list):
        return [_link(item, links, staged) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class") not in ("File", "Directory"):
        return {key: _link(item, links, staged) for key, item in value.items()}
    location = str(value["location"])
    basename = str(value.get("basename") or location.rstrip("/").rsplit("/", 1)[-1])
    if basename in ("", ".", "..") or "/" in basename or "\0" in basename:
        raise ProcessFileError(f"{location}: {basename!r} is no usable file name")
    number = len(links)
    links.append(
        InputLink(location, basename, value.get("checksum"), value["class"] == "Directory")
    )
    path = f"../inputs/{number}/{basename}"
    if staged is not None:
        staged.append((number, basename))
        path = basename
    stem, dot, suffix = basename.rpartition(".")
    root, extension = (stem, dot + suffix) if stem else (basename, "")
    return {**value, "basename": basename, "path": path, "nameroot": root, "nameext": extension}


def _refuse_clashes(process_id: str, staged: list[tuple[int, str]]) -> None:
    seen = set()
    for _, name in staged:
        if name in seen:
            raise ProcessFileError(
                f"{process_id}: two files named {name!r} would lie in the working folder; "
                "name outputs of a scattered step by something that differs, "
                "for example $(inputs.batch.id)"
            )
        seen.add(name)


def _patterns(
    process_id: str, globs: tuple[str, ...], context: Mapping[str, Any]
) -> tuple[str, ...]:
    found: list[str] = []
    for glob in globs:
        value = evaluate(glob, context)
        found += [
            _name(process_id, item) for item in (value if isinstance(value, list) else [value])
        ]
    return tuple(found)


def _name(process_id: str, value: Any) -> str:
    """Return a file name made from values after checking that it stays in the working folder."""
    name = as_text(value)
    if not name or name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise ProcessFileError(f"{process_id}: {name!r} is no file name within the working folder")
    return name


def _whole(cores: float) -> float:
    return int(cores) if float(cores).is_integer() else cores


_Key = tuple[tuple[int, int | str], ...]


@dataclass(frozen=True)
class _Bound:
    """A value with its place on the command line."""

    key: _Key
    binding: Binding
    value: Any
    evaluated: bool = False


def _argv(
    process: Process, given: Mapping[str, Any], context: Mapping[str, Any]
) -> tuple[str, ...]:
    tool = process.tool
    assert tool is not None  # noqa: S101  the caller made sure
    bound: list[_Bound] = []
    for index, argument in enumerate(tool.arguments):
        reference = has_reference(argument.value)
        value = evaluate(argument.value, context)
        key = ((0, argument.binding.position), (0, index))
        bound.append(_Bound(key, argument.binding, value, evaluated=reference))
    for declared in process.inputs.values():
        if given[declared.id] is not None:
            bound += _bind(
                declared.type, declared.binding, given[declared.id], (), ((1, declared.id),)
            )
    bound.sort(key=lambda item: item.key)
    words = list(tool.base_command)
    for item in bound:
        words += _words(item)
    return tuple(words)


def _bind(
    type_: CwlType,
    binding: Binding | None,
    value: Any,
    lead: _Key,
    tail: _Key,
    key: _Key | None = None,
) -> Iterator[_Bound]:
    """Yield the bound parts of a value.

    A part's key is the path of positions that leads to it: position and name for an input or field,
    index for an item. Parts of a value that has a binding of its own sort below it.

    Args:
        type_: The value's type.
        binding: The binding at this level, if any.
        value: The value.
        lead: What stands before the position in the key (the item's index).
        tail: What stands after it (the name).
        key: The key of a binding that came from the array around, instead of its position.
    """
    while isinstance(type_, Optional):
        if value is None:
            return
        type_ = type_.item
    own = None
    if binding is not None:
        own = lead + (((0, binding.position),) if key is None else key) + tail
    parts: list[_Bound] = []
    if isinstance(type_, Array | Record | Enum):
        inner = type_.binding
        plain_array = isinstance(type_, Array) and inner is None
        if binding is not None and plain_array and binding.item_separator is None:
            inner = Binding()
        parts = list(_bind_inner(type_, inner, value, lead, tail))
    for part in parts:
        yield part if own is None else _Bound(own + part.key, part.binding, part.value)
    if binding is not None and own is not None:
        yield _Bound(own, binding, value)


def _bind_inner(
    type_: Array | Record | Enum, binding: Binding | None, value: Any, lead: _Key, tail: _Key
) -> Iterator[_Bound]:
    """Yield the parts of a structured value, with the binding that stands inside its type."""
    own = None if binding is None else (*lead, (0, binding.position), *tail)
    if isinstance(type_, Array):
        for index, item in enumerate(value):
            yield from _bind(type_.items, binding, item, ((0, index),), tail, own)
        return
    if isinstance(type_, Record):
        for member in type_.fields:
            item = value.get(member.name)
            if item is not None:
                for part in _bind(member.type, member.binding, item, lead, ((1, member.name),)):
                    yield part if own is None else _Bound(own + part.key, part.binding, part.value)
    if own is not None and binding is not None:
        yield _Bound(own, binding, value)


def _words(item: _Bound) -> list[str]:
    """Return the words of one bound value."""
    binding, value = item.binding, item.value
    prefix = [] if binding.prefix is None else [binding.prefix]
    if isinstance(value, list):
        if not value:
            return []
        if binding.item_separator is None:
            return prefix + ([as_text(part) for part in value] if item.evaluated else [])
        value = binding.item_separator.join(as_text(part) for part in value)
    elif isinstance(value, Mapping) and value.get("class") not in ("File", "Directory"):
        return prefix
    elif isinstance(value, bool):
        return prefix if value else []
    elif value is None:
        return []
    text = as_text(value)
    return [*prefix, text] if binding.separate else ["".join(prefix) + text]
