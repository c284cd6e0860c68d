"""Results of jobs: the results document, raw values, and the files behind them."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Response

from k8s_manager.bbox import bbox_document
from k8s_manager.errors import FilesExpired, JobGone, ResultNotReady
from k8s_manager.records import FINAL, Job
from ogcapi import file_answers, negotiation, pages, problems, process_page
from ogcapi.documents import link, reply, status_document
from ogcapi.file_answers import media_type
from ogcapi.negotiation import JSON
from ogcapi.problems import Problem
from ogcapi.service import Service


def response(
    service: Service, job: Job, *, only: Sequence[str] | None = None, document: bool = False
) -> Response:
    """Answer with the results of a job as the execute request asked, or as a document.

    Raises:
        ResultNotReady, JobGone, Problem: There are no results; a failed job gives its own error.
    """
    values = _chosen(job, only or job.request.get("outputs"))
    room = _Room(service.settings.inline_limit_bytes)
    if document or job.request.get("response", "document") == "document":
        members = {name: _member(service, job, name, item, room) for name, item in values.items()}
        return reply(members)
    return _raw(service, job, values, room)


def links(service: Service, job: Job, only: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """List the result files and values of a successful job for a page."""
    rows = []
    for name, value in _chosen(job, only).items():
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if _is_file(item):
                many = isinstance(value, list)
                rows.append(_reference(service, job, name, item, index if many else None))
                rows[-1] |= {"output": name, "size": item.get("size")}
            elif item is not None:
                rows.append({"output": name, "value": item})
    return rows


def page(service: Service, job: Job, rows: list[dict[str, Any]]) -> Response:
    """Answer with a page that lists results, or the files of one."""
    return pages.page(
        "results.html",
        document=status_document(job),
        process_title=process_page.titles(service).get(job.process_id, job.process_id),
        output_titles=process_page.output_titles(service, job.process_id),
        links=rows,
    )


def file_response(service: Service, job: Job, output: str, path: str) -> Response:
    """Send a file of an output, or list the files of a folder, by its path below the output."""
    value, prefix = _values(job).get(output), output
    if value is None:
        raise Problem(404, "No such output", f"job {job.id} has no output {output!r}")
    if isinstance(value, list) and (path or any(map(_is_file, value))):
        if not path:
            return reply({"links": _links_of(service, job, output, value)})
        index, _, path = path.partition("/")
        if not re.fullmatch("[0-9]{1,9}", index) or int(index) >= len(value):
            raise Problem(404, "No such file", f"{output} holds files 0..{len(value) - 1}")
        value, prefix = value[int(index)], f"{output}/{index}"
    if not _is_file(value):
        return reply(bbox_document(value) or value)
    place = service.workspace.path(value["location"])
    if value["class"] == "Directory":
        return _from_folder(service, job, prefix, place, path)
    if path not in ("", value["basename"]):
        raise Problem(404, "No such file", f"{output} is the file {value['basename']}")
    return _send(place, value["basename"])


def _chosen(job: Job, names: Iterable[str] | None) -> dict[str, Any]:
    values = _values(job)
    wanted = list(names or values)
    unknown = [name for name in wanted if name not in values]
    if unknown:
        raise Problem(
            400,
            "Unknown output",
            f"{', '.join(unknown)} not among the results; known: {', '.join(sorted(values))}",
        )
    return {name: values[name] for name in wanted if values[name] is not None}


def _values(job: Job) -> dict[str, Any]:
    if job.removed or job.status == "dismissed":
        raise JobGone(f"job {job.id} was dismissed; its results are gone")
    if job.status not in FINAL:
        raise ResultNotReady(
            f"job {job.id} is {job.status}; look at its status until it is successful"
        )
    if job.status == "failed":
        raise problems.of_job(job)
    if job.files_expired:
        raise FilesExpired(job.why_files_are_gone)
    return job.results or {}


class _Room:
    """What files may still take inside one answer; what does not fit is linked."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def takes(self, value: Mapping[str, Any]) -> bool:
        """Tell whether a file fits, which then takes its room."""
        size = int(value.get("size") or 0)
        if value["class"] != "File" or size > self._left:
            return False
        self._left -= size
        return True


def _member(service: Service, job: Job, name: str, value: Any, room: _Room) -> Any:
    """Return one member of the results document: an inline value or a link."""
    asked = (job.request.get("outputs") or {}).get(name) or {}
    mode = asked.get("transmissionMode")
    if isinstance(value, list) and any(_is_file(item) for item in value):
        places = enumerate(value)
        return {
            "value": [_file(service, job, name, item, mode, room, index) for index, item in places]
        }
    if _is_file(value):
        return _file(service, job, name, value, mode, room)
    if mode == "reference":
        return _reference(service, job, name, value)
    if box := bbox_document(value):
        return box  # the published schema has boxes stand for themselves
    return {"value": value} if isinstance(value, (dict, list)) else value


