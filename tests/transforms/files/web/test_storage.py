"""Files read from a web server with faults: each is told as what it is."""

import contextlib
import functools
import gzip
import random
import time
import zlib

import pytest

from tests.support.web import CONTENT, Answer, WebServer, run_web
from transforms.errors import (
    FileTooLargeError,
    NotFoundError,
    PermissionDeniedError,
    UnsupportedFormatError,
)
from transforms.files.object_store import StoredObject, TransientError
from transforms.files.web import connections
from transforms.files.web.storage import WebStorage

GZIP = {"Content-Encoding": "gzip"}
NOISE = random.Random(0).randbytes(300_000)


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
        (Answer(CONTENT, fault="drip"), TransientError, "no whole answer in 5 s"),
        (Answer(CONTENT, fault="drip headers"), TransientError, "no whole answer in 5 s"),
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
        (Answer(CONTENT, headers=GZIP), TransientError, "no proper answer"),
        (Answer(CONTENT, headers={"X-Robots-Tag": "noai"}), PermissionDeniedError, "noai"),
    ],
)
def test_each_fault_is_told_as_what_it_is(
    web: WebServer, store: WebStorage, answer: Answer, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        store.read(web.put("/a.jpg", answer), 1 << 20)
    assert store.read(web.put("/b.jpg", CONTENT), 1 << 20) == CONTENT


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
        Answer(gzip.compress(bytes(50_000_000)), headers=GZIP),
        Answer(gzip.compress(CONTENT[:-1]) + gzip.compress(b"x"), headers=GZIP),
        Answer(gzip.compress(b"") + bytes(1 << 16), headers=GZIP, fault="endless"),
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


def members(member_bytes: int) -> bytes:
    starts = range(0, len(NOISE), member_bytes)
    return b"".join(gzip.compress(NOISE[start : start + member_bytes]) for start in starts)


@pytest.mark.parametrize(
    "packed",
    [
        *map(members, (1000, 65_000, 65_513, 200_000)),  # 65,536 bytes are read at a time.
        members(200_000) + gzip.compress(b"") + bytes(100_000),
        bytes(7).join([gzip.compress(NOISE[:9]), gzip.compress(NOISE[9:])]),
    ],
)
def test_all_members_of_a_packed_body_are_unpacked(
    web: WebServer, store: WebStorage, packed: bytes
) -> None:
    url = web.put("/a", Answer(packed, headers=GZIP, fault="no length"))
    assert store.read(url, len(NOISE) + 50_000) == NOISE


@pytest.mark.parametrize(
    ("rest", "message"),
    [(gzip.compress(CONTENT)[:-12], "packed answer ends early"), (b"rest", "no proper answer")],
)
def test_a_packed_body_of_which_a_part_is_lost_is_not_taken(
    web: WebServer, store: WebStorage, rest: bytes, message: str
) -> None:
    answer = Answer(gzip.compress(CONTENT) + rest, headers=GZIP)
    with pytest.raises(TransientError, match=message):
        store.read(web.put("/a", answer), 1 << 20)


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


def test_connections_are_dropped_when_there_are_many(
    store: WebStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_CONNECTIONS", 2)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(run_web()) for _ in range(4)]
        for web in servers * 2:
            assert store.read(web.put("/a", CONTENT), 1 << 20) == CONTENT


def test_a_connection_that_was_closed_since_is_made_again(
    web: WebServer, store: WebStorage
) -> None:
    web.server.idle_seconds = 0.5
    for _ in range(2):
        assert store.read(web.put("/a", CONTENT), 1 << 20) == CONTENT
        time.sleep(1.5)
    assert web.server.connections == 2
