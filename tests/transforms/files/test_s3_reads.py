"""Reads of s3:// without Amazon's client: as the client's, whatever the store answers."""

import base64
import datetime
import json
import pathlib
import sys
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.support.s3 import S3Bucket
from transforms.errors import FileTooLargeError, NotFoundError, PermissionDeniedError
from transforms.files import listing_pages, object_store, s3_storage
from transforms.files.object_store import TransientError
from transforms.files.s3_storage import S3Store
from transforms.files.uris import read_remote

S3 = S3Store()
CONTENT = bytes(range(256)) * 100

Answer = tuple[str, dict[str, str], bytes] | None
"""Status, headers and body that are answered instead of the server's own."""


class Between:
    """Looks at each request for an object, and may answer it.

    Attributes:
        clients: Whether Amazon's client asked, of those that came.
        signatures: Headers Authorization of them.
    """

    def __init__(
        self, server: Callable[..., Any], answer: Callable[[dict[str, Any]], Answer]
    ) -> None:
        self._server = server
        self._answer = answer
        self.clients: list[bool] = []
        self.signatures: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.clients.append("HTTP_AMZ_SDK_REQUEST" in environ)
        self.signatures.append(environ.get("HTTP_AUTHORIZATION", ""))
        answer = self._answer(environ)
        if answer is None:
            return self._server(environ, start)
        status, headers, body = answer
        start(status, [("Content-Length", str(len(body))), *headers.items()])
        return [body]


@pytest.fixture
def between(s3: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Between]:
    """Puts a Between before the server."""

    def put(answer: Callable[[dict[str, Any]], Answer] = lambda environ: None) -> Between:
        found = Between(s3.faults._application, answer)
        monkeypatch.setattr(s3.faults, "_application", found)
        return found

    return put


@pytest.fixture
def read_before(s3: S3Bucket) -> S3Bucket:
    """A bucket of which an object has been read."""
    assert S3.read(s3.put("first.jpg"), 10) == b"123"
    s3.requests.clear()
    return s3


