"""The page of a process: what it is, and a form that runs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response

from k8s_manager import description
from k8s_manager.cwl_model import Process
from k8s_manager.errors import Violation
from k8s_manager.releases import can_publish
from ogcapi import code_samples, examples, negotiation, pages
from ogcapi.access import TO_RELEASE
from ogcapi.form_fields import Field, alternatives, fields_of
from ogcapi.form_request import Form, shown
from ogcapi.service import Service


@dataclass(frozen=True)
class Complaints:
    """What is wrong with a form, by the field that shows it."""

    fields: dict[str, list[Violation]] = field(default_factory=dict)
    others: list[Violation] = field(default_factory=list)
    """What concerns the request as a whole."""

    @staticmethod
    def of(violations: Iterable[Violation], fields: Iterable[Field]) -> Complaints:
        """Sort violations; one that names several inputs is shown at each of them."""
        known = {entry.id for entry in fields}
        found = Complaints()
        for violation in violations:
            names = [name for name in violation.input.split() if name in known]
            for name in names:
                found.fields.setdefault(name, []).append(violation)
            if not names:
                found.others.append(violation)
        return found

    def __bool__(self) -> bool:
        return bool(self.fields or self.others)


def show(
    service: Service,
    process: Process,
    *,
    form: Form | None = None,
    request: Mapping[str, Any] | None = None,
    violations: Iterable[Violation] = (),
    status: int = 200,
) -> Response:
    """Answer with the page.

    Args:
        service: The service.
        process: The process.
        form: What the controls show; by default what `request` says.
        request: The execute request that the form stands for; by default all defaults.
        violations: What is wrong with it.
        status: Of the answer.
    """
    language = negotiation.language()
    fields = fields_of(process, language)
    sent = dict(request or {"inputs": {}})
    complaints = Complaints.of(violations, fields)
    document = description.describe(process)
    said = process.translation(language)
    hosts = service.settings.outside.input_hosts

    def asked() -> dict[str, Any]:
        return {
            "document": document,
            "said": said,
            "fields": fields,
            "groups": alternatives(process),
            "form": shown(fields, sent) if form is None else form,
            "complaints": complaints,
            "hosts": hosts,
        }

    untouched = form is None and request is None
    return pages.page(
        "process.html",
        status,
        path=f"/processes/{process.id}",
        document=document,
        said=said,
        fields=fields,
        complaints=complaints,
        to_release=TO_RELEASE if can_publish(service.settings, process) else None,
        controls=(
            pages.kept("form.html", (process.digest, said.digest, hosts), asked)
            if untouched
            else pages.part("form.html", **asked())
        ),
        examples=examples.examples_of(service, process),
        schemas=pages.kept("input_schemas.html", process.digest, lambda: {"fields": fields}),
        **samples(service, process, sent),
    )


def titles(service: Service) -> dict[str, str]:
    """Return the titles of all processes in the language of the page."""
    language = negotiation.language()
    return {
        process.id: process.translation(language).texts.title or process.title
        for process in service.registry.processes.values()
    }


def output_titles(service: Service, process_id: str) -> dict[str, str]:
    """Return titles of outputs in the language of the page; none of a process that is gone."""
    process = service.registry.processes.get(process_id)
    if process is None:
        return {}
    said = process.translation(negotiation.language())
    found = {
        name: said.of_output(name).title or output.label for name, output in process.outputs.items()
    }
    return {name: title for name, title in found.items() if title}


def samples(service: Service, process: Process, request: dict[str, Any]) -> dict[str, Any]:
    """Return a request as it is sent, as a curl command and as a Python program."""
    address = service.settings.base_url
    return {
        "request_text": code_samples.request_text(request),
        "curl": code_samples.curl(address, process.id, request),
        "python": code_samples.python(address, process.id, request),
    }
