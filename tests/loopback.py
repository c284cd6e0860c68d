"""A real HTTP server on loopback that plays the other host, also one that behaves badly."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    host: str
    media_type: str
    body: bytes
    at: float
    """Monotonic seconds."""


@dataclass
class Loopback:
    """A running server; what it answers is named by the path.

    /status/500,500,200   that status, of several one for each request, the last one ever after
    /slow                 nothing until `release` is set
    /endless              a body without end
    /drip                 a header line without end, a byte at a time
    /short                less than was announced
    /redirect?to=URL      302
    /circle               302 to itself
    /file/NAME            `size` bytes (1000) of `type`; with `coding` a Content-Encoding;
                          with `chunked` without a Content-Length
    """

    host: str
    port: int
    scheme: str = "http"
    received: list[Received] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    names: list[str] = field(default_factory=list)
    """Names that TLS clients asked for."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    def paths(self) -> list[str]:
        return [request.path for request in self.received]

    def on(self, path: str) -> list[Received]:
        return [request for request in self.received if request.path == path]


@contextmanager
def loopback(
    host: str = "127.0.0.1", certificate: ssl.SSLContext | None = None
) -> Iterator[Loopback]:
    """Serve until the block ends."""
    state = Loopback(host, 0)
    counts: Counter[str] = Counter()
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            state.received.append(
                Received(
                    method=self.command,
                    path=self.path,
                    host=self.headers.get("Host", ""),
                    media_type=self.headers.get("Content-Type", ""),
                    body=self.rfile.read(length),
                    at=time.monotonic(),
                )
            )
            parts = urlsplit(self.path)
            kind, _, rest = parts.path.strip("/").partition("/")
            self.close_connection = True
            with contextlib.suppress(OSError):  # the client has hung up
                getattr(self, f"answer_{kind}")(
                    rest, {k: v[0] for k, v in parse_qs(parts.query).items()}
                )

        do_GET = do_POST = handle_any  # noqa: N815  as the library calls them

        def answer_status(self, rest: str, _query: dict[str, str]) -> None:
            codes = rest.partition("/")[0].split(",")
            code = int(codes[min(counts[self.path], len(codes) - 1)])
            counts[self.path] += 1
            self.head(code, {"Content-Length": "0"})

        def answer_slow(self, _rest: str, _query: dict[str, str]) -> None:
            while not state.release.wait(0.02) and not stopping.is_set():
                pass
            self.head(200, {"Content-Length": "0"})

        def answer_endless(self, _rest: str, _query: dict[str, str]) -> None:
            self.head(200, {})
            while not stopping.is_set():
                self.wfile.write(b"x" * 65536)

        def answer_drip(self, _rest: str, _query: dict[str, str]) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not stopping.wait(0.02):
                self.wfile.write(b"x")

        def answer_short(self, _rest: str, _query: dict[str, str]) -> None:
            self.head(200, {"Content-Length": "1000"})
            self.wfile.write(b"x" * 10)

        def answer_redirect(self, _rest: str, query: dict[str, str]) -> None:
            self.head(302, {"Location": query.get("to", ""), "Content-Length": "0"})

        def answer_circle(self, _rest: str, _query: dict[str, str]) -> None:
            self.head(302, {"Location": self.path, "Content-Length": "0"})

        def answer_file(self, _rest: str, query: dict[str, str]) -> None:
            size = int(query.get("size", "1000"))
            headers = {} if "chunked" in query else {"Content-Length": str(size)}
            if "type" in query:
                headers["Content-Type"] = query["type"]
            if "coding" in query:
                headers["Content-Encoding"] = query["coding"]
            self.head(200, headers)
            self.wfile.write(b"x" * size)

        def head(self, code: int, headers: dict[str, str]) -> None:
            self.send_response(code)
            for name, text in {**headers, "Connection": "close"}.items():
                self.send_header(name, text)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class HTTPServer(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if host == "::1" else socket.AF_INET

    server = HTTPServer(("::1" if host == "::1" else "127.0.0.1", 0), Handler)
    server.daemon_threads = False
    state.port = server.server_port
    if certificate is not None:
        state.scheme = "https"
        certificate.sni_callback = lambda _socket, name, _context: state.names.append(str(name))
        server.socket = certificate.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
