"""What an execute request says besides its inputs: outputs, form of the response, subscriber."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8s_manager.cwl_model import Output, Process
from k8s_manager.cwl_types import Array, Primitive, describe_value, is_file_like, required
from k8s_manager.description import file_variants
from k8s_manager.errors import Violation
from k8s_manager.outgoing import Guard
from k8s_manager.schema_check import violations

JSON = "application/json"
_SUBSCRIBER = ("successUri", "inProgressUri", "failedUri")


def check_outputs(process: Process, given: Any) -> tuple[dict[str, Any] | None, list[Violation]]:
    """Return the requested outputs, None for all of them, and what is wrong with them."""
    if not given and (given is None or isinstance(given, Mapping)):
        return None, []
    if not isinstance(given, Mapping):
        return None, [Violation("", "/outputs", "an object", describe_value(given))]
    found = []
    for name, options in given.items():
        at = f"/outputs/{name}"
        if name not in process.outputs:
            expected = "one of the outputs " + ", ".join(process.outputs)
            found.append(Violation("", at, expected, f"the unknown output {name!r}"))
            continue
        for pointer, expected, got in violations(_OUTPUT, options):
            found.append(Violation("", at + pointer, expected, got))
        if isinstance(options, Mapping) and isinstance(options.get("format"), Mapping):
            found += _wrong_format(process.outputs[name], options["format"], f"{at}/format")
    return dict(given), found


def _wrong_format(output: Output, format_: Mapping[str, Any], at: str) -> Iterator[Violation]:
    """Yield what is wrong with the format asked for: nothing is converted, so it must be there."""
    media_type = format_.get("mediaType")
    offered = _media_types(output)
    if media_type is not None and not any(_same(media_type, item) for item in offered):
        yield Violation("", f"{at}/mediaType", " or ".join(offered), describe_value(media_type))
    encoding = format_.get("encoding")
    if encoding not in (None, "base64", "utf-8", "UTF-8"):
        yield Violation("", f"{at}/encoding", "base64 or utf-8", describe_value(encoding))


def _media_types(output: Output) -> list[str]:
    if not is_file_like(output.type):
        plain = required(output.type) == Primitive("string")
        return ["text/plain", JSON] if plain else [JSON]
    schema = output.schema.get("items") or output.schema
    if required(output.type) != Primitive("File") and not isinstance(required(output.type), Array):
        return [JSON]  # a folder is a list of links
    return [str(variant["contentMediaType"]) for variant in file_variants(schema)]


def _same(asked: Any, offered: str) -> bool:
    """Tell whether a media type fits; parameters do not count, of unknown content anything does."""
    names = [str(item).split(";")[0].strip().lower() for item in (asked, offered)]
    return names[0] == names[1] or names[1] == "application/octet-stream"


_OUTPUT = {
    "type": "object",
    "properties": {
        "transmissionMode": {"type": "string", "enum": ["value", "reference"]},
        "format": {
            "type": "object",
            "properties": {"mediaType": {"type": "string"}, "encoding": {"type": "string"}},
        },
    },
}


def check_response(body: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield what is wrong with ``response``."""
    given = body.get("response", "document")
    if given not in ("raw", "document"):
        yield Violation("", "/response", "raw or document", describe_value(given))


def check_subscriber(given: Any, guard: Guard) -> Iterator[Violation]:
    """Yield what is wrong with ``subscriber``; the guard decides who may be called back."""
    if given is None:
        return
    if not isinstance(given, Mapping):
        yield Violation("", "/subscriber", "an object", describe_value(given))
        return
    if not guard.hosts:
        nobody = "no subscriber (this server calls no host back): poll the job's status"
        yield Violation("", "/subscriber", nobody, "a subscriber")
        return
    if "successUri" not in given:
        yield Violation("", "/subscriber/successUri", "an address", "nothing")
    for name, address in given.items():
        at = f"/subscriber/{name}"
        if name not in _SUBSCRIBER:
            got = f"the unknown member {name!r}"
            yield Violation("", at, "one of " + ", ".join(_SUBSCRIBER), got)
        elif expected := guard.expected(address):
            yield Violation("", at, expected, describe_value(address))
