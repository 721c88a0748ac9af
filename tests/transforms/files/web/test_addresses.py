"""Which addresses are the internet's, and that what was checked is what is connected to."""

import socket
from typing import Any

import pytest

from tests.support.web import run_web
from transforms.errors import NotFoundError, PermissionDeniedError
from transforms.files.web.addresses import connect, is_public


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "193.0.6.139", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"],
)
def test_the_internets_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "168.63.129.16"),
        *("192.0.0.8", "192.0.0.192", "192.88.99.1", "198.18.0.1", "203.0.113.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1"),
        *("ff02::1", "ff0e::1", "2001:db8::1", "3fff::1", "2001::1", "5f00::1", "4000::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::"),
    ],
)
def test_no_other_address_is(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "::1", "0"]
)
def test_this_machine_is_refused_however_it_is_called(host: str) -> None:
    with pytest.raises(PermissionDeniedError, match=r"no public address; a run reads it"):
        connect(host, 9, 1.0, allow_private_hosts=False)


def test_a_host_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [("8.8.8.8", 80), ("10.0.0.1", 80)]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", at) for at in places]
    )
    with pytest.raises(PermissionDeniedError, match=r"a\.example is at 10\.0\.0\.1"):
        connect("a.example", 80, 0.1, allow_private_hosts=False)


def test_a_name_is_looked_up_once_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[str] = []
    with run_web() as web:

        def look_up(host: str, *_: object, **__: object) -> list[Any]:
            lookups.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", web.port))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with connect("a.example", web.port, 1.0, allow_private_hosts=True) as connection:
            assert connection.getpeername() == ("127.0.0.1", web.port)
    assert lookups == ["a.example"]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70 + ".example"])
def test_a_host_that_is_none_is_not_found(host: str) -> None:
    try:
        socket.getaddrinfo("no.such.host.invalid", 80)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN and host.endswith(".invalid"):
            pytest.skip("no name server answers")
    with pytest.raises(NotFoundError, match="there is no host"):
        connect(host, 80, 1.0, allow_private_hosts=False)
