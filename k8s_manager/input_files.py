"""Files in an execute request: inline, qualified, by reference; each becomes a CWL File.

Inline content stays content (``contents`` or ``contents_base64``) until the job's record exists;
the controller writes it into the job's folder. References are followed by the controller as well,
and only to hosts that the settings name: a server that fetches any address is a door to the inside.
"""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from k8s_manager import geojson
from k8s_manager.cwl_types import describe_value
from k8s_manager.description import format_of
from k8s_manager.outgoing import LONGEST, NOBODY, Guard
from k8s_manager.schema_check import violations

QUALIFIERS = {"value", "mediaType", "encoding", "schema"}
ENCODINGS = ("base64", "binary", "utf-8", "UTF-8")
REFERENCE = {"href", "type", "rel", "title", "hreflang"}
Problem = tuple[str, str, str]
_SUFFIXES = {
    "application/geo+json": ".geojson",
    "application/geopackage+sqlite3": ".gpkg",
    "application/json": ".json",
    "application/octet-stream": ".bin",
    "application/x-yaml": ".yaml",
    "image/tiff": ".tif",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "text/xml": ".xml",
}


def is_reference(value: Any) -> bool:
    """Tell whether the value is a link: ``{href, type}``."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("href"), str)
        and set(value) <= REFERENCE
    )


def is_qualified(value: Any) -> bool:
    """Tell whether the value is ``{value, mediaType, ...}``."""
    return isinstance(value, Mapping) and "value" in value and set(value) <= QUALIFIERS


def qualifier_problems(value: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with what a qualified value says of itself, apart from its value."""
    if "mediaType" in value and not isinstance(value["mediaType"], str):
        yield "/mediaType", "a media type", describe_value(value["mediaType"])
    if "encoding" in value and value["encoding"] not in ENCODINGS:
        yield "/encoding", "base64 or utf-8", describe_value(value["encoding"])
    if "schema" in value and not isinstance(value["schema"], str | Mapping):
        yield "/schema", "a schema or its address", describe_value(value["schema"])


