"""Files read from a web server with faults, as a good guest reads them."""

import contextlib
import datetime
import email.utils
import functools
import gzip
import ipaddress
import pathlib
import ssl
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.web import Answer, WebServer, run_web
from transforms.errors import (
    FileTooLargeError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    UnsupportedFormatError,
)
from transforms.files import web_addresses, web_connections, web_hosts, web_storage
from transforms.files.object_store import StoredObject, TransientError
from transforms.files.web_storage import WebStorage

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def web() -> Iterator[WebServer]:
    with run_web() as server:
        yield server


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebStorage]:
    monkeypatch.setattr(web_connections, "STALL_SECONDS", 1.0)
    monkeypatch.setattr(web_storage, "REQUEST_SECONDS", 2.0)
    with open_store() as opened:
        yield opened


def open_store(*, allow_private_hosts: bool = True) -> contextlib.closing[WebStorage]:
    return contextlib.closing(WebStorage(allow_private_hosts=allow_private_hosts))


def test_a_file_is_read_with_one_request_a_connection_and_one_robots_txt(
    web: WebServer, store: WebStorage
) -> None:
    url = web.put("/a%20b/%41.jpg?w=1", CONTENT)
    for _ in range(3):
        assert store.read(f"{url}#top", len(CONTENT)) == CONTENT
    assert web.requests == ["GET /a%20b/%41.jpg?w=1"] * 3
    assert web.robots_requests == 1
    assert web.server.connections == 1
    for name, value in web.server.headers[-1].items():
        assert name in ("Host", "User-Agent", "Accept", "Accept-Encoding"), (name, value)
    assert web.server.headers[-1]["User-Agent"].startswith("image-batch-inference")
    assert web.server.headers[-1]["Accept-Encoding"] == "identity"


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


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer(status=404), NotFoundError, "answers 404 Not Found"),
        (Answer(status=410), NotFoundError, "410 Gone"),
        (Answer(status=400), NotFoundError, "400 Bad Request"),
        (Answer(status=204), NotFoundError, "204 No Content"),
        (Answer(status=302), NotFoundError, "302 Found"),
        (Answer(status=401), PermissionDeniedError, "401 Unauthorized"),
        (Answer(status=403), PermissionDeniedError, "403 Forbidden"),
        (Answer(status=451), PermissionDeniedError, "451 Unavailable For Legal Reasons"),
        (Answer(status=408), TransientError, "408"),
        (Answer(status=500), TransientError, "500 Internal Server Error"),
        (Answer(status=502), TransientError, "502"),
        (Answer(status=599), TransientError, "answers 599$"),
        (Answer(CONTENT, fault="short"), TransientError, "only 10,240 of 10,340 bytes came"),
        (Answer(CONTENT, fault="reset"), TransientError, "connection reset"),
        (Answer(CONTENT, fault="hang up"), TransientError, "closed connection without response"),
        (Answer(CONTENT, fault="stall"), TransientError, "no answer, or it stopped coming"),
        (Answer(CONTENT, fault="drip"), TransientError, "no whole answer in 2 s"),
        (Answer(CONTENT, fault="drip headers"), TransientError, "no whole answer in 2 s"),
        (Answer(CONTENT, fault="junk"), TransientError, r"no proper answer \(BadStatusLine\)"),
        (
            Answer(b"10\r\nabc", headers={"Transfer-Encoding": "chunked"}, fault="short"),
            TransientError,
            r"no proper answer \(IncompleteRead\)",
        ),
        (
            Answer(b"zz\r\nabc", headers={"Transfer-Encoding": "chunked"}, fault="short"),
            TransientError,
            "no proper answer",
        ),
        (Answer(headers={f"X-{n}": "1" for n in range(200)}), TransientError, "no proper answer"),
        (Answer(headers={"X-A": "1" * 70_000}), TransientError, "LineTooLong"),
        (Answer(CONTENT, headers={"Content-Encoding": "br"}), UnsupportedFormatError, "'br'"),
        (Answer(CONTENT, headers={"Content-Encoding": "gzip"}), TransientError, "no proper answer"),
        (Answer(CONTENT, headers={"X-Robots-Tag": "noai"}), PermissionDeniedError, "noai"),
    ],
)
def test_each_fault_is_told_as_what_it_is(
    web: WebServer, store: WebStorage, answer: Answer, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        store.read(web.put("/a.jpg", answer), 1 << 20)
    assert store.read(web.put("/b.jpg", CONTENT), 1 << 20) == CONTENT


@pytest.mark.parametrize(
    ("tags", "is_read"),
    [
        ("noindex", False),
        ("all, NoImageAI", False),
        ("none", False),
        ("nofollow, noarchive", True),
        ("otherbot: noindex, noai", True),
        ("image-batch-inference: noai", False),
        ("max-image-preview: large, noai", False),
        ("unavailable_after: 25 Jun 2030 15:00:00 PST", True),
    ],
)
def test_an_owner_keeps_images_out(
    web: WebServer, store: WebStorage, tags: str, is_read: bool
) -> None:
    url = web.put("/a.jpg", Answer(CONTENT, headers={"X-Robots-Tag": tags}))
    refused = pytest.raises(PermissionDeniedError, match="its owner says X-Robots-Tag: no")
    with contextlib.nullcontext() if is_read else refused:
        assert store.read(url, 1 << 20) == CONTENT


def test_a_body_of_unknown_length_is_read_to_its_end(web: WebServer, store: WebStorage) -> None:
    assert store.read(web.put("/a", Answer(CONTENT, fault="no length")), 1 << 20) == CONTENT
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CONTENT), CONTENT)
    answer = Answer(chunked, headers={"Transfer-Encoding": "chunked"})
    assert store.read(web.put("/b", answer), 1 << 20) == CONTENT


