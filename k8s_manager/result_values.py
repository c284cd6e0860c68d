"""Results of a job as plain values, for callers that can only hand on one answer.

Our own service links every file; stock pygeoapi has no route to files, so there small files stand
in the document and large ones are named with size and checksum.
"""

from __future__ import annotations

import base64
import json
import mimetypes
from pathlib import Path
from typing import Any

from k8s_manager.records import Job
from k8s_manager.workspace import Workspace

INLINE_BYTES = 1_000_000
_MEDIA_TYPES = {
    ".gpkg": "application/geopackage+sqlite3",
    ".geojson": "application/geo+json",
    ".json": "application/json",
    ".tif": "image/tiff; application=geotiff",
    ".txt": "text/plain",
}


def plain_results(job: Job, workspace: Path) -> tuple[str, Any]:
    """Return media type and value of the requested results.

    One output that was asked for raw is given as it is; everything else as one JSON document.
    """
    results = job.results or {}
    wanted = job.request.get("outputs") or results
    values = {name: results[name] for name in wanted if results.get(name) is not None}
    place = Workspace(workspace)
    if len(values) == 1 and job.request.get("response") == "raw":
        return _raw(next(iter(values.values())), place)
    return "application/json", {name: _member(value, place) for name, value in values.items()}


def _raw(value: Any, workspace: Workspace) -> tuple[str, Any]:
    if not isinstance(value, dict) or value.get("class") != "File":
        return "application/json", _member(value, workspace)
    path = workspace.path(value["location"])
    media_type = _media_type(value["basename"])
    if media_type == "application/json":
        return media_type, json.loads(path.read_text(encoding="utf-8"))
    return media_type, path.read_bytes()


def _member(value: Any, workspace: Workspace) -> Any:
    if isinstance(value, list):
        return [_member(item, workspace) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class") == "File":
        return _file(value, workspace)
    if value.get("class") == "Directory":
        folder = workspace.path(value["location"])
        names = sorted(
            str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
        )
        return {"title": value["basename"], "files": names}
    return {name: _member(item, workspace) for name, item in value.items()}


def _file(value: dict[str, Any], workspace: Workspace) -> dict[str, Any]:
    path, media_type = workspace.path(value["location"]), _media_type(value["basename"])
    size = path.stat().st_size
    if size > INLINE_BYTES:
        described = {"title": value["basename"], "mediaType": media_type, "size": size}
        return {**described, "checksum": value.get("checksum")}
    if media_type in ("application/json", "application/geo+json"):
        return {"value": json.loads(path.read_text(encoding="utf-8")), "mediaType": media_type}
    if media_type.startswith("text/"):
        return {"value": path.read_text(encoding="utf-8"), "mediaType": media_type}
    text = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"value": text, "mediaType": media_type, "encoding": "base64"}


def _media_type(name: str) -> str:
    known = _MEDIA_TYPES.get(Path(name).suffix.lower())
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"
