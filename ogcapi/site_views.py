"""The landing page, conformance, the API definition and signs of life."""

from __future__ import annotations

import json
import logging
from typing import Any

from flask import Blueprint, Response, current_app

from k8s_manager.identity import Role
from k8s_manager.records import JobFilter, Release
from ogcapi import collections, negotiation, openapi, pages
from ogcapi.documents import link, reply, status_document
from ogcapi.identification import shown
from ogcapi.service import Published, Service

LOGGER = logging.getLogger(__name__)
BLUEPRINT = Blueprint("site", __name__)
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
REL = "http://www.opengis.net/def/rel/ogc/1.0/"

CONFORMANCE = [
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/ogc-process-description",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/job-list",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/callback",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/dismiss",
    "http://www.opengis.net/spec/ogcapi-processes-3/0.0/conf/nested-processes",
]


@BLUEPRINT.get("/")
def landing_page() -> Response:
    """Say what this is and where everything is."""
    negotiation.known_parameters()
    media = negotiation.representation()
    service = _service()
    identification = service.config["metadata"]["identification"]
    document = {
        "title": pages.localised(identification["title"]),
        "description": pages.localised(identification["description"]),
        "links": [
            link("/", "self", negotiation.JSON, "This document"),
            link("/?f=html", "alternate", negotiation.HTML, "This document as HTML"),
            link("/openapi", "service-desc", OPENAPI, "The API definition (OpenAPI 3.0)"),
            link("/openapi?f=html", "service-doc", negotiation.HTML, "The API for people"),
            link("/conformance", "conformance", negotiation.JSON, "Conformance classes"),
            link("/collections", "data", negotiation.JSON, "Collections"),
            link("/processes", f"{REL}processes", negotiation.JSON, "Processes"),
            link("/jobs", f"{REL}job-list", negotiation.JSON, "Jobs"),
        ],
    }
    if media == negotiation.HTML:
        return pages.page("landing.html", document=document, **_overview(service))
    return reply(document)


@BLUEPRINT.get("/conformance")
def conformance() -> Response:
    """List the conformance classes that hold."""
    negotiation.known_parameters()
    document = {"conformsTo": CONFORMANCE}
    if negotiation.representation() == negotiation.HTML:
        return pages.page("conformance.html", document=document)
    return reply(document)


@BLUEPRINT.get("/openapi")
def api_definition() -> Response:
    """Return the API definition."""
    negotiation.known_parameters()
    media = negotiation.representation()
    service = _service()
    document = openapi.document(service)
    if media == negotiation.HTML:
        operations = pages.kept(
            "operations.html", service.published().generation, lambda: {"document": document}
        )
        return pages.page("openapi.html", document=document, operations=operations)
    return reply(document, media=OPENAPI)


@BLUEPRINT.get("/health")
def health() -> Response:
    """Tell whether the worker serves and reaches its store."""
    negotiation.known_parameters()
    negotiation.representation((negotiation.JSON,))
    return reply({"status": "ok", "generation": _service().store.generation()})


def _service() -> Service:
    service: Service = current_app.extensions["cdi"]
    return service


def _overview(service: Service) -> dict[str, Any]:
    """Gather what the landing page shows of the newest releases, the processes, the latest jobs."""
    who = shown()
    overview: dict[str, Any] = {"datasets": [], "processes": [], "jobs": []}
    if who.may(Role.VIEWER):
        published = service.published()
        newest = sorted(published.releases.values(), key=lambda entry: entry.created, reverse=True)
        datasets = [_dataset(service, published, release) for release in newest]
        processes = sorted(service.registry.processes.values(), key=lambda entry: entry.id)
        shown_datasets = [dataset for dataset in datasets if dataset is not None]
        overview |= {"datasets": shown_datasets, "processes": processes}
    if who.may(Role.RUNNER):
        latest = service.store.jobs(JobFilter(owner=who.jobs_of), limit=5, after=None)
        jobs = service.store.queue.shown(latest.jobs)
        overview["jobs"] = [status_document(job) for job in jobs]
    return overview


def _dataset(service: Service, published: Published, release: Release) -> dict[str, Any] | None:
    """Describe a dataset by its current release; None when that cannot be read (it is logged)."""
    name = release.dataset
    known = service.settings.datasets.get(name)
    try:
        path = service.workspace.path(release.path) / "summary.json"
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        LOGGER.error("release %s of %s is not shown: %s", release.version, name, error)
        return None
    resources = published.resources.items()
    return {
        "name": name,
        "version": release.version,
        "created": release.created,
        "title": pages.localised(known.title) if known and known.title else name,
        "note": pages.localised(known.note) if known and known.note else "",
        "summary": summary,
        "collections": {
            key: _short_title(key.removeprefix(f"{name}-"))
            for key, entry in resources
            if entry.get("dataset") == name
        },
    }


def _short_title(layer: str) -> str:
    """Return the title of a collection without that of its dataset, which stands above it."""
    return pages.localised(collections.TITLES[layer]) if layer in collections.TITLES else layer