@pytest.mark.parametrize(
    "answer",
    [
        Answer(CONTENT),
        Answer(b"x", headers={"Content-Length": "99999999999999"}),
        Answer(CONTENT, fault="endless"),
        Answer(gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"}),
    ],
)
def test_more_than_the_limit_is_refused_early(
    web: WebServer, store: WebStorage, answer: Answer
) -> None:
    with pytest.raises(FileTooLargeError, match="--max_image_bytes=10239"):
        store.read(web.put("/a", answer), len(CONTENT) - 1)
    assert web.server.bytes_sent < 20_000_000


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_body_that_comes_packed_is_unpacked(
    web: WebServer, store: WebStorage, pack: "functools.partial[bytes]"
) -> None:
    name = "gzip" if pack is gzip.compress else "deflate"
    packed = pack(CONTENT)
    answer = Answer(packed, headers={"Content-Encoding": name})
    assert store.read(web.put("/a", answer), len(CONTENT)) == CONTENT
    cut = Answer(packed[:-12], headers={"Content-Encoding": name})
    with pytest.raises(TransientError, match="packed answer ends early"):
        store.read(web.put("/b", cut), len(CONTENT))


def redirect(to: str, status: int = 302) -> Answer:
    return Answer(b"moved", status, {"Location": to})


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
    monkeypatch.setattr(web_addresses, "is_public", lambda address: address == "127.0.0.1")
    target = f"http://127.0.0.2:{web.port}/secret"
    web.put("/secret", b"secret")
    with (
        open_store(allow_private_hosts=False) as store,
        pytest.raises(PermissionDeniedError, match=r"127\.0\.0\.2 is no public address"),
    ):
        store.read(web.put("/a", redirect(target)), 1 << 20)
    assert web.requests == ["GET /a"]


def test_robots_txt_is_honoured_also_behind_a_redirect(web: WebServer, store: WebStorage) -> None:
    web.put("/robots.txt", b"User-agent: *\nDisallow: /private\nAllow: /private/open")
    web.put("/private/a.jpg", CONTENT)
    with pytest.raises(PermissionDeniedError, match=r"robots\.txt asks programs not to fetch it"):
        store.read(f"{web.url}/private/a.jpg", 1 << 20)
    with pytest.raises(PermissionDeniedError, match=r"robots\.txt asks"):
        store.read(web.put("/a", redirect("/private/a.jpg")), 1 << 20)
    assert store.read(web.put("/private/open/a.jpg", CONTENT), 1 << 20) == CONTENT
    assert web.requests == ["GET /a", "GET /private/open/a.jpg"]
    assert web.robots_requests == 1


@pytest.mark.parametrize(
    ("answer", "is_read"),
    [
        (Answer(status=404), True),
        (Answer(status=403), True),
        (redirect("/robots.txt"), True),
        (redirect("/elsewhere.txt"), False),
        (Answer(b"User-agent: *\nDisallow: /\n" + b"#" * (1 << 20)), False),
        (Answer(status=500), False),
        (Answer(status=429), False),
        (Answer(b"User-agent: *\n", fault="short"), False),
        (Answer(fault="reset"), False),
    ],
)
def test_what_no_robots_txt_says(
    web: WebServer, store: WebStorage, answer: Answer, is_read: bool
) -> None:
    web.put("/elsewhere.txt", b"User-agent: *\nDisallow: /")
    web.put("/robots.txt", answer)
    url = web.put("/a.jpg", CONTENT)
    if is_read:
        assert store.read(url, 1 << 20) == CONTENT
        return
    for _ in range(2):
        with pytest.raises((TransientError, PermissionDeniedError), match=r"robots\.txt"):
            store.read(url, 1 << 20)
    assert "GET /a.jpg" not in web.requests
    assert web.robots_requests == 1


def test_a_robots_txt_that_could_not_be_read_is_asked_for_again(
    web: WebServer, store: WebStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_hosts, "ROBOTS_AGAIN_SECONDS", 0.0)
    web.put("/robots.txt", Answer(status=500), Answer(status=404))
    url = web.put("/a.jpg", CONTENT)
    with pytest.raises(TransientError, match=r"robots\.txt"):
        store.read(url, 1 << 20)
    assert store.read(url, 1 << 20) == CONTENT


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_left_alone(
    web: WebServer, store: WebStorage, status: int
) -> None:
    busy = Answer(status=status, headers={"Retry-After": "2"})
    url = web.put("/a.jpg", busy, Answer(CONTENT))
    for _ in range(3):
        with pytest.raises(TransientError) as raised:
            store.read(url, 1 << 20)
        assert raised.value.is_throttled
        assert 0 < cast(float, raised.value.retry_after_seconds) <= 2
    assert len(web.requests) == 1
    time.sleep(2)
    assert store.read(url, 1 << 20) == CONTENT


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [("120", 120, 120), (None, 5, 5), ("soon", 5, 5), ("-3", 5, 5), ("9" * 40, 5, 5)],
)
def test_how_long_to_wait_is_read(
    web: WebServer, store: WebStorage, value: str | None, low: float, high: float
) -> None:
    headers = {} if value is None else {"Retry-After": value}
    with pytest.raises(TransientError) as raised:
        store.read(web.put("/a", Answer(status=429, headers=headers)), 10)
    assert low <= cast(float, raised.value.retry_after_seconds) <= high


