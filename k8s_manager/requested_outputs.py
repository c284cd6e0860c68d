"""What an execute request says besides its inputs: outputs, form of the response, subscriber."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8s_manager.cwl_model import Process
from k8s_manager.cwl_types import describe_value
from k8s_manager.errors import Violation
from k8s_manager.outgoing import Guard
from k8s_manager.schema_check import violations

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
        wanted = process.outputs[name].schema.get("contentMediaType")
        format_ = options.get("format") if isinstance(options, Mapping) else None
        media_type = format_.get("mediaType") if isinstance(format_, Mapping) else None
        if wanted and media_type and str(media_type).split(";")[0] != wanted.split(";")[0]:
            found.append(
                Violation("", f"{at}/format/mediaType", wanted, describe_value(media_type))
            )
    return dict(given), found


_OUTPUT = {
    "type": "object",
    "properties": {
        "transmissionMode": {"type": "string", "enum": ["value", "reference"]},
        "format": {"type": "object"},
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
