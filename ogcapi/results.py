"""Results of jobs: the results document, raw values, and the files behind them."""

from __future__ import annotations

import base64
import json
import mimetypes
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flask import Response, send_file

from k8s_manager.errors import JobGone, ResultNotReady
from k8s_manager.records import FINAL, Job
from ogcapi.documents import link, reply
from ogcapi.negotiation import JSON
from ogcapi.problems import Problem
from ogcapi.service import Service

INLINE_LIMIT = 1_000_000  # bytes of a file that may stand inside a results document
MEDIA_TYPES = {
    ".gpkg": "application/geopackage+sqlite3",
    ".tif": "image/tiff; application=geotiff",
    ".geojson": "application/geo+json",
    ".json": JSON,
    ".html": "text/html",
    ".txt": "text/plain",
    ".csv": "text/csv",
}


def response(
    service: Service, job: Job, *, only: Sequence[str] | None = None, document: bool = False
) -> Response:
    """Answer with the results of a job as the execute request asked, or as a document.

    Raises:
        ResultNotReady, JobGone, Problem: There are no results; a failed job gives its own error.
    """
    values = _values(job)
    wanted = list(only or job.request.get("outputs") or values)
    unknown = [name for name in wanted if name not in values]
    if unknown:
        raise Problem(
            400,
            "Unknown output",
            f"{', '.join(unknown)} not among the results; known: {', '.join(sorted(values))}",
        )
    values = {name: values[name] for name in wanted if values[name] is not None}
    if document or job.request.get("response", "document") == "document":
        return reply({name: _member(service, job, name, value) for name, value in values.items()})
    return _raw(service, job, values)


def links(service: Service, job: Job) -> list[dict[str, Any]]:
    """List all result files and values of a successful job for a page."""
    rows = []
    for name, value in _values(job).items():
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if _is_file(item):
                rows.append(_reference(service, job, name, item, index, isinstance(value, list)))
                rows[-1] |= {"output": name, "size": item.get("size")}
            elif item is not None:
                rows.append({"output": name, "value": item})
    return rows


def file_response(service: Service, job: Job, output: str, path: str) -> Response:
    """Send a file of an output, or list the files of a folder, by its path below the output."""
    value = _values(job).get(output)
    if value is None:
        raise Problem(404, "No such output", f"job {job.id} has no output {output!r}")
    if isinstance(value, list):
        index, _, path = path.partition("/")
        if not index.isdigit() or int(index) >= len(value):
            raise Problem(404, "No such file", f"{output} holds files 0..{len(value) - 1}")
        value = value[int(index)]
    if not _is_file(value):
        return reply(value)
    place = service.workspace.path(value["location"])
    if value["class"] == "Directory":
        return _from_folder(job, output, place, path)
    if path not in ("", value["basename"]):
        raise Problem(404, "No such file", f"{output} is the file {value['basename']}")
    return _send(place, value["basename"])


def _values(job: Job) -> dict[str, Any]:
    if job.removed or job.status == "dismissed":
        raise JobGone(f"job {job.id} was dismissed; its results are gone")
    if job.status not in FINAL:
        raise ResultNotReady(
            f"job {job.id} is {job.status}; look at its status until it is successful"
        )
    if job.status == "failed":
        error = dict(job.error or {})
        raise Problem(
            int(error.pop("status", 500)),
            error.pop("title", "The job failed"),
            error.pop("detail", job.message),
            error.pop("type", "about:blank"),
            **error,
        )
    return job.results or {}


def _member(service: Service, job: Job, name: str, value: Any) -> Any:
    """Return one member of the results document: an inline value or a link."""
    if isinstance(value, list) and any(_is_file(item) for item in value):
        return {
            "value": [
                _reference(service, job, name, item, index, True)
                for index, item in enumerate(value)
            ]
        }
    if not _is_file(value):
        return {"value": value} if isinstance(value, (dict, list)) else value
    asked = (job.request.get("outputs") or {}).get(name) or {}
    if asked.get("transmissionMode") == "value" and value["class"] == "File":
        return _inline(service.workspace.path(value["location"]), value["basename"])
    return _reference(service, job, name, value, 0, False)


def _inline(place: Path, name: str) -> Any:
    if place.stat().st_size > INLINE_LIMIT:
        raise Problem(
            413,
            "The result is too large to stand in the document",
            f"{name} has {place.stat().st_size} bytes, at most {INLINE_LIMIT} are sent by value; "
            "ask for transmissionMode 'reference'.",
        )
    media = media_type(name)
    if media in (JSON, "application/geo+json"):
        return {"value": json.loads(place.read_text(encoding="utf-8")), "mediaType": media}
    if media.startswith("text/"):
        return {"value": place.read_text(encoding="utf-8"), "mediaType": media}
    text = base64.b64encode(place.read_bytes()).decode("ascii")
    return {"value": text, "mediaType": media, "encoding": "base64"}


def _raw(service: Service, job: Job, values: dict[str, Any]) -> Response:
    """Answer raw: the one value itself, or all of them as multipart/related."""
    if len(values) == 1:
        ((name, value),) = values.items()
        return _raw_part(service, job, name, value)
    boundary = uuid.uuid4().hex
    body = b""
    for name, value in values.items():
        part = _raw_part(service, job, name, value)
        part.direct_passthrough = False
        head = f"--{boundary}\r\nContent-Type: {part.content_type}\r\nContent-ID: <{name}>\r\n\r\n"
        body += head.encode() + part.get_data() + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return Response(body, 200, content_type=f'multipart/related; boundary="{boundary}"')


def _raw_part(service: Service, job: Job, name: str, value: Any) -> Response:
    if _is_file(value):
        return file_response(service, job, name, "")
    if isinstance(value, str):
        return Response(value, 200, mimetype="text/plain")
    return reply(value)


def _reference(
    service: Service, job: Job, name: str, value: dict[str, Any], index: int, many: bool
) -> dict[str, Any]:
    path = f"/jobs/{job.id}/results/{name}" + (f"/{index}" if many else "")
    if value["class"] == "Directory":
        return link(path, "item", JSON, f"{name}: list of files")
    return link(
        f"{path}/{value['basename']}", "item", media_type(value["basename"]), value["basename"]
    )


def _from_folder(job: Job, output: str, folder: Path, path: str) -> Response:
    place = (folder / path).resolve()
    if not place.is_relative_to(folder.resolve()) or not place.exists():
        raise Problem(404, "No such file", f"{output} has no file {path!r}")
    if place.is_file():
        return _send(place, place.name)
    entries = [
        link(
            f"/jobs/{job.id}/results/{output}/{entry.relative_to(folder).as_posix()}",
            "item",
            media_type(entry.name) if entry.is_file() else JSON,
            entry.name,
        )
        for entry in sorted(place.iterdir())
    ]
    return reply({"links": entries})


def _send(place: Path, name: str) -> Response:
    if not place.is_file():
        raise JobGone(f"{name} is no longer there")
    answer = send_file(place, mimetype=media_type(name), conditional=True, download_name=name)
    if name.endswith(".html"):
        answer.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return answer


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class") in ("File", "Directory")


def media_type(name: str) -> str:
    """Return the media type of a file by the ending of its name."""
    known = MEDIA_TYPES.get(Path(name).suffix.lower())
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"