def test_a_date_to_wait_for_is_read(web: WebServer, store: WebStorage) -> None:
    headers = {"Retry-After": email.utils.formatdate(time.time() + 60, usegmt=True)}
    with pytest.raises(TransientError) as raised:
        store.read(web.put("/a", Answer(status=503, headers=headers)), 10)
    assert 50 < cast(float, raised.value.retry_after_seconds) <= 60


def test_a_server_is_asked_eight_times_at_once(web: WebServer, store: WebStorage) -> None:
    web.server.latency_seconds = 0.05
    urls = [web.put(f"/{place}", CONTENT) for place in range(64)]
    with ThreadPoolExecutor(32) as threads:
        contents = list(threads.map(lambda url: store.read(url, 1 << 20), urls))
    assert contents == [CONTENT] * 64
    assert web.server.most_at_once == 8
    assert web.robots_requests == 1


def test_a_server_that_is_down_is_not_asked_for_ever(
    store: WebStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_hosts, "ROBOTS_AGAIN_SECONDS", 0.0)
    with run_web() as web:
        url = web.put("/a", CONTENT)
    errors: list[type[Exception]] = []
    for place in range(15):
        with pytest.raises((TransientError, UnavailableError)) as raised:
            store.read(url, 10)
        errors.append(raised.type)
        if place == 11:
            monkeypatch.setattr(web_hosts, "FAILING_SECONDS", 0.0)
    assert errors == [TransientError] * 13 + [UnavailableError] * 2


