"""A TLS proxy in front of the real API server that misbehaves on demand.

Clients reach it with the kubeconfig that it writes; what it passes on goes to the cluster that
KUBECONFIG names, under that file's identity. A fault may be set and lifted while it works.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client, config

Fault = Callable[["Exchange"], bool]
"""Does its harm to an exchange and returns True, or lets it pass."""


class ApiProxy:
    """The proxy, serving from the moment it is made until `close`; its files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.directly = os.environ["KUBECONFIG"]
        """The kubeconfig that leads past the proxy."""
        self.token = secrets.token_urlsafe()
        self.struck = 0
        """Exchanges that a fault has harmed."""
        self.kept_waiting: list[str] = []
        """Methods of calls that came during silence."""
        self.passed = threading.Event()
        self.passed.set()
        self.upstream = _Upstream(self.directly)
        self._fault: Fault | None = None
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), Exchange)
        self._server.proxy = self
        self._server.tls.load_cert_chain(_certificate(folder), folder / "key.pem")
        self._write_kubeconfig(folder)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """Break all connections, and let a fault strike those that come for a while."""
        self._fault = fault
        self.cut()
        try:
            yield
        finally:
            self._fault = None

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Accept everything and answer nothing for a while; what was asked is carried out late."""
        self.passed.clear()
        try:
            yield
        finally:
            self.passed.set()

    def cut(self) -> None:
        """Break all connections."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop serving."""
        self.passed.set()
        self._server.shutdown()
        self.cut()
        self._server.server_close()
        self._thread.join()
        self.upstream.close()

    def strikes(self, exchange: Exchange) -> bool:
        """Let the present fault, if there is one, have its way."""
        fault = self._fault
        if fault is None or not fault(exchange):
            return False
        with self._lock:
            self.struck += 1
        return True

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def _write_kubeconfig(self, folder: Path) -> None:
        port = self._server.server_address[1]
        cluster = {"server": f"https://127.0.0.1:{port}"}
        named = {
            "clusters": {"cluster": cluster | {"certificate-authority": str(folder / "cert.pem")}},
            "users": {"user": {"token": self.token}},
            "contexts": {"context": {"cluster": "proxied", "user": "proxied"}},
        }
        document: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
        for section, entry in named.items():
            document[section] = [{"name": "proxied", **entry}]
        document["current-context"] = "proxied"
        self.kubeconfig.write_text(yaml.safe_dump(document))


class Exchange(BaseHTTPRequestHandler):
    """The calls of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    timeout = 300
    server: _Server
    body: bytes

    @property
    def watches(self) -> bool:
        return self.command == "GET" and "watch=true" in self.path

    @property
    def creates(self) -> bool:
        return self.command == "POST"

    def setup(self) -> None:
        self.server.proxy.opened(self.request)
        super().setup()

    def finish(self) -> None:
        self.server.proxy.closed(self.request)
        super().finish()

    def serve(self) -> None:
        proxy = self.server.proxy
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {proxy.token}":
            self.answer(401, "Unauthorized")
            return
        if not proxy.passed.is_set():
            proxy.kept_waiting.append(self.command)
            proxy.passed.wait()
        if not proxy.strikes(self):
            self.pass_on()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = serve  # noqa: N815  names that the standard library looks for

    def pass_on(self) -> None:
        """Ask the real server and hand its answer back."""
        response = self.ask()
        try:
            self.send_response(response.status)
            self.send_header("Content-Type", response.headers.get("Content-Type", ""))
            if self.watches:
                self.begin_stream()
                for chunk in response.stream(65_536, decode_content=False):
                    self.server.proxy.passed.wait()
                    self.send_chunk(chunk)
                self.send_chunk(b"")
            else:
                self._hand_on(response.read())
        finally:
            response.close()

    def ask(self) -> urllib3.BaseHTTPResponse:
        """Let the real server carry out the call; its answer is not handed back yet."""
        kept = ("Accept", "Content-Type")
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        return self.server.proxy.upstream.ask(self.command, self.path, headers, self.body)

    def answer(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        """Answer with an error in the words of Kubernetes, without asking the real server."""
        document = {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
            "reason": reason, "message": f"{reason}: made up by a test",
        }  # fmt: skip
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self._hand_on(json.dumps(document).encode())

    def begin_stream(self) -> None:
        """End the head of the answer to a watch."""
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, chunk: bytes) -> None:
        """Send a piece of a stream; an empty one ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def cut(self) -> None:
        """Break the connection without a word."""
        self.close_connection = True
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what went wrong is what a test asked for."""

    def _hand_on(self, data: bytes) -> None:
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: ApiProxy

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        wrapped = self.tls.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )  # the handshake happens in the connection's own thread
        return wrapped, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that give up and connections that are cut are the point."""


class _Upstream:
    """The cluster that a kubeconfig names, under its identity."""

    def __init__(self, kubeconfig: str) -> None:
        self._configuration = client.Configuration()
        config.load_kube_config(kubeconfig, client_configuration=self._configuration)
        self._configuration.retries = False
        self._pool = client.ApiClient(self._configuration).rest_client.pool_manager

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse:
        for given in self._configuration.auth_settings().values():
            headers[given["key"]] = given["value"]
        answer: urllib3.BaseHTTPResponse = self._pool.request(
            method, self._configuration.host + path, body=body or None, headers=headers,
            preload_content=False, timeout=urllib3.Timeout(connect=10, read=300), retries=False,
        )  # fmt: skip
        return answer

    def close(self) -> None:
        self._pool.clear()


def _certificate(folder: Path) -> Path:
    """Make a certificate for this machine that is its own authority."""
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=cdi test proxy",
        "-addext", "subjectAltName=IP:127.0.0.1",
        "-addext", "keyUsage=critical,digitalSignature,keyCertSign",
        "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    return folder / "cert.pem"
