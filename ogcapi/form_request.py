"""From a form that was sent to an execute request, and from a request to what the form shows.

Controls are named ``in.<input>``; a bounding box has ``in.<input>.0`` to ``.3`` and ``.crs``, a
file also ``.file`` (an upload), ``.name`` (an upload that is only shown) and ``.href`` (its
address).
What cannot be read as its type is passed on as the text that it is: the check of the request says
what was expected.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict

from k8s_manager.bbox import crs_name
from k8s_manager.description import CRS84
from k8s_manager.errors import Violation
from ogcapi import request_body
from ogcapi.form_fields import Field
from ogcapi.problems import Problem

INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
NUMBER = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?")
Form = MultiDict[str, str]
Files = MultiDict[str, FileStorage]


class Unreadable(Exception):  # noqa: N818  it is the value that is
    """A control holds what is no value at all, such as half a JSON document."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected, self.got = expected, got


def read(
    fields: Iterable[Field], form: Form, files: Files, *, preview: bool = False
) -> tuple[dict[str, Any], list[Violation]]:
    """Return the execute request that a form stands for, and what could not be read of it.

    Args:
        fields: The controls.
        form: What was typed and chosen.
        files: What was uploaded.
        preview: Whether an upload may be given by its name alone, for a request that is only shown.
    """
    inputs, found = {}, []
    fields = list(fields)
    if not preview:
        names = {f"in.{field.id}.name" for field in fields}
        form = MultiDict(item for item in form.items(multi=True) if item[0] not in names)
    for field in fields:
        try:
            value = _READERS[field.kind](field, form, files)
        except Unreadable as error:
            found.append(Violation(field.id, f"/inputs/{field.id}", error.expected, error.got))
            continue
        # What is as it would be anyway is left out: requests stay short enough to be read.
        if value is not None and (value != field.default or isinstance(value, bool)):
            inputs[field.id] = value
    document: dict[str, Any] = {"inputs": inputs}
    outputs, every = form.getlist("out"), form.getlist("out.all")
    if outputs and set(outputs) != set(every):
        document["outputs"] = {name: {} for name in outputs}
    return document, found


def shown(fields: Iterable[Field], request: Mapping[str, Any]) -> Form:
    """Return what the controls of a form show for an execute request; defaults where it is silent.

    A value that a control cannot show, such as a link to a file, is left out.
    """
    given = request.get("inputs") or {}
    form: Form = MultiDict()
    for field in fields:
        value = given.get(field.id, field.default)
        if value is not None:
            _show(field, value, form)
    for name in request.get("outputs") or {}:
        form.add("out", name)
    return form


def _show(field: Field, value: Any, form: Form) -> None:
    name = f"in.{field.id}"
    if isinstance(value, Mapping) and "value" in value and field.kind != "json":
        value = value["value"]
    match field.kind:
        case "bbox":
            if isinstance(value, Mapping) and len(value.get("bbox", ())) == 4:
                for index, number in enumerate(value["bbox"]):
                    form[f"{name}.{index}"] = f"{number:.12g}"
                form[f"{name}.crs"] = crs_name(str(value.get("crs", CRS84)))
        case "lines" | "choices" if isinstance(value, list):
            lines = [str(item) for item in value]
            form.setlist(name, lines if field.kind == "choices" else ["\n".join(lines)])
        case "boolean":
            form[name] = "true" if value else "false"
        case "file" | "folder" if isinstance(value, Mapping) and "href" in value:
            form[f"{name}.href"] = str(value["href"])
        case _ if isinstance(value, str):
            form[name] = value
        case _:
            form[name] = json.dumps(value, ensure_ascii=False)


def _text(field: Field, form: Form, files: Files) -> Any:
    return form.get(f"in.{field.id}", "").replace("\r\n", "\n") or None


def _number(field: Field, form: Form, files: Files) -> Any:
    return _numeric(form.get(f"in.{field.id}", "").strip())


def _numeric(text: str) -> Any:
    if INTEGER.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text):
        return float(text.replace(",", "."))
    return text or None


def _boolean(field: Field, form: Form, files: Files) -> Any:
    text = form.get(f"in.{field.id}", "")
    return {"true": True, "false": False}.get(text, text or None)


def _choice(field: Field, form: Form, files: Files) -> Any:
    text = form.get(f"in.{field.id}", "")
    known = {str(item): item for item in field.schema.get("enum", ())}
    return known.get(text, text or None)


def _choices(field: Field, form: Form, files: Files) -> Any:
    known = {str(item): item for item in field.schema["items"]["enum"]}
    return [known.get(text, text) for text in form.getlist(f"in.{field.id}")] or None


def _lines(field: Field, form: Form, files: Files) -> Any:
    lines = [line.strip() for line in form.get(f"in.{field.id}", "").splitlines()]
    numeric = field.schema["items"].get("type") in ("integer", "number")
    return [_numeric(line) if numeric else line for line in lines if line] or None


def _bbox(field: Field, form: Form, files: Files) -> Any:
    texts = [form.get(f"in.{field.id}.{index}", "").strip() for index in range(4)]
    if not any(texts):
        return None
    crs = form.get(f"in.{field.id}.crs", "").strip()
    # An empty corner is passed on as the empty text, which is no number.
    numbers = ["" if text == "" else _numeric(text) for text in texts]
    return {"bbox": numbers, **({"crs": crs} if crs and crs != "OGC:CRS84" else {})}


def _file(field: Field, form: Form, files: Files) -> Any:
    name = f"in.{field.id}"
    upload = files.get(f"{name}.file")
    if upload is not None and upload.filename:
        return _content(field, upload.read())
    if form.get(f"{name}.name"):
        return f"<{form[f'{name}.name']}>"
    if form.get(name, "").strip():
        return _content(field, form[name].encode("utf-8"))
    return _folder(field, form, files)


def _content(field: Field, data: bytes) -> Any:
    """Return what a file holds as a value: JSON where it is some, text, or base64."""
    json_wanted = any(part.get("type") == "object" for part in field.variants)
    texts = [part for part in field.variants if part.get("type") == "string"]
    plain = [part for part in texts if "contentEncoding" not in part]
    if json_wanted:
        try:
            return _json(data)
        except Unreadable:
            if not texts or data.lstrip()[:1] in (b"{", b"["):
                raise
    if plain:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Unreadable("text in UTF-8", "other bytes") from error
    media = texts[0].get("contentMediaType") if texts else None
    text = base64.b64encode(data).decode("ascii")
    return {"value": text, **({"mediaType": media} if media else {})}


def _folder(field: Field, form: Form, files: Files) -> Any:
    address = form.get(f"in.{field.id}.href", "").strip()
    return {"href": address} if address else None


def _anything(field: Field, form: Form, files: Files) -> Any:
    upload = files.get(f"in.{field.id}.file")
    if upload is not None and upload.filename:
        return _json(upload.read())
    text = form.get(f"in.{field.id}", "")
    return _json(text.encode("utf-8")) if text.strip() else None


def _json(data: bytes) -> Any:
    try:
        return request_body.document(data, "JSON")
    except Problem as problem:
        raise Unreadable("JSON", f"text that is no JSON ({problem.detail})") from problem


_READERS: dict[str, Callable[[Field, Form, Files], Any]] = {
    "text": _text,
    "long": _text,
    "number": _number,
    "boolean": _boolean,
    "choice": _choice,
    "choices": _choices,
    "lines": _lines,
    "bbox": _bbox,
    "file": _file,
    "folder": _folder,
    "json": _anything,
}
