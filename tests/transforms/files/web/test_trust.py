"""Whom a reader of the web trusts: no private address, no redirect, no false certificate."""

import datetime
import functools
import ipaddress
import pathlib
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.web import CONTENT, Answer, WebServer, open_store, redirect, run_web
from transforms.errors import (
    NotFoundError,
    PermissionDeniedError,
)
from transforms.files.web import addresses
from transforms.files.web.storage import WebStorage


def make_certificate(directory: pathlib.Path, days: int) -> tuple[ssl.SSLContext, str]:
    """Writes a certificate of 127.0.0.1; returns a server's side, and its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=10))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{days}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, str(path)


def test_nobody_is_sent_what_netrc_holds(
    web: WebServer, store: WebStorage, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    cookie = {"Set-Cookie": "a=1"}
    store.read(web.put("/a", Answer(CONTENT, headers=cookie), Answer(CONTENT)), 1 << 20)
    store.read(web.url + "/a", 1 << 20)
    assert not any({"Authorization", "Cookie"} & headers.keys() for headers in web.server.headers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(web: WebServer, store: WebStorage, status: int) -> None:
    web.put("/x/b.jpg", CONTENT)
    assert store.read(web.put("/x/a.jpg", redirect("b.jpg", status)), 1 << 20) == CONTENT


def test_only_five_redirects_are_followed(web: WebServer, store: WebStorage) -> None:
    for place in range(7):
        web.put(f"/{place}", redirect(f"/{place + 1}"))
    web.put("/7", CONTENT)
    assert store.read(f"{web.url}/2", 1 << 20) == CONTENT
    with pytest.raises(NotFoundError, match="more than 5 redirects"):
        store.read(f"{web.url}/1", 1 << 20)
    with pytest.raises(NotFoundError, match="more than 5 redirects"):
        store.read(web.put("/loop", redirect("/loop")), 1 << 20)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://a.example/b", "http://me:pw@b/c"])
def test_a_redirect_leads_nowhere_else(web: WebServer, store: WebStorage, to: str) -> None:
    with pytest.raises(PermissionDeniedError, match="redirected by http://127") as raised:
        store.read(web.put("/a", redirect(to)), 1 << 20)
    assert "pw" not in str(raised.value).replace("passwd", "")


def test_a_private_host_is_refused_before_it_is_asked(web: WebServer) -> None:
    store = WebStorage(allow_private_hosts=False)  # It opens no connection.
    for url in (web.put("/a", CONTENT), f"http://localhost:{web.port}/a"):
        with pytest.raises(PermissionDeniedError, match="no public address"):
            store.read(url, 1 << 20)
        with pytest.raises(PermissionDeniedError, match="no public address"):
            store.stat(url)
    assert web.server.requests == []


def test_a_private_host_is_refused_at_every_hop(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here 127.0.0.1 is let in as the internet is, and 127.0.0.2 is not."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    target = f"http://127.0.0.2:{web.port}/secret"
    web.put("/secret", b"secret")
    with (
        open_store(allow_private_hosts=False) as store,
        pytest.raises(PermissionDeniedError, match=r"127\.0\.0\.2 is no public address"),
    ):
        store.read(web.put("/a", redirect(target)), 1 << 20)
    assert web.requests == ["GET /a"]


def test_a_certificate_is_always_checked(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, path = make_certificate(tmp_path, days=10)
    wrap = functools.partial(context.wrap_socket, server_side=True)
    with run_web(wrap) as web:
        url = web.put("/a", CONTENT)
        with pytest.raises(
            PermissionDeniedError, match=r"certificate of 127\.0\.0\.1 is not valid"
        ):
            WebStorage(allow_private_hosts=True).read(url, 1 << 20)
        monkeypatch.setenv("SSL_CERT_FILE", path)
        with open_store() as store, run_web() as plain:
            assert store.read(url, 1 << 20) == CONTENT
            with pytest.raises(PermissionDeniedError, match=r"localhost is not valid"):
                store.read(f"https://localhost:{web.port}/a", 1 << 20)
            down = web.put("/down", redirect(plain.put("/a", CONTENT)))
            with pytest.raises(PermissionDeniedError, match="from https to http"):
                store.read(down, 1 << 20)
            assert plain.server.requests == []


def test_an_expired_certificate_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, path = make_certificate(tmp_path, days=-1)
    monkeypatch.setenv("SSL_CERT_FILE", path)
    with (
        run_web(functools.partial(context.wrap_socket, server_side=True)) as web,
        pytest.raises(PermissionDeniedError, match="expired"),
    ):
        WebStorage(allow_private_hosts=True).read(web.put("/a", CONTENT), 1 << 20)


def test_a_proxy_of_the_environment_is_used(
    web: WebServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy looks names up; it alone is sent the credentials that are its own."""
    context, path = make_certificate(tmp_path, days=10)
    monkeypatch.setenv("SSL_CERT_FILE", path)
    monkeypatch.setattr("transforms.files.web.connections.is_public", lambda _: True)
    proxy = f"http://me:pw@127.0.0.1:{web.port}"
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    wrap = functools.partial(context.wrap_socket, server_side=True)
    web.put("http://a.example:80/a.jpg", CONTENT)
    with run_web(wrap) as far, open_store(allow_private_hosts=False) as store:
        assert store.read("http://a.example/a.jpg", 1 << 20) == CONTENT
        assert web.server.headers[-1]["Host"] == "a.example:80"
        assert web.server.headers[-1]["Proxy-Authorization"] == "Basic bWU6cHc="
        web.server.tunnel_to = ("127.0.0.1", far.port)
        far.put("/a.jpg", CONTENT)
        assert store.read("https://127.0.0.1:4443/a.jpg", 1 << 20) == CONTENT
        assert web.requests[-1] == "CONNECT 127.0.0.1:4443"
        assert not any("Proxy-Authorization" in headers for headers in far.server.headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "a.localhost", "[::1]"])
def test_a_proxy_is_not_asked_for_a_private_address(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("http_proxy", web.url)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(PermissionDeniedError, match="no public address"):
        WebStorage(allow_private_hosts=False).read(f"http://{host}/a", 10)
    assert web.server.requests == []