def test_a_page_of_another_server_is_asked_for_again(
    s3: S3Bucket, between: Callable[..., Between], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PAGE_OBJECTS", 2)
    monkeypatch.setattr(listing_pages, "WAITS_SECONDS", (0,))
    for number in range(5):
        s3.put(f"{number}.jpg")
    wanted = [f"{s3.uri}/{number}.jpg" for number in range(5)]
    sorry = [b"<html>Please log in.</html>", b""]

    def say_sorry(environ: dict[str, Any]) -> Answer:
        is_second = "continuation-token" in environ["QUERY_STRING"]
        return ("200 OK", {"Content-Type": "text/html"}, sorry.pop()) if is_second else None

    between(lambda environ: say_sorry(environ) if len(sorry) == 2 else None)
    assert [found.uri for found in S3.list_objects(f"{s3.uri}/")] == wanted
    between(lambda environ: say_sorry(environ) if len(sorry) == 1 else None)
    assert [found.uri for found in S3.list_objects(f"{s3.uri}/")] == wanted
    assert sorry == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_store_that_redirects_everything_is_refused(
    read_before: S3Bucket, between: Callable[..., Between], status: int
) -> None:
    uri = read_before.put("a.jpg")
    between(lambda environ: (f"{status} Moved", {"Location": "https://elsewhere.example/"}, b""))
    for look in (
        lambda: S3.read(uri, 10),
        lambda: S3.stat(uri),
        lambda: list(S3.list_objects(uri)),
        lambda: S3.create_if_absent(uri, b""),
    ):
        with pytest.raises(OSError, match="the store redirects every request; check AWS_ENDPOINT"):
            look()


def test_a_body_of_another_size_than_was_listed_is_asked_about(
    read_before: S3Bucket, between: Callable[..., Between]
) -> None:
    uri = read_before.put("a.jpg", CONTENT)
    read_before.requests.clear()
    assert read_remote(uri, len(CONTENT), len(CONTENT)) == CONTENT
    assert len(read_before.requests) == 1
    assert read_remote(uri, len(CONTENT), 123) == CONTENT  # It was replaced since.

    def say_sorry(environ: dict[str, Any]) -> Answer:
        is_look = environ["REQUEST_METHOD"] == "HEAD"
        return (
            None if is_look else ("200 OK", {"Content-Type": "text/html"}, b"<html>Sorry!</html>")
        )

    between(say_sorry)
    with pytest.raises(TransientError, match=f"^{uri}: 19 bytes came of 25,600$"):
        read_remote(uri, len(CONTENT), len(CONTENT))


def test_what_a_proxy_takes_is_not_written(
    read_before: S3Bucket, between: Callable[..., Between]
) -> None:
    uri = read_before.put("a.jpg")
    between(lambda environ: ("200 OK", {"Content-Type": "text/html"}, b"<html>Hello!</html>"))
    with pytest.raises(OSError, match="what came is no answer of a store"):
        S3.create_if_absent(uri, b"")
    with pytest.raises(OSError, match="what came is no answer of a store"), S3.create(uri) as file:
        file.write(b"1")
    with pytest.raises(TransientError, match="what came is no answer of a store"):
        S3.stat(uri)


def refusal(status: int, code: str, more: str = "") -> Answer:
    body = f"<Error><Code>{code}</Code><Message>Said of {code}.</Message>{more}</Error>"
    return f"{status} {code}", {"Content-Type": "application/xml"}, body.encode()


def test_the_client_reads_the_first_object_of_a_bucket_alone(
    s3: S3Bucket, between: Callable[..., Between]
) -> None:
    found = between()
    names = ["a.jpg", "b.jpg", "p/é a?#%41+~//c.jpg", "p/*[x];=&@:,$!'().jpg", "\U0001f600"]
    for number, name in enumerate(names):
        s3.put(name, f"{number}".encode())
    found.clients.clear()
    for number, name in enumerate(names):
        assert S3.read(f"{s3.uri}/{name}", 10) == f"{number}".encode()
        assert S3.read_range(f"{s3.uri}/{name}", 0, 10) == f"{number}".encode()
    assert found.clients == [True] + [False] * 9


@pytest.mark.parametrize("name", ["..", "a/../b.jpg", "./a", "a/."])
def test_dots_in_a_name_lead_nowhere_else(read_before: S3Bucket, name: str) -> None:
    read_before.put("b.jpg", b"other")
    read_before.put("a", b"other")
    read_before.requests.clear()
    with pytest.raises(NotFoundError):
        S3.read(f"{read_before.uri}/{name}", 10)
    assert read_before.requests == [f"GET /{read_before.name}/{name}"]


def test_sizes_and_ranges_are_bounded(read_before: S3Bucket) -> None:
    uri = read_before.put("a.bin", CONTENT)
    read_before.requests.clear()
    assert S3.read(uri, len(CONTENT)) == CONTENT
    with pytest.raises(FileTooLargeError, match="--max_image_bytes=25599"):
        S3.read(uri, len(CONTENT) - 1)
    assert S3.read_range(uri, 10, 20) == CONTENT[10:20]
    assert S3.read_range(uri, len(CONTENT) - 5, len(CONTENT) + 5) == CONTENT[-5:]
    assert S3.read_range(uri, len(CONTENT), len(CONTENT) + 1) == b""
    assert len(read_before.requests) == 5
    assert S3.read(read_before.put("empty", b""), 10) == b""


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize(
    ("status", "code", "error", "words"),
    [
        (404, "NoSuchKey", NotFoundError, "^{uri}: no such object$"),
        (404, "NoSuchBucket", NotFoundError, "^{uri}: no such bucket$"),
        (403, "AccessDenied", PermissionDeniedError, "^{uri}: Said of AccessDenied.$"),
        (400, "ExpiredToken", PermissionDeniedError, "^{uri}: Said of ExpiredToken.$"),
        (400, "RequestTimeout", TransientError, "^{uri}: Said of RequestTimeout.$"),
        (503, "SlowDown", TransientError, "^{uri}: the store answers 503 Service Unavailable$"),
        (500, "InternalError", TransientError, "^{uri}: the store answers 500 Internal"),
        (418, "Teapot", OSError, "^{uri}: Said of Teapot.$"),
    ],
)
def test_a_refusal_says_what_the_client_says(
    read_before: S3Bucket,
    between: Callable[..., Between],
    is_whole: bool,
    status: int,
    code: str,
    error: type[Exception],
    words: str,
) -> None:
    uri = read_before.put("a.jpg")
    between(lambda environ: refusal(status, code))
    with pytest.raises(error, match=words.format(uri=uri)) as caught:
        S3.read(uri, 10) if is_whole else S3.read_range(uri, 0, 10)
    assert type(caught.value) is error
    assert getattr(caught.value, "is_throttled", False) == (status == 503)


def test_a_bucket_that_moved_to_another_region_is_found(
    read_before: S3Bucket, between: Callable[..., Between]
) -> None:
    uri = read_before.put("a.jpg")

    def answer(environ: dict[str, Any]) -> Answer:
        if "/eu-west-1/s3/" in environ["HTTP_AUTHORIZATION"]:
            return None
        return refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")

    found = between(answer)
    assert S3.read(uri, 10) == b"123"
    assert found.clients == [False, True, True]
    assert S3.read(uri, 10) == b"123"
    assert found.clients == [False, True, True, False], "the region is known"


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("x-amz-checksum-crc32", zlib.crc32(b"123").to_bytes(4, "big")),
        ("x-amz-checksum-sha256", bytes(32)),
    ],
)
def test_a_checksum_is_checked(
    read_before: S3Bucket, between: Callable[..., Between], name: str, digest: bytes
) -> None:
    uri = read_before.put("a.jpg")
    headers = {name: base64.b64encode(digest).decode()}
    between(lambda environ: ("200 OK", headers, b"123"))
    if any(digest):
        assert S3.read(uri, 10) == b"123"
        between(lambda environ: ("200 OK", headers, b"321"))
    with pytest.raises(TransientError) as caught:
        S3.read(uri, 10)
    assert caught.value.reason == "checksum"


