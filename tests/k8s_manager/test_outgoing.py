"""Whom the server asks on a client's behalf: only who is allowed, only where it was checked."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from k8s_manager.errors import AddressRefused, ConfigError, NoAnswer
from k8s_manager.outgoing import Guard
from k8s_manager.outside_settings import OutsideSettings
from k8s_manager.public_addresses import is_public
from tests.loopback import Loopback, loopback

HERE = ("127.0.0.1", "localhost")
OPEN = Guard(hosts=HERE, http_hosts=HERE, private_hosts=HERE)
NARROW = Guard(
    hosts=("example.org", "*.sub.example.org", "data.org:8443", "[2606:4700::1]", "10.0.0.1")
)


@pytest.fixture
def other() -> Iterator[Loopback]:
    with loopback() as server:
        yield server


def asked(guard: Guard, address: str, limit_s: float = 20.0) -> tuple[int, bytes]:
    with guard.ask("GET", address, limit_s=limit_s, wait_s=limit_s) as answer:
        return answer.status, b"".join(answer.chunks)


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"),  # private, carrier
        *("127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::"),  # this machine
        *("169.254.169.254", "fe80::1", "168.63.129.16"),  # link, what a cloud tells its machines
        *("224.0.0.1", "239.1.1.1", "ff02::1", "255.255.255.255"),  # many at once
        *("240.0.0.1", "192.0.2.1", "198.18.0.1", "2001:db8::1", "3fff::1", "100::1"),  # reserved
        *("fc00::1", "fd00:ec2::254", "fec0::1", "4000::1"),  # local, old, not given to anybody
        *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1"),  # IPv4 in IPv6
        *("2002:7f00:1::1", "2002:c0a8:101::1"),  # 6to4 of 127.0.0.1 and 192.168.1.1
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),  # NAT64
        "2001:0:1::1",  # Teredo
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808"],
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("https://example.org/a?b=c", "https://EXAMPLE.org./", "https://example.org:8443/"),
        *("https://a.sub.example.org/", "https://data.org:8443/", "https://[2606:4700::1]/"),
    ],
)
def test_addresses_at_named_hosts_are_taken(address: str) -> None:
    assert NARROW.expected(address) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://evil.org/", "an address at"),
        ("https://xsub.example.org/", "an address at"),
        ("https://sub.example.org.evil.org/", "an address at"),
        ("https://data.org/", "an address at"),
        ("https://example.org@evil.org/", "an address at"),
        ("https://example.org\\@evil.org/", "an address at"),
        ("https://evil.org#@example.org/", "an address at"),
        ("https://127.0.0.1/", "an address at"),
        ("https://2130706433/", "an address at"),
        ("https://user:secret@example.org/", "without user name"),
        ("http://example.org/", "without encryption"),
        ("https://10.0.0.1/", "a public address"),
        ("ftp://example.org/", "an https address"),
        ("file:///etc/passwd", "an https address"),
        ("//example.org/", "an https address"),
        ("example.org", "an https address"),
        ("https:///x", "an https address"),
        ("https://[::1", "an https address"),
        ("https://example.org:99999/", "an https address"),
        ("https://example.org/\r\nX-Injected: yes", "an https address"),
        ("https://example.org/" + "a" * 2000, "at most 2000 characters"),
        ("", "at most 2000 characters"),
        (7, "at most 2000 characters"),
    ],
)
def test_other_addresses_are_refused_with_what_is_expected(address: Any, expected: str) -> None:
    assert expected in str(NARROW.expected(address))


def test_without_named_hosts_nobody_is_asked() -> None:
    assert "asks no other hosts" in str(Guard(()).expected("https://example.org/"))


def test_a_name_that_stands_for_this_machine_is_refused_after_looking_it_up(
    other: Loopback,
) -> None:
    guard = Guard(hosts=("localhost",), http_hosts=("localhost",))
    address = f"http://localhost:{other.port}/status/200"
    assert guard.expected(address) is None
    with pytest.raises(AddressRefused, match=r"localhost is .* not a public"):
        asked(guard, address)
    assert other.received == []


def test_only_the_named_port_of_a_host_may_be_private(other: Loopback) -> None:
    named = f"127.0.0.1:{other.port}"
    assert asked(Guard((named,), (named,), (named,)), f"{other.url}/status/200")[0] == 200
    with pytest.raises(AddressRefused, match="a public address"):
        asked(Guard(HERE, HERE, (f"127.0.0.1:{other.port + 1}",)), f"{other.url}/status/200")


def test_a_host_is_looked_up_once_and_connected_where_it_was_checked(
    other: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers something else the second time must not matter."""
    real, looked_up = socket.getaddrinfo, list[str]()

    def spy(host: Any, *arguments: Any, **options: Any) -> Any:
        looked_up.append(host)
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", spy)
    asked(OPEN, f"http://localhost:{other.port}/status/200")
    assert looked_up.count("localhost") == 1
    assert set(looked_up[1:]) <= {"127.0.0.1", "::1"}
    assert other.received[0].host == f"localhost:{other.port}"


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_the_host_is_told_as_addresses_write_it() -> None:
    with loopback(host="::1") as server:
        address = f"http://[::1]:{server.port}/status/200"
        guard = Guard(("[::1]",), ("[::1]",), ("[::1]",))
        assert asked(guard, address)[0] == 200
        assert server.received[0].host == f"[::1]:{server.port}"