def _file(
    service: Service,
    job: Job,
    name: str,
    value: Any,
    mode: str | None,
    room: _Room,
    index: int | None = None,
) -> dict[str, Any]:
    """Return a file as it was asked for; a link where nothing was said, as files may be large."""
    if mode == "value" and room.takes(value):
        try:
            return _inline(service.workspace.path(value["location"]), value["basename"])
        except (ValueError, RecursionError):
            pass  # not what its name says, such as JSON with NaN: it is linked, as it is
    return _reference(service, job, name, value, index)


def _inline(place: Path, name: str) -> dict[str, Any]:
    """Return what a file holds; raises ValueError or RecursionError where JSON cannot hold that."""
    _check_there(place, name)
    media = media_type(name)
    if media in (JSON, "application/geo+json"):
        content = json.loads(place.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8")
        return {"value": content, "mediaType": media}
    if media.startswith("text/"):
        return {"value": place.read_text(encoding="utf-8"), "mediaType": media}
    text = base64.b64encode(place.read_bytes()).decode("ascii")
    return {"value": text, "mediaType": media, "encoding": "base64"}


def _raw(service: Service, job: Job, values: dict[str, Any], room: _Room) -> Response:
    """Answer raw: the one value, links if all go by reference, else multipart/related."""
    asked = job.request.get("outputs") or {}
    referenced = {
        name for name in values if (asked.get(name) or {}).get("transmissionMode") == "reference"
    }
    if referenced == set(values):
        answer = Response(status=204)
        answer.headers.remove("Content-Type")
        for name, value in values.items():
            answer.headers.add("Link", _link_header(_reference(service, job, name, value), name))
        return answer
    if len(values) == 1:
        ((name, value),) = values.items()
        return _raw_part(service, job, name, value)
    referenced |= {
        name
        for name, value in values.items()
        if name not in referenced and _is_file(value) and not room.takes(value)
    }
    boundary = uuid.uuid4().hex
    body = b""
    for name, value in values.items():
        head = f"--{boundary}\r\nContent-ID: <{name}>\r\n"
        if name in referenced:
            target = _reference(service, job, name, value)
            head += f"Content-Type: {target['type']}\r\nContent-Location: {target['href']}\r\n\r\n"
            body += head.encode() + b"\r\n"
            continue
        part = _raw_part(service, job, name, value)
        part.direct_passthrough = False
        head += f"Content-Type: {part.content_type}\r\n\r\n"
        body += head.encode() + part.get_data() + b"\r\n"
        part.close()
    body += f"--{boundary}--\r\n".encode()
    return Response(body, 200, content_type=f'multipart/related; boundary="{boundary}"')


def _link_header(target: dict[str, str], name: str) -> str:
    return f'<{target["href"]}>; rel="item"; type="{target["type"]}"; title="{name}"'


def _raw_part(service: Service, job: Job, name: str, value: Any) -> Response:
    if _is_file(value) or (isinstance(value, list) and any(map(_is_file, value))):
        return file_response(service, job, name, "")
    if isinstance(value, str):
        return Response(value, 200, mimetype="text/plain")
    return reply(bbox_document(value) or value)


def _reference(
    service: Service, job: Job, name: str, value: Any, index: int | None = None
) -> dict[str, Any]:
    """Return the link to a result, or to one of several (`index`)."""
    path = f"/jobs/{job.id}/results/{quote(name)}" + (f"/{index}" if index is not None else "")
    if not _is_file(value):
        return link(path, "item", JSON, name)
    if value["class"] == "Directory":
        return link(path, "item", JSON, f"{name}: list of files")
    basename = value["basename"]
    return link(f"{path}/{quote(basename)}", "item", media_type(basename), basename)


def _links_of(service: Service, job: Job, name: str, value: list[Any]) -> list[dict[str, Any]]:
    return [_reference(service, job, name, item, index) for index, item in enumerate(value)]


def _from_folder(service: Service, job: Job, prefix: str, folder: Path, path: str) -> Response:
    """Answer with a file of a folder, or the list of a folder's files; `prefix` is its address."""
    output = prefix.partition("/")[0]
    root = folder.resolve()
    try:
        place = (root / path).resolve()
        there = place.is_relative_to(root) and place.exists()
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL
        there = False
    if not there:
        raise Problem(404, "No such file", f"{output} has no file {path!r}")
    if place.is_file():
        return _send(place, place.name)
    entries = [
        link(
            f"/jobs/{job.id}/results/{prefix}/{quote(entry.relative_to(root).as_posix())}",
            "item",
            media_type(entry.name) if entry.is_file() else JSON,
            entry.name,
        )
        for entry in sorted(place.iterdir())
    ]
    if negotiation.representation() == negotiation.HTML:
        rows = [{**entry, "output": output} for entry in entries]
        return page(service, job, rows)
    return reply({"links": entries})


def _send(place: Path, name: str) -> Response:
    _check_there(place, name)
    return file_answers.send(place, name)


def _check_there(place: Path, name: str) -> None:
    if not place.is_file():
        raise JobGone(f"{name} is no longer there")


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class") in ("File", "Directory")