def file_value(
    name: str,
    value: Any,
    variants: list[dict[str, Any]],
    guard: Guard,
    trusted: bool,
    kind: str = "File",
) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return the CWL value of a file in a request, and what is wrong with it.

    Args:
        name: Input id; inline content is named by it.
        value: What the request holds.
        variants: The ways in which the description offers the file (`description.file_variants`).
        guard: Decides which addresses references may name.
        trusted: Whether references may name files of this machine.
        kind: ``File`` or ``Directory``.
    """
    if is_reference(value):
        return _referenced(value, variants, guard, trusted, kind)
    if trusted and isinstance(value, Mapping) and value.get("class") == kind:
        location = value.get("location") or Path(str(value.get("path"))).absolute().as_uri()
        return _referenced({"href": location}, variants, guard, trusted, kind)
    if kind == "Directory":
        return None, [("", "a reference {href}", describe_value(value))]
    media_type = encoding = None
    at = ""
    if is_qualified(value):
        wrong = list(qualifier_problems(value))
        if wrong:
            return None, wrong
        media_type, encoding = value.get("mediaType"), value.get("encoding")
        value, at = value["value"], "/value"
    chosen = [item for item in variants if media_type is None or _same(item, media_type)]
    if not chosen:
        offered = " or ".join(str(item["contentMediaType"]) for item in variants)
        return None, [("/mediaType", offered, describe_value(media_type))]
    json_type = "object" if isinstance(value, Mapping | list) else "string"
    fitting = [item for item in chosen if item["type"] == json_type] or chosen
    found: list[list[Problem]] = []
    for variant in fitting:
        result, problems = _inline(name, value, variant, encoding)
        if not problems:
            return result, []
        found.append([(at + pointer, expected, got) for pointer, expected, got in problems])
    return None, _best(found)


def _best(found: list[list[Problem]]) -> list[Problem]:
    """Return the problems of the variant that came closest: its problems lie deepest."""
    if len(found) > 1 and all(
        len(problems) == 1 and not problems[0][0].strip("/") for problems in found
    ):
        return [(found[0][0][0], " or ".join(item[0][1] for item in found), found[0][0][2])]
    return max(found, key=lambda problems: max(pointer.count("/") for pointer, _, _ in problems))


def _inline(
    name: str, value: Any, variant: Mapping[str, Any], encoding: Any
) -> tuple[dict[str, Any] | None, list[Problem]]:
    media_type = str(variant["contentMediaType"])
    plain = media_type.split(";")[0].strip()
    basename = name + (_SUFFIXES.get(plain) or mimetypes.guess_extension(plain) or ".bin")
    if variant["type"] == "string":
        return _inline_text(value, variant, encoding, basename)
    problems = list(_object_problems(value, variant))
    if problems:
        return None, problems
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return {"class": "File", "contents": text, "basename": basename}, []


def _object_problems(value: Any, variant: Mapping[str, Any]) -> Iterator[Problem]:
    format_ = format_of(variant)
    if format_ in geojson.FORMATS:
        yield from geojson.problems(value, format_)
        return
    wanted = {key: item for key, item in variant.items() if not key.startswith("content")}
    if isinstance(value, list) and wanted.get("type") == "object" and len(wanted) == 1:
        return
    yield from violations(wanted, value)


def _inline_text(
    value: Any, variant: Mapping[str, Any], encoding: Any, basename: str
) -> tuple[dict[str, Any] | None, list[Problem]]:
    media_type = variant["contentMediaType"]
    if not isinstance(value, str):
        return None, [("", f"a string with {media_type}", describe_value(value))]
    encoded = encoding or variant.get("contentEncoding")
    if encoded in ("base64", "binary"):
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return None, [("", f"{media_type} in base64", "text that is not base64")]
        return {"class": "File", "contents_base64": value, "basename": basename}, []
    wanted = {key: item for key, item in variant.items() if not key.startswith("content")}
    problems = list(violations(wanted, value))
    return (
        (None, problems)
        if problems
        else ({"class": "File", "contents": value, "basename": basename}, [])
    )


def _referenced(
    value: Mapping[str, Any],
    variants: list[dict[str, Any]],
    guard: Guard,
    trusted: bool,
    kind: str,
) -> tuple[dict[str, Any] | None, list[Problem]]:
    href, media_type = str(value["href"]), value.get("type")
    offered = [str(item["contentMediaType"]) for item in variants]
    if (
        media_type is not None
        and variants
        and not any(_same(item, media_type) for item in variants)
    ):
        return None, [("/type", " or ".join(offered), describe_value(media_type))]
    if trusted and href.startswith("file:"):
        return _local(Path(unquote(urlsplit(href).path)), href, kind)
    expected = guard.expected(href)
    if expected is not None:
        if expected == NOBODY:
            expected = "the value itself (this server fetches inputs from no host)"
        return None, [("/href", expected, f"the address {href[:LONGEST]}")]
    basename = unquote(PurePosixPath(urlsplit(href).path).name)
    if basename in ("", ".", "..") or "/" in basename or not basename.isprintable():
        return None, [("/href", "an address that ends with a file name", f"the address {href}")]
    media_types = [str(media_type)] if media_type is not None else offered
    found: dict[str, Any] = {"class": kind, "location": href, "basename": basename}
    return found | {"mediaTypes": media_types}, []


def _local(path: Path, href: str, kind: str) -> tuple[dict[str, Any] | None, list[Problem]]:
    exists = path.is_dir() if kind == "Directory" else path.is_file()
    if not exists:
        return None, [("/href", f"an existing {'folder' if kind == 'Directory' else 'file'}", href)]
    return {"class": kind, "location": path.as_uri(), "basename": path.name}, []


def _same(variant: Mapping[str, Any], media_type: Any) -> bool:
    """Tell whether a media type fits; parameters such as ``; charset=utf-8`` do not count."""
    wanted = str(variant["contentMediaType"]).lower()
    given = str(media_type).lower()
    if wanted.split(";")[0].strip() != given.split(";")[0].strip():
        return wanted == "application/octet-stream"
    return True
