"""Parameter references, ``$(inputs.batch.id)``: CWL's way to name a value without JavaScript.

They are checked when a process is loaded, against the declared types, so that a misspelt name is
found then and not in the middle of a job.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from k8s_manager.cwl_document import Place
from k8s_manager.cwl_model import Input
from k8s_manager.cwl_types import Array, CwlType, Primitive, Record, required

RUNTIME = ("cores", "ram", "outdir")
_FILE_PROPERTIES = ("basename", "nameroot", "nameext", "path", "class")
_REFERENCE = re.compile(r"(?<!\\)\$\(([^()]*)\)")
_STEP = re.compile(r"\.(\w+)|\['([^']*)'\]|\[\"([^\"]*)\"\]|\[(\d+)\]")


def evaluate(text: str, context: Mapping[str, Any]) -> Any:
    """Return the value of a text with references.

    A text that is one reference gives the value itself; otherwise the references are replaced by
    text.

    Args:
        text: Checked by `check`.
        context: ``inputs`` and ``runtime``.
    """
    alone = _REFERENCE.fullmatch(text)
    if alone:
        return _look_up(alone.group(1), context)
    replaced = _REFERENCE.sub(lambda match: _insert(_look_up(match.group(1), context)), text)
    return replaced.replace("\\$(", "$(")


def check(text: str, inputs: Mapping[str, Input], place: Place) -> str:
    """Return the text after checking that each reference names something declared.

    Raises:
        ProcessFileError: JavaScript, or a name that is not declared.
    """
    if re.search(r"(?<!\\)\$\{", text):
        place.refuse("a JavaScript expression is not supported", "use $(inputs.name) only")
    for match in _REFERENCE.finditer(text):
        _check_one(match.group(1), inputs, place)
    if "$(" in _REFERENCE.sub("", text).replace("\\$(", ""):
        place.refuse(
            f"expression in {text!r} is not supported",
            "use $(inputs.name) or $(runtime.cores) only",
        )
    return text


def has_reference(text: str) -> bool:
    """Tell whether the text holds a parameter reference."""
    return _REFERENCE.search(text) is not None


def input_of(text: str) -> str | None:
    """Return x where the text is exactly ``$(inputs.x)``."""
    match = _REFERENCE.fullmatch(text)
    steps = _split(match.group(1)) if match else None
    if steps is not None and len(steps) == 2 and steps[0] == "inputs":
        return str(steps[1])
    return None


def as_text(value: Any) -> str:
    """Write a value as CWL's reference runner writes it on a command line."""
    if isinstance(value, Mapping) and value.get("class") in ("File", "Directory"):
        return str(value["path"])
    if isinstance(value, float):
        written = str(value)
        return format(Decimal(written), "f") if "e" in written else written
    return str(value)


def _insert(value: Any) -> str:
    if isinstance(value, Mapping | list) or value is None or isinstance(value, bool):
        return json.dumps(value)
    return as_text(value)


def _split(reference: str) -> list[str | int] | None:
    root = re.match(r"\w+", reference)
    if root is None:
        return None
    steps: list[str | int] = [root.group()]
    position = root.end()
    while position < len(reference):
        match = _STEP.match(reference, position)
        if match is None:
            return None
        *names, index = match.groups()
        steps.append(int(index) if index else next(name for name in names if name is not None))
        position = match.end()
    return steps


def _look_up(reference: str, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for step in _split(reference) or ():
        if value is None:
            return None
        if isinstance(value, list):
            value = len(value) if step == "length" else value[int(step)]
        else:
            value = value.get(step)
    return value


def _check_one(reference: str, inputs: Mapping[str, Input], place: Place) -> None:
    shown = f"$({reference})"
    steps = _split(reference)
    if steps is None:
        place.refuse(f"{shown} is not supported", "use $(inputs.name) or $(runtime.cores) only")
    root, *rest = steps
    if root == "runtime":
        if len(rest) != 1 or rest[0] not in RUNTIME:
            place.refuse(
                f"{shown} is not supported", f"known are runtime.{', runtime.'.join(RUNTIME)}"
            )
        return
    if root != "inputs" or not rest:
        place.refuse(f"{shown} is not supported", "use $(inputs.name) or $(runtime.cores) only")
    if rest[0] not in inputs:
        place.refuse(f"{shown} names no input", f"declared are {', '.join(inputs) or 'none'}")
    type_ = inputs[str(rest[0])].type
    for step in rest[1:]:
        found = _member(required(type_), step)
        if found is None:
            place.refuse(f"{shown}: there is no {step!r}")
        type_ = found


def _member(type_: CwlType, step: str | int) -> CwlType | None:
    match type_:
        case Record():
            field = type_.field(str(step))
            return field.type if field else None
        case Array(items) if isinstance(step, int):
            return items
        case Array() if step == "length":
            return Primitive("int")
        case Primitive("File" | "Directory") if step in _FILE_PROPERTIES:
            return Primitive("string")
    return None
