"""The page with the list of jobs, and the form that filters it."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from k8s_manager.records import STATUSES
from ogcapi import pages, process_page
from ogcapi.service import Service

FILTERS = ("processID", "status", "datetime", "minDuration", "maxDuration")


def show(service: Service, document: dict[str, Any]) -> Response:
    """Answer with the page of a job list."""
    begin, _, end = request.args.get("datetime", "").partition("/")
    return pages.page(
        "jobs.html",
        document=document,
        statuses=STATUSES,
        processes=sorted(process_page.titles(service).items()),
        chosen={
            "processes": _list("processID"),
            "statuses": _list("status"),
            "from": begin[:10] if begin not in ("", "..") else "",
            "to": end[:10] if end not in ("", "..") else "",
            "min": request.args.get("minDuration", ""),
            "max": request.args.get("maxDuration", ""),
        },
        filtered=any(name in request.args for name in FILTERS),
    )


def _list(name: str) -> list[str]:
    return [part for text in request.args.getlist(name) for part in text.split(",") if part]