def test_half_a_body_is_transient(read_before: S3Bucket) -> None:
    uri = read_before.put("a.bin", CONTENT)
    read_before.cut_bodies(2)
    for read in (lambda: S3.read(uri, len(CONTENT)), lambda: S3.read_range(uri, 0, 1000)):
        with pytest.raises(TransientError) as caught:
            read()
        assert caught.value.reason == "short_body"


def test_temporary_credentials_are_fetched_anew(
    s3: S3Bucket,
    between: Callable[..., Between],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri = s3.put("a.jpg")
    # What is good for a minute more is fetched anew for each request.
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
    said = {"Version": 1, "SecretAccessKey": "x", "SessionToken": "y"}
    script = tmp_path / "credentials.py"
    script.write_text(
        "import json, pathlib\n"
        f"log = pathlib.Path({str(tmp_path / 'log')!r})\n"
        "number = len(log.read_text()) if log.exists() else 0\n"
        "log.write_text('x' * (number + 1))\n"
        f"said = {json.dumps({**said, 'Expiration': until.isoformat()})}\n"
        "print(json.dumps({**said, 'AccessKeyId': f'KEY{number}'}))\n"
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    s3_storage.kept_clients.cache_clear()
    found = between()
    for _ in range(3):
        assert S3.read(uri, 10) == b"123"
    assert found.clients == [True, False, False]
    keys = [each.partition("Credential=")[2].partition("/")[0] for each in found.signatures]
    assert len(set(keys)) == 3
    assert all(key.startswith("KEY") for key in keys)


def test_public_buckets_are_read_unsigned(
    s3: S3Bucket, between: Callable[..., Between], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = s3.put("a.jpg")
    s3._client.put_object_acl(Bucket=s3.name, Key="a.jpg", ACL="public-read")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    s3_storage.kept_clients.cache_clear()
    found = between()
    assert S3.read(uri, 10) == S3.read(uri, 10) == b"123"
    assert found.clients == [True, False]
    assert found.signatures == ["", ""]
