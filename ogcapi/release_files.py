"""The files of a release for download: whole layers, rasters, report and manifest.

Only what a manifest names is given out, so that no other file of the workspace can be reached.
"""

from __future__ import annotations

import re
from pathlib import Path

from flask import Blueprint, Response, current_app

from ogcapi import file_answers, negotiation
from ogcapi.collections import read_manifest
from ogcapi.problems import Problem
from ogcapi.service import Service

BLUEPRINT = Blueprint("release_files", __name__)
ALWAYS = {"manifest.json", "summary.json", "report.html", "SHA256SUMS"}


@BLUEPRINT.get("/releases/<dataset>/<version>/<name>")
def release_file(dataset: str, version: str, name: str) -> Response:
    """Send one file of a release; ranges and If-None-Match are honoured."""
    negotiation.known_parameters()
    service: Service = current_app.extensions["cdi"]
    if not (re.fullmatch(r"[a-z0-9-]+", dataset) and re.fullmatch(r"[0-9]{6}", version)):
        raise _not_there(dataset, version, name)
    folder = service.workspace.release(dataset, version)
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError) as error:
        raise _not_there(dataset, version, name) from error
    files = set(ALWAYS)
    for described in manifest["collections"].values():
        entries = described.get("rasters", [])
        files |= {entry["file"] for entry in entries if entry["release"] is None}
        files |= {described["file"]} if "file" in described else set()
    path = folder / Path(name).name
    if name not in files or not path.is_file():
        raise _not_there(dataset, version, name)
    return file_answers.send(path, name)


def _not_there(dataset: str, version: str, name: str) -> Problem:
    return Problem(404, "No such file", f"release {version} of {dataset} has no file {name}")
