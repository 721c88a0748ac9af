"""What servers of the web answer: refused, put off, kept out of collections, or a body to read."""

import contextlib
import http.client
import io
import re
import zlib
from collections.abc import Container
from typing import BinaryIO

from transforms.errors import (
    FileTooLargeError,
    NotFoundError,
    PermissionDeniedError,
    UnsupportedFormatError,
)
from transforms.files.object_store import StoredObject, TransientError
from transforms.files.retry_after import retry_after_seconds
from transforms.files.web.robots_txt import PRODUCT

OPT_OUTS = {"noai", "noimageai", "noindex", "noimageindex", "none"}
"""Words of X-Robots-Tag by which an owner keeps an image out of collections; those of img2dataset,
and "none", which means noindex, too.
"""

_VALUED = {"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"}
"""Words of X-Robots-Tag with a colon that name no program."""

THROTTLED_SECONDS = 5.0
"""Time for which a server is left alone that says 429 or 503, and not for how long."""

_READ_BYTES = 1 << 16
_PACKING_BYTES = 1 << 16
"""Bytes by which a packed body may be longer than what is in it."""
_DENIED = (401, 402, 403, 407, 451)
_THROTTLED = (429, 503)
_MAY_PASS = (408, 425, *_THROTTLED)


def check_status(response: http.client.HTTPResponse, also: Container[int] = ()) -> None:
    """Checks that an answer is what was asked for.

    Args:
        response: Answer.
        also: Status that will do beside 200.

    Raises:
        PermissionDeniedError: If it says that we may not.
        TransientError: If it says that another time may do, and when.
        NotFoundError: If it says anything else.
    """
    status = response.status
    if status == 200 or status in also:
        return
    discard(response)
    said = f"the server answers {status} {http.client.responses.get(status, '')}".rstrip()
    if status in _MAY_PASS or status >= 500:
        seconds = retry_after_seconds(response.getheader("Retry-After"))
        if status in _THROTTLED and seconds is None:
            seconds = THROTTLED_SECONDS
        raise TransientError(said, is_throttled=status in _THROTTLED, retry_after_seconds=seconds)
    if status in _DENIED:
        raise PermissionDeniedError(said)
    raise NotFoundError(said)


def check_opt_out(response: http.client.HTTPResponse) -> None:
    """Raises PermissionDeniedError if the owner wants the image in no collection.

    X-Robots-Tag: noai, noimageai      everybody
    X-Robots-Tag: otherbot: noindex    not us
    """
    for value in response.headers.get_all("X-Robots-Tag", []):
        program = PRODUCT
        for word in value.lower().split(","):
            name, colon, rest = word.partition(":")
            if colon and name.strip() not in _VALUED:
                program, word = name.strip(), rest
            if program == PRODUCT and word.strip() in OPT_OUTS:
                raise PermissionDeniedError(
                    f"its owner says X-Robots-Tag: {word.strip()}, which is honoured"
                )


def read_body(response: http.client.HTTPResponse, max_bytes: int, *, cut: bool = False) -> bytes:
    """Reads an image's body, unpacked.

    Args:
        response: Answer, of which nothing was read.
        max_bytes: Bytes that it may have.
        cut: Whether a longer one is cut there, and not refused.

    Raises:
        As copy_body.
    """
    content = io.BytesIO()
    copy_body(response, content, max_bytes, f"--max_image_bytes={max_bytes}", cut=cut)
    return content.getvalue()


def copy_body(
    response: http.client.HTTPResponse,
    target: BinaryIO,
    max_bytes: int,
    limit: str,
    *,
    cut: bool = False,
) -> None:
    """Writes a body to a file, unpacked.

    Args:
        response: Answer, of which nothing was read.
        target: Empty file.
        max_bytes: Bytes that it may have.
        limit: What says so, in words.
        cut: Whether a longer one is cut there, and not refused.

    Raises:
        FileTooLargeError: If it has more.
        TransientError: If it ends early.
        UnsupportedFormatError: If it is packed as nobody asked for.
        OSError: If it cannot be written.
    """
    announced = response.length
    if announced is not None and announced > max_bytes and not cut:
        raise _too_large(limit)
    unpacker = _unpacker(response)
    received = written = 0
    while chunk := response.read1(_READ_BYTES):
        room = max_bytes - written
        # One byte more than there is room for tells that there are more.
        found = unpacker.unpack(chunk, room + 1) if unpacker else chunk[: room + 1]
        target.write(found[:room])
        received += len(chunk)
        written += len(found)
        # What is packed may give nothing, without an end.
        if written > max_bytes or received > max_bytes + _PACKING_BYTES:
            if cut:
                return
            raise _too_large(limit)
    if response.length:
        raise TransientError(
            f"only {(announced or 0) - response.length:,} of {announced:,} bytes came"
        )
    if unpacker and not unpacker.is_at_end:
        raise TransientError("the packed answer ends early")
    response.close()


class _Unpacker:
    """Unpacks a body piece by piece: zlib, or gzip, of one member or of several.

    Lists that were put together of packed parts have a member a part; zeros may stand behind each.
    What is neither is damage: it may have been a member.

        1f 8b  "a.jpg" packed    1f 8b  "b.jpg" packed    00 00 00

    Source: RFC 1952, 2.2.
    """

    def __init__(self) -> None:
        self._member = _member()

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is missing of the member that was begun last."""
        return self._member.eof

    def unpack(self, packed: bytes, max_bytes: int) -> bytearray:
        """Unpacks the next piece; what is in it beyond max_bytes is lost.

        Raises:
            zlib.error: If it is damaged.
        """
        found = bytearray()
        while packed and len(found) < max_bytes:
            if self._member.eof:
                packed = packed.lstrip(b"\0")
                if not packed:
                    break
                self._member = _member()
            found += self._member.decompress(packed, max_bytes - len(found))
            packed = self._member.unused_data
        return found


def _member() -> "zlib._Decompress":
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


def _unpacker(response: http.client.HTTPResponse) -> _Unpacker | None:
    packing = (response.getheader("Content-Encoding") or "identity").strip().lower()
    if packing in ("identity", ""):
        return None
    if packing in ("gzip", "x-gzip", "deflate"):
        return _Unpacker()
    raise UnsupportedFormatError(f"the server packs it by {packing!r:.40}, which nobody asked for")


def discard(response: http.client.HTTPResponse) -> None:
    """Reads what little a refusal says, so that its connection can be used again."""
    if response.length is not None and response.length <= _READ_BYTES:
        with contextlib.suppress(OSError, http.client.HTTPException):
            response.read()


def _too_large(limit: str) -> FileTooLargeError:
    return FileTooLargeError(f"more bytes than {limit}")


def stored_object(uri: str, response: http.client.HTTPResponse) -> StoredObject | None:
    """Returns size and version that an answer tells of, also one to a range; None without size."""
    size = response.getheader("Content-Length") or ""
    if response.status in (206, 416):  # bytes 0-0/1234, or bytes */0
        size = (response.getheader("Content-Range") or "").rpartition("/")[2]
    if not re.fullmatch(r"\d{1,18}", size):
        return None
    version = response.getheader("ETag") or response.getheader("Last-Modified")
    return StoredObject(uri, int(size), version)