def test_tls_checks_the_name_and_not_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    guard = Guard(HERE, private_hosts=HERE)
    with loopback("localhost", context) as server:
        with pytest.raises(NoAnswer, match="certificate"):
            asked(guard, f"{server.url}/status/200")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert asked(guard, f"{server.url}/status/200")[0] == 200
        assert server.received[-1].host == server.authority
        assert "localhost" in server.names
        with pytest.raises(NoAnswer, match="certificate"):  # the right machine, another name
            asked(guard, f"https://127.0.0.1:{server.port}/status/200")


def test_redirects_are_told_and_not_followed(other: Loopback) -> None:
    address = f"{other.url}/redirect?to={other.url}/status/200"
    assert asked(OPEN, address)[0] == 302
    assert len(other.received) == 1


@pytest.mark.parametrize("path", ["slow", "drip", "endless"])
def test_an_exchange_ends_with_its_time_however_it_is_drawn_out(other: Loopback, path: str) -> None:
    before = time.monotonic()
    with pytest.raises(NoAnswer, match="takes too long"):
        asked(OPEN, f"{other.url}/{path}", limit_s=0.3)
    assert time.monotonic() - before < 60


def test_an_answer_that_breaks_off_is_none(other: Loopback) -> None:
    with pytest.raises(NoAnswer):
        asked(OPEN, f"{other.url}/short")


def test_a_host_that_is_not_there_is_no_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    with pytest.raises(NoAnswer):
        asked(OPEN, address)
    nowhere = Guard(("nowhere.invalid",))
    with pytest.raises(NoAnswer, match=r"nowhere\.invalid cannot be found"):
        asked(nowhere, "https://nowhere.invalid/")


def test_settings_name_hosts_as_they_are_meant() -> None:
    env = {"CDI_OUTSIDE_CALLBACK_HOSTS": "a.org,*.b.org,c.org:8443,[::1]:80,10.0.0.1"}
    settings = OutsideSettings.load({"input_hosts": ["d.org"]}, env)
    assert len(settings.callback_hosts) == 5
    assert settings.input_hosts == ("d.org",)
    for wrong in ("https://a.org", "a.org/", "A.org", "a b", "*"):
        with pytest.raises(ConfigError, match="CDI_OUTSIDE_CALLBACK_HOSTS"):
            OutsideSettings.load({}, {"CDI_OUTSIDE_CALLBACK_HOSTS": wrong})
    with pytest.raises(ConfigError, match="hosts is no setting"):
        OutsideSettings.load({"hosts": []}, {})
