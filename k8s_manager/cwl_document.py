"""Reading a CWL document so that every complaint can name the file and the place in it.

YAML is read as CWL's own reference runner reads it (YAML 1.2 booleans and numbers, no dates), with
libyaml where PyYAML has it: the chain must load in milliseconds. Duplicate keys, which YAML
libraries silently drop, are refused with their line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from k8s_manager.errors import ProcessFileError

MAX_BYTES = 1_000_000
MAX_NODES = 200_000
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Place:
    """A place in a document, for error messages."""

    file: str
    path: tuple[str, ...] = ()

    def __truediv__(self, key: str | int) -> Place:
        return Place(self.file, (*self.path, str(key)))

    def __str__(self) -> str:
        return f"{self.file}: {'.'.join(self.path)}" if self.path else self.file

    def refuse(self, problem: str, instead: str = "") -> NoReturn:
        """Raise ProcessFileError: where, what is wrong, what to do."""
        raise ProcessFileError(f"{self}: {problem}" + (f"; {instead}" if instead else ""))


def read_document(
    path: Path, kind: str = "CWL document", holds: str = "cwlVersion and class"
) -> dict[str, Any]:
    """Read one file of a process.

    Args:
        path: The file.
        kind: What it is, for complaints.
        holds: Its keys, for complaints.

    Raises:
        ProcessFileError: The file cannot be read, is too large, no YAML or no mapping.
    """
    place = Place(str(path))
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        place.refuse(f"cannot be read ({error.strerror})")
    if len(data) > MAX_BYTES:
        place.refuse(
            f"is larger than {MAX_BYTES} bytes", "a process file describes, it holds no data"
        )
    try:
        document = yaml.load(data.decode("utf-8"), Loader=_Loader)  # noqa: S506  a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        place.refuse(f"is not valid YAML: {error}")
    if not isinstance(document, dict):
        place.refuse(f"is no {kind}", f"expected a mapping with {holds}")
    _check_size(document, place)
    return document


def known_keys(
    value: Any, place: Place, known: Collection[str], refused: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the mapping after making sure that it holds known keys only.

    Args:
        value: What stands at `place`.
        place: Where it stands.
        known: Keys that are understood.
        refused: Keys of CWL that are not supported, with what to use instead.
    """
    if not isinstance(value, dict):
        place.refuse(f"expected a mapping, got {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            (place / str(key)).refuse("expected a text key")
        if key in (refused or {}):
            (place / key).refuse("is not supported", (refused or {})[key])
        if key not in known:
            (place / key).refuse("is not supported here", f"known are {', '.join(sorted(known))}")
    return value


def entries(
    value: Any, place: Place, key: str, predicate: str | None
) -> list[tuple[Place, dict[str, Any]]]:
    """Return the entries of CWL's list form or map form, each holding its `key`.

    Args:
        value: What stands at `place`.
        place: Where it stands.
        key: Field that names an entry (``id``, ``name``, ``class``).
        predicate: Field that a plain value in the map form stands for (``type``, ``source``).
    """
    result: list[tuple[Place, dict[str, Any]]] = []
    if isinstance(value, dict):
        for name, entry in value.items():
            where = place / str(name)
            if not isinstance(entry, dict):
                if predicate is None and entry is not None:
                    where.refuse(f"expected a mapping, got {type(entry).__name__}")
                entry = {predicate: entry} if predicate is not None else {}
            result.append((where, {**entry, key: name}))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
                (place / index).refuse(f"expected a mapping with {key}")
            result.append((place / entry[key].removeprefix("#"), entry))
    elif value is not None:
        place.refuse(f"expected a mapping or a list, got {type(value).__name__}")
    seen: set[str] = set()
    for where, entry in result:
        name = entry[key] = str(entry[key]).removeprefix("#")
        if name in seen:
            where.refuse(f"{key} {name!r} occurs twice")
        seen.add(name)
    return result


def text(value: Any, place: Place) -> str:
    """Return a text value."""
    if not isinstance(value, str):
        place.refuse(
            f"expected text, got {value!r}", "put it in quotes" if value is not None else ""
        )
    return value


def texts(value: Any, place: Place) -> tuple[str, ...]:
    """Return a text value or a list of them as a tuple."""
    given = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(text(item, place / index) for index, item in enumerate(given))


def prose(value: Any, place: Place) -> str | None:
    """Return a ``doc`` or ``label``: text, or lines of text."""
    return "\n".join(texts(value, place)).strip() or None


def number(value: Any, place: Place, default: float | None = None) -> float:
    """Return a number greater than zero."""
    if value is None and default is not None:
        return default
    if isinstance(value, str) and "$(" in value:
        place.refuse("an expression is not supported here", "write the number")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**53:
        place.refuse(f"expected a number greater than 0, got {value!r}")
    return value


def flag(value: Any, place: Place, default: bool) -> bool:
    """Return true or false."""
    if value is None:
        return default
    if not isinstance(value, bool):
        place.refuse(f"expected true or false, got {value!r}")
    return value


def json_text(value: Any, place: Place) -> dict[str, Any]:
    """Return the object that stands as JSON text (``ogc:schema: |``)."""
    if value is None:
        return {}
    if not isinstance(value, str):
        place.refuse(
            "expected JSON text", "write `ogc:schema: |` and the JSON on the lines below it"
        )
    try:
        schema = json.loads(value)
    except json.JSONDecodeError as error:
        place.refuse(f"is not valid JSON: {error}")
    if not isinstance(schema, dict):
        place.refuse(f"expected a JSON object, got {type(schema).__name__}")
    return schema


def _check_size(document: Any, place: Place) -> None:
    """Refuse what YAML aliases blow up: each alias stands for a copy later."""
    open_, count = [document], 0
    while open_:
        value = open_.pop()
        count += 1
        if count > MAX_NODES:
            place.refuse("holds too many values", "check its YAML anchors and aliases")
        if isinstance(value, dict):
            open_.extend(value.values())
        elif isinstance(value, list):
            open_.extend(value)


class _Loader(_Base):  # type: ignore[misc]
    """YAML 1.2 scalars, and no duplicate keys."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  the name PyYAML asks for


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, dict | list):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be text", key_node.start_mark
            )
        if key in result:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} occurs twice in one mapping", key_node.start_mark
            )
        result[key] = loader.construct_object(value_node, deep=True)
    return result


def _resolve(tag: str, pattern: str, first: str) -> None:
    starts = [*first, ""] if tag == "null" else list(first)
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), starts
    )


_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("null", "~|null|Null|NULL|", "~nN")
_resolve("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+", "-+0123456789")
_resolve(
    "float",
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "-+.0123456789",
)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor(
    "tag:yaml.org,2002:int",
    lambda loader, node: int(
        loader.construct_scalar(node), 0 if re.match("0[xo]", node.value) else 10
    ),
)
_Loader.add_constructor(
    "tag:yaml.org,2002:float",
    lambda loader, node: float(re.sub(r"\.(?=inf|nan)", "", loader.construct_scalar(node).lower())),
)
