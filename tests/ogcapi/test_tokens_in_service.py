"""`cdi tokens` and a real server: what is given out counts at once, what is taken back soon not."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from k8s_manager.tokens import PATTERN
from tests.ogcapi.test_command_line import CONFIG, ROOT, cdi
from tests.serving import Server, serving


def test_a_token_is_printed_alone_and_never_again(tmp_path: Path) -> None:
    code, out, error = cdi(tmp_path, "tokens", "create", "ada", "--role", "runner", "-r", "officer")
    assert code == 0
    assert re.fullmatch(PATTERN + r"\n", out)
    assert "cannot be shown again" in error
    assert "CDI_IDENTITY_METHOD=tokens" in error
    token_id = out[4:14]
    listed = cdi(tmp_path, "tokens", "list", COLUMNS="120")[1]
    assert re.search(rf"^{token_id} +ada +officer, runner", listed, re.MULTILINE)
    assert out.strip() not in listed
    assert cdi(tmp_path, "tokens", "revoke", token_id)[0] == 0
    assert cdi(tmp_path, "tokens", "list")[1] == "No tokens.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "ada", "--role", "king"), "king"),
        (("create", "local", "--role", "admin"), "reserved"),
        (("revoke", "none"), "cdi tokens list"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, error = cdi(tmp_path, "tokens", *arguments)
    assert (code, out) == (2, "")
    assert sentence in error


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tokens")
    everything = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    text = yaml.safe_dump({**CONFIG, "metadata": everything["metadata"]})
    (folder / "config.yml").write_text(text, encoding="utf-8")
    # Not loopback: with identities that needs no other setting.
    env = {
        "CDI_IDENTITY_METHOD": "proxy",
        "CDI_IDENTITY_PROXY_ADDRESSES": "127.0.0.1",
        "CDI_HOST": "0.0.0.0",
    }
    with serving(folder / "config.yml", folder / "var", ("--no-controller",), env) as running:
        yield running


def test_the_server_says_whom_it_serves(server: Server) -> None:
    said = server.log.read_text()
    assert "say who they are with an API token, or a proxy that names them" in said
    assert "no identities" not in said


def test_a_token_counts_at_once_and_a_revocation_soon_in_every_worker(server: Server) -> None:
    folder = server.log.parent.parent
    assert server.get("/processes").status_code == 401
    token = cdi(folder, "tokens", "create", "ada", "--role", "viewer")[1].strip()
    headers = {"Authorization": f"Bearer {token}"}
    for _ in range(20):  # both workers
        assert server.get("/processes", headers=headers).status_code == 200
    listed = cdi(folder, "tokens", "list", COLUMNS="120")[1]
    assert re.search(r"ada +viewer +\S+ +- +\S+ \d\d:\d\d", listed)  # when it was used last
    assert cdi(folder, "tokens", "revoke", token[4:14])[0] == 0
    until, refused = time.monotonic() + 60, 0
    while refused < 20:
        assert time.monotonic() < until
        answer = server.get("/processes", headers=headers)
        refused = refused + 1 if answer.status_code == 401 else 0
    assert "revoked" in answer.json()["detail"]


def test_headers_that_only_look_like_the_proxys_name_nobody(server: Server) -> None:
    def status(*headers: tuple[str, str]) -> int:
        address = urlsplit(server.url)
        connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
        connection.putrequest("GET", "/jobs")
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    user, roles = ("X-Forwarded-User", "ada"), ("X-Forwarded-Groups", "runner")
    assert status(user, roles) == 200
    assert status(("X_Forwarded_User", "ada"), ("X_Forwarded_Groups", "admin")) == 401
    assert status(user, ("X_Forwarded_Groups", "runner")) == 403
    assert status(user, ("X-Forwarded-User", "bo"), roles) == 401
