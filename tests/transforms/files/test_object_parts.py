"""Parts of objects: what came is what was asked for."""

import pytest

from transforms.errors import FileTooLargeError
from transforms.files.http_get import Answer
from transforms.files.object_parts import check_version, read_part
from transforms.files.object_store import TransientError

URI = "gs://bucket/a.bin"


def part(status: int, body: bytes, sent: str | None = None) -> bytes:
    def ask(wanted: str, max_bytes: int) -> Answer:
        assert (wanted, max_bytes) == ("bytes=1000-1004", 5)
        return Answer(status, {} if sent is None else {"Content-Range": sent}, body)

    return read_part(ask, URI, 1000, 1005).body


def test_what_was_asked_for_is_taken() -> None:
    assert part(206, b"12345", "bytes 1000-1004/9000") == b"12345"
    assert part(206, b"12345") == b"12345"
    assert part(206, b"12", "bytes 1000-1001/1002") == b"12"
    assert part(416, b"<Error>", "bytes */500") == b""
    assert read_part(lambda *_: Answer(200, {}, b"all"), URI, 0, 10).body == b"all"


def test_anything_else_is_asked_for_again() -> None:
    with pytest.raises(TransientError, match=f"^{URI}: bytes 0-4 came for bytes 1000-1004, which"):
        part(206, b"12345", "bytes 0-4/9000")
    with pytest.raises(TransientError, match="all of the object came for bytes 1000-1004"):
        part(200, b"12345")
    with pytest.raises(TransientError, match="3 bytes came of 5") as caught:
        part(206, b"123", "bytes 1000-1004/9000")
    assert caught.value.reason == "short_body"

    def too_large(wanted: str, max_bytes: int) -> Answer:
        raise FileTooLargeError("more bytes than --max_image_bytes=5")

    with pytest.raises(TransientError, match="more than that came for bytes 1000-1004"):
        read_part(too_large, URI, 1000, 1005)


def test_what_tells_no_version_is_taken() -> None:
    check_version(URI, None, "1")
    check_version(URI, '"1"', None)
    check_version(URI, 'W/"1"', "1")
