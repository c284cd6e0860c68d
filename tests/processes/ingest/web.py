"""Real HTTP servers on loopback that behave, and misbehave, like those the stage talks to."""

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Site(ThreadingHTTPServer):
    """Serves `files` (path -> bytes or a function of the posted body), with ranges and validators.

    `faults[path]` is a list; each request takes one away and suffers it:
    ("status", code, headers), ("cut", bytes sent), ("wait", seconds), ("garble",).
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.faults, self.requests = {}, {}, []
        self.validators = True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def asked(self, path):
        """The headers of all requests for `path`, in order."""
        return [headers for asked, headers in self.requests if asked == path]


@contextmanager
def site():
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, posted):
        path = urlsplit(self.path).path
        self.server.requests.append((path, dict(self.headers)))
        waiting = self.server.faults.get(path, [])
        kind, *details = waiting.pop(0) if waiting else ("none",)
        if kind == "status":
            return self._send(details[0], b"busy", details[1])
        body = self.server.files.get(path)
        if body is None:
            return self._send(404, b"nothing here", {})
        if callable(body):
            body = body(posted, self.path)
        if kind == "wait":
            time.sleep(details[0])
        if kind == "garble":
            body = bytes(byte ^ 0xFF for byte in body)
        return self._file(body, details[0] if kind == "cut" else None)

    def _file(self, body, cut):
        headers = {"Accept-Ranges": "bytes"}
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if self.server.validators:
            headers["ETag"] = etag
        status, part = 200, body
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes=") and self.headers.get("If-Range", etag) == etag:
            start = int(wanted[6:].split("-")[0])
            if start >= len(body):
                return self._send(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            status, part = 206, body[start:]
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self._send(status, part, headers, cut)

    def _send(self, status, body, headers, cut=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)


class StacApi:
    """A STAC API over recorded items: root, collection and POST search with pages."""

    def __init__(self, server, root, items, page=2):
        self._server, self._items, self._page = server, items, page
        base = server.url + "v1"
        self.url, self.searches = base, []
        root = {
            **root,
            "links": [
                {"rel": "self", "type": "application/json", "href": base},
                {"rel": "root", "type": "application/json", "href": base},
                {"rel": "data", "type": "application/json", "href": base + "/collections"},
                *(
                    {
                        "rel": "search",
                        "type": "application/geo+json",
                        "href": base + "/search",
                        "method": method,
                    }
                    for method in ("GET", "POST")
                ),
            ],
        }
        server.files["/v1"] = lambda *_: json.dumps(root).encode()
        server.files["/v1/"] = server.files["/v1"]
        server.files["/v1/search"] = self._search

    def _search(self, posted, _):
        asked = json.loads(posted)
        self.searches.append(asked)
        hits = [item for item in self._items if _fits(item, asked)]
        first = int(asked.get("token", 0))
        links = []
        if first + self._page < len(hits):
            links = [
                {
                    "rel": "next",
                    "type": "application/geo+json",
                    "method": "POST",
                    "href": self.url + "/search",
                    "body": {**asked, "token": first + self._page},
                }
            ]
        page = {
            "type": "FeatureCollection",
            "features": hits[first : first + self._page],
            "links": links,
        }
        return json.dumps(page).encode()


def _fits(item, asked):
    west, south, east, north = asked["bbox"]
    box = item["bbox"]
    start, end = asked["datetime"].split("/")
    cloud = asked.get("query", {}).get("eo:cloud_cover", {}).get("lte", 100)
    return (
        item["collection"] in asked["collections"]
        and box[0] <= east
        and west <= box[2]
        and box[1] <= north
        and south <= box[3]
        and start <= item["properties"]["datetime"] <= end
        and item["properties"]["eo:cloud_cover"] <= cloud
    )
