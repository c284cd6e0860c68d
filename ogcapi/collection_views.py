"""Collections, items and coverages: pygeoapi answers in JSON, pages are made from its documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, current_app, request
from pygeoapi import api as pygeoapi_core
from pygeoapi.api import itemtypes
from pygeoapi.plugin import load_plugin

from ogcapi import compat, negotiation, pages
from ogcapi.coverage import CoverageError, coverage_response
from ogcapi.documents import reply
from ogcapi.problems import Problem
from ogcapi.service import Published, Service

BLUEPRINT = Blueprint("collections", __name__)
KEPT_HEADERS = ("Content-Crs", "Content-Language", "Link")
SERVED = {negotiation.JSON, negotiation.GEOJSON, negotiation.HTML, "application/schema+json"}
ITEM_PARAMETERS = (
    *("limit", "offset", "bbox", "bbox-crs", "datetime", "crs", "properties", "skipGeometry"),
    *("sortby", "resulttype"),
)


@BLUEPRINT.get("/collections")
def collections() -> Response:
    """List all collections."""
    negotiation.known_parameters()
    published = _service().published()
    document, headers = _call(published, pygeoapi_core.describe_collections, None)
    _name_item_types(document["collections"], published)
    return _answer("collections.html", document, headers)


@BLUEPRINT.get("/collections/<collection_id>")
def collection(collection_id: str) -> Response:
    """Describe one collection."""
    negotiation.known_parameters()
    published = _existing(collection_id)
    document, headers = _call(published, pygeoapi_core.describe_collections, collection_id)
    _name_item_types([document], published)
    extras = {"release": _release(published, collection_id)}
    return _answer("collection.html", document, headers, **extras)


@BLUEPRINT.get("/collections/<collection_id>/schema")
def schema(collection_id: str) -> Response:
    """Return the logical schema of a collection."""
    negotiation.known_parameters()
    published = _existing(collection_id)
    document, headers = _call(published, pygeoapi_core.get_collection_schema, collection_id)
    return _answer("schema.html", document, headers, media="application/schema+json")


@BLUEPRINT.get("/collections/<collection_id>/queryables")
def queryables(collection_id: str) -> Response:
    """Return the properties that items can be filtered by."""
    negotiation.known_parameters()
    published = _existing(collection_id)
    document, headers = _call(published, itemtypes.get_collection_queryables, collection_id)
    return _answer("schema.html", document, headers, media="application/schema+json")


@BLUEPRINT.get("/collections/<collection_id>/items")
def items(collection_id: str) -> Response:
    """Return a page of features."""
    published = _existing(collection_id, "feature")
    fields = filters(published, collection_id)
    negotiation.known_parameters(*ITEM_PARAMETERS, *fields)
    document, headers = _call(published, itemtypes.get_collection_items, collection_id)
    return _answer(
        "items.html",
        document,
        headers,
        media=negotiation.GEOJSON,
        collection_id=collection_id,
        collection_title=published.resources[collection_id]["title"],
    )


@BLUEPRINT.get("/collections/<collection_id>/items/<path:item_id>")
def item(collection_id: str, item_id: str) -> Response:
    """Return one feature."""
    negotiation.known_parameters("crs")
    published = _existing(collection_id, "feature")
    document, headers = _call(published, itemtypes.get_collection_item, collection_id, item_id)
    return _answer(
        "item.html",
        document,
        headers,
        media=negotiation.GEOJSON,
        collection_id=collection_id,
        collection_title=published.resources[collection_id]["title"],
    )


@BLUEPRINT.get("/collections/<collection_id>/coverage")
def collection_coverage(collection_id: str) -> Response:
    """Return a window of a coverage."""
    published = _existing(collection_id, "coverage")
    limit = _service().settings.coverage_limit_cells
    try:
        return coverage_response(published.resources[collection_id], limit)
    except CoverageError as error:
        raise Problem(error.status, error.title, error.detail) from error


def filters(published: Published, collection_id: str) -> dict[str, Any]:
    """Return the properties that features can be filtered by in the query, with their types."""
    definition = published.resources[collection_id]["providers"][0]
    return dict(load_plugin("provider", definition).get_fields())


def _service() -> Service:
    service: Service = current_app.extensions["cdi"]
    return service


def _existing(collection_id: str, kind: str | None = None) -> Published:
    published = _service().published()
    resource = published.resources.get(collection_id)
    known = [
        name
        for name, entry in published.resources.items()
        if entry["type"] == "collection" and (kind is None or _kind(entry) == kind)
    ]
    if resource is None or collection_id not in known:
        raise Problem(
            404,
            "No such collection",
            f"{collection_id!r} is not here; known: {', '.join(sorted(known)) or 'none yet'}",
        )
    return published


def _kind(resource: Mapping[str, Any]) -> str:
    return str(resource["providers"][0]["type"])


def _name_item_types(documents: list[dict[str, Any]], published: Published) -> None:
    """Say of each collection what it holds: clients take one without a type for features."""
    for document in documents:
        document["itemType"] = _kind(published.resources[document["id"]])
        if document["itemType"] == "coverage":
            document["layerDataType"] = (
                "Coverage"  # what GDAL 3.6 looks at before it asks for items
            )


def _release(published: Published, collection_id: str) -> Any:
    release = published.releases.get(published.resources[collection_id].get("dataset", ""))
    if release is None:  # a collection of the configuration file
        return None
    return {
        "dataset": release.dataset,
        "version": release.version,
        "created": release.created,
    }


def _call(
    published: Published, function: Callable[..., Any], *args: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """Call a pygeoapi function for JSON and return its document and the headers worth keeping."""
    pygeoapi_request = compat.JsonRequest.from_flask(request, published.api.locales)
    headers, status, document = function(published.api, pygeoapi_request, *args)
    if function is not itemtypes.get_collection_items:  # pages of our provider are plain already
        document = compat.plain(document)
    if status >= 400:
        raise Problem(status, document.get("code", "Error"), document.get("description", ""))
    _without_foreign_formats(document)
    kept = {name: value for name, value in headers.items() if name in KEPT_HEADERS}
    return document, kept


def _without_foreign_formats(document: Any) -> None:
    """Remove pygeoapi's links to representations of its own that are not served here."""
    if isinstance(document, dict):
        if isinstance(document.get("links"), list):
            document["links"] = [
                entry
                for entry in document["links"]
                if not (
                    entry.get("rel") in ("self", "alternate", "items", "collection")
                    and entry.get("type") not in SERVED
                )
            ]
        for name, value in document.items():
            if name in ("collections", "providers"):
                _without_foreign_formats(value)
    elif isinstance(document, list):
        for value in document:
            _without_foreign_formats(value)


def _answer(
    template: str,
    document: dict[str, Any],
    headers: dict[str, str],
    media: str = negotiation.JSON,
    **context: Any,
) -> Response:
    if negotiation.representation() == negotiation.HTML:
        return pages.page(template, document=document, **context)
    return reply(document, 200, media, headers)