def test_a_server_that_stalls_again_and_again_counts_as_down(
    web: WebServer, store: WebStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_connections, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(web_hosts, "FAILURES_IN_A_ROW", 3)
    monkeypatch.setattr(web_hosts, "FAILING_SECONDS", 0.0)
    tarpit = web.put("/a", Answer(CONTENT, fault="stall"))
    for _ in range(3):
        with pytest.raises(TransientError, match="stopped coming"):
            store.read(tarpit, 1 << 20)
    with pytest.raises(
        UnavailableError, match=r"has not answered for \d s; it is asked again in 60 s"
    ):
        store.read(web.put("/b", CONTENT), 1 << 20)


def test_a_server_of_many_errors_is_not_down(web: WebServer, store: WebStorage) -> None:
    broken = web.put("/a", Answer(status=500))
    for _ in range(12):
        with pytest.raises(TransientError):
            store.read(broken, 1 << 20)
    assert store.read(web.put("/b", CONTENT), 1 << 20) == CONTENT


def test_a_range_and_a_size_are_asked_for(web: WebServer, store: WebStorage) -> None:
    partly = Answer(CONTENT[2:5], 206, {"Content-Range": "bytes 2-4/10240"})
    assert store.read_range(web.put("/a", partly), 2, 5) == CONTENT[2:5]
    assert web.server.headers[-1]["Range"] == "bytes=2-4"
    assert store.read_range(web.put("/b", CONTENT), 2, 5) == CONTENT[2:5]
    assert store.read_range(web.put("/c", Answer(status=416)), 20_000, 20_001) == b""
    assert store.read_range("http://no.such.host.invalid/", 5, 5) == b""
    url = web.put("/d", Answer(CONTENT, headers={"ETag": '"7"'}))
    assert store.stat(url) == StoredObject(url, len(CONTENT), '"7"')
    assert web.requests[-1] == "HEAD /d"
    first = Answer(b"x", 206, {"Content-Range": "bytes 0-0/10240"})
    url = web.put("/e", Answer(status=405), first)
    assert store.stat(url) == StoredObject(url, len(CONTENT), None)
    with pytest.raises(NotFoundError):
        store.stat(f"{web.url}/absent")
    with pytest.raises(OSError, match="tells no size"):
        store.stat(web.put("/f", Answer(CONTENT, fault="no length")))


@pytest.mark.parametrize("uri", ["http:///a", "http://me:pw@a.example/b", "http://a.example:0/"])
def test_a_url_that_cannot_be_one_is_not_found(store: WebStorage, uri: str) -> None:
    with pytest.raises(NotFoundError):
        store.read(uri, 10)


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
    monkeypatch.setattr("transforms.files.web_connections.is_public", lambda _: True)
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


def test_connections_are_dropped_when_there_are_many(
    store: WebStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_connections, "IDLE_CONNECTIONS", 2)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(run_web()) for _ in range(4)]
        for web in servers * 2:
            assert store.read(web.put("/a", CONTENT), 1 << 20) == CONTENT


def test_memory_of_servers_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_hosts, "MOST_HOSTS", 3)
    hosts = web_hosts.Hosts()
    first = hosts.at("http://0")
    assert hosts.at("http://0") is first
    for place in range(1, 4):
        hosts.at(f"http://{place}")
    assert hosts.at("http://0") is not first


def test_a_connection_that_was_closed_since_is_made_again(
    web: WebServer, store: WebStorage
) -> None:
    web.server.idle_seconds = 0.1
    for _ in range(2):
        assert store.read(web.put("/a", CONTENT), 1 << 20) == CONTENT
        time.sleep(0.3)
    assert web.server.connections == 2
