"""The texts of a process in other languages, from a file beside its CWL file (``x.de.yml``).

They are for people and no part of what a process is: no snapshot and no digest holds them, and a
changed translation repeats no work. A text that is not translated stays English; a translation of
what the process does not have is refused, as it is most often a misspelt name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from k8s_manager.cwl_document import Place, known_keys, read_document, text
from k8s_manager.cwl_model import Input, Output, Process, Texts, Translation
from k8s_manager.description import input_schema

LANGUAGES = ("de",)


def translations_of(process: Process) -> dict[str, Translation]:
    """Return the translations that lie beside the file of a process, by language.

    Raises:
        ProcessFileError: One cannot be read, is no mapping, or names what the process has not.
    """
    found = {}
    for language in LANGUAGES:
        path = process.path.with_suffix(f".{language}.yml")
        if path.exists():
            document = read_document(path, "translation", "title, description, inputs, outputs")
            found[language] = _translation(document, process, Place(str(path)))
    return found


def _translation(document: dict[str, Any], process: Process, place: Place) -> Translation:
    known_keys(document, place, {"title", "description", "inputs", "outputs"})
    own = {key: item for key, item in document.items() if key not in ("inputs", "outputs")}
    return Translation(
        texts=_texts(own, place, ()),
        inputs=_parts(document.get("inputs"), process.inputs, place / "inputs"),
        outputs=_parts(document.get("outputs"), process.outputs, place / "outputs"),
        digest=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest(),
    )


def _parts(
    value: Any, declared: Mapping[str, Input] | Mapping[str, Output], place: Place
) -> dict[str, Texts]:
    given = {} if value is None else known_keys(value, place, declared)
    return {name: _part(entry, declared[name], place / name) for name, entry in given.items()}


def _part(value: Any, declared: Input | Output, place: Place) -> Texts:
    symbols = _symbols(input_schema(declared)) if isinstance(declared, Input) else ()
    more = ("symbols",) if symbols else ()
    return _texts(known_keys(value, place, {"title", "description", *more}), place, symbols)


def _texts(given: Mapping[str, Any], place: Place, symbols: tuple[str, ...]) -> Texts:
    said = {key: _said(item, place / key) for key, item in given.items() if key != "symbols"}
    named = known_keys(given.get("symbols", {}), place / "symbols", symbols)
    names = {name: _said(item, place / "symbols" / name) for name, item in named.items()}
    return Texts(**said, symbols=names)


def _said(value: Any, place: Place) -> str:
    found = text(value, place).strip()
    if not found:
        place.refuse("is empty", "leave it out to show the English text")
    return found


def _symbols(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words that an input offers to choose from."""
    offered = schema.get("enum") or (schema.get("items") or {}).get("enum") or []
    return tuple(word for word in offered if isinstance(word, str))
