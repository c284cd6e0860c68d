"""Writing what later stages read: items, batches, objects, and what was missing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shapely

from processes.grid import Batch
from processes.ingest.findings import Findings
from processes.ingest.items import Entry, LocalFile, collection
from processes.stage import write_json
from processes.vector import write_layers

# Products -> field of a batch record.
_FIELDS = {"ndom": "ndom", "dop": "dop", "sentinel-2-l2a": "s2"}


def write_outputs(
    entries: Sequence[Entry],
    batches: Sequence[Batch],
    objects: Any,
    findings: Findings,
    *,
    shared: bool,
) -> None:
    """Write all outputs but the area into the current folder, ``cwl.output.json`` last.

    Args:
        entries: All items with their files.
        batches: Tile batches.
        objects: Inventory objects of the run.
        findings: What was missing and noted.
        shared: Files stay in the cache that all jobs share; else they move to ``data/``.
    """
    values = _files(entries, shared=shared)
    places = shapely.STRtree([shapely.box(*entry.bounds.as_tuple()) for entry in entries])
    write_json(Path("items.json"), collection(entries))
    write_layers(Path("objects.gpkg"), {"objects": objects})
    write_json(Path("missing.json"), findings.as_document())
    records = []
    for batch in batches:
        hits = sorted(places.query(shapely.box(*batch.outer.as_tuple())).tolist())
        near = [entries[hit] for hit in hits if entries[hit].bounds.intersects(batch.outer)]
        records.append(_record(batch, near, values))
    write_json(
        Path("cwl.output.json"),
        {
            "run_area": _file("area.geojson"),
            "batches": records,
            "items": _file("items.json"),
            "missing": _file("missing.json"),
            "objects": _file("objects.gpkg"),
        },
    )


def _record(
    batch: Batch, near: Sequence[Entry], values: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    name = f"items-{batch.id}.json"
    write_json(Path(name), collection(near))
    files: dict[str, list[dict[str, Any]]] = {field: [] for field in _FIELDS.values()}
    for entry in sorted(near, key=lambda entry: str(entry.item["id"])):
        files[_FIELDS[entry.product]].extend(values[file.name] for file in entry.files)
    return {
        "id": batch.id,
        "core": list(batch.core.as_tuple()),
        "buffer": batch.buffer,
        "crs": batch.crs,
        **files,
        "items": _file(name),
    }


def _files(entries: Sequence[Entry], *, shared: bool) -> dict[str, dict[str, Any]]:
    """Return the CWL value of each local file by its name."""
    files = sorted((file for entry in entries for file in entry.files), key=lambda file: file.name)
    if not shared:
        return _moved(files)
    return {
        file.name: {
            "class": "File",
            "location": (
                file.stored.path.resolve().as_uri()
                if file.stored.in_place
                else f"cache:sha256/{file.stored.sha256}"
            ),
            "basename": file.name,
            "checksum": f"sha256${file.stored.sha256}",
            "size": file.stored.size,
        }
        for file in files
    }


def _moved(files: Sequence[LocalFile]) -> dict[str, dict[str, Any]]:
    """Move the files out of the job's own cache to ``data/``; equal content may have two names."""
    folder = Path("data")
    folder.mkdir(exist_ok=True)
    placed: dict[str, Path] = {}
    for file in files:
        target = folder / file.name
        if file.stored.sha256 in placed:
            shutil.copyfile(placed[file.stored.sha256], target)
        else:
            file.stored.path.replace(target)
            placed[file.stored.sha256] = target
    shutil.rmtree(".cache", ignore_errors=True)
    return {file.name: _file(f"data/{file.name}") for file in files}


def _file(path: str) -> dict[str, str]:
    return {"class": "File", "path": path}
