"""Files that processes wrote: their media types, and a policy that runs nothing in them."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from flask import Response, send_file

from ogcapi.negotiation import GEOJSON, HTML, JSON

# What a process wrote may come from anywhere; a page or drawing among it runs no script here.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
MEDIA_TYPES = {
    ".gpkg": "application/geopackage+sqlite3",
    ".tif": "image/tiff; application=geotiff",
    ".geojson": GEOJSON,
    ".json": JSON,
    ".html": HTML,
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".xml": "text/xml",
}


def media_type(name: str) -> str:
    """Return the media type of a file by its name."""
    if Path(name).name == "SHA256SUMS":
        return "text/plain"
    known = MEDIA_TYPES.get(Path(name).suffix.lower())
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"


def send(place: Path, name: str) -> Response:
    """Send the file at `place`; ranges and If-None-Match are honoured."""
    answer = send_file(place, mimetype=media_type(name), conditional=True, download_name=name)
    answer.headers["Content-Security-Policy"] = POLICY
    return answer
