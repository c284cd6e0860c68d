"""Coverage requests are answered here, because pygeoapi drops scale and CRS silently."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Response, request
from werkzeug.datastructures import MIMEAccept, MultiDict

from ogcapi import coverage_formats, coverage_request, coverage_window
from ogcapi.coverage_formats import COVERAGE_JSON, GEOTIFF
from ogcapi.coverage_request import CoverageError
from ogcapi.providers.mosaic import open_mosaic

__all__ = ["CoverageError", "coverage_answer", "coverage_response"]

NAMES = {
    **dict.fromkeys(("geotiff", "gtiff", "tiff", "tif"), GEOTIFF),
    **dict.fromkeys(("json", "coveragejson", "covjson"), COVERAGE_JSON),
}

_READING = threading.BoundedSemaphore(8)
"""Coverages that a worker makes at once, each of which may take some 100 MB; others wait."""


def coverage_response(resource: Mapping[str, Any], limit: int) -> Response:
    """Answer the current Flask request for a coverage.

    Args:
        resource: The collection's entry in pygeoapi's configuration.
        limit: Most cells of all bands.

    Raises:
        CoverageError: With the status to answer: 400, 406 or 413.
    """
    try:
        with _READING:
            body, headers = coverage_answer(resource, request.args, request.accept_mimetypes, limit)
    except CoverageError as error:
        if error.status == 204:
            nothing = Response(status=204)
            del nothing.headers["Content-Type"]
            return nothing
        raise
    return Response(body, 200, headers)


def coverage_answer(
    resource: Mapping[str, Any], query: MultiDict[str, str], accept: MIMEAccept, limit: int
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers for query parameters and an Accept header.

    Raises:
        CoverageError: With the status to answer: 204, 400, 406 or 413.
    """
    given = _single(query)
    media = _format(given.pop("f", None), accept)
    given.pop("lang", None)
    definition = resource["providers"][0]
    collection = definition["options"]["collection"]
    mosaic = open_mosaic(Path(definition["data"]), collection)
    wanted = coverage_request.parse(given, mosaic)
    window = coverage_window.read(mosaic, wanted, limit)
    headers = {"Content-Type": media, "Content-Crs": f"<{window.crs}>"}
    if media == GEOTIFF:
        headers["Content-Disposition"] = f'inline; filename="{collection}.tif"'
        return coverage_formats.geotiff(window), headers
    return coverage_formats.json_bytes(coverage_formats.coverage_json(window)), headers


def _single(query: MultiDict[str, str]) -> dict[str, str]:
    """Return each parameter once; only `subset` may come in several parts."""
    known = {*coverage_request.PARAMETERS, "f", "lang"}
    unknown = sorted(set(query) - known)
    if unknown:
        raise CoverageError(
            400,
            "Unknown query parameter",
            f"{', '.join(unknown)} not known here; known: {', '.join(sorted(known))}",
        )
    given = {}
    for name, values in query.lists():
        if len(values) > 1 and name != "subset":
            raise CoverageError(400, "Invalid query parameter", f"{name} is given twice")
        given[name] = ",".join(values)
    return given


def _format(name: str | None, accept: MIMEAccept) -> str:
    if name is not None:
        media = NAMES.get(name.lower())
        if media is None:
            known = "geotiff (GeoTIFF) and json (CoverageJSON)"
            raise CoverageError(400, "Unknown format", f"f={name} is not offered; known: {known}")
        return media
    if not accept:
        return GEOTIFF
    best = accept.best_match(["image/tiff", GEOTIFF, COVERAGE_JSON, "application/json"])
    # A browser that would like HTML best still takes anything (*/*).
    if best is None:
        offered = f"{GEOTIFF} and {COVERAGE_JSON}"
        raise CoverageError(406, "Not acceptable", f"Accept: {accept}. Offered: {offered}.")
    return GEOTIFF if best.startswith("image/tiff") else COVERAGE_JSON
