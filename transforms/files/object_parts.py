"""Parts of objects: an answer is the part that was asked for, and of the object that was opened.

A cache on the way may send another part, or all of the object. And between two reads an object may
be replaced: half a file of yesterday's and half of today's bytes may look sound.
"""

import re
from collections.abc import Callable
from http import HTTPStatus

from transforms.errors import FileTooLargeError, UnavailableError
from transforms.files.http_get import Answer
from transforms.files.object_store import TransientError
from transforms.files.store_errors import short_body

_SENT = re.compile(r"bytes (\d+)-(\d+)/")


def read_part(ask: Callable[[str, int], Answer], uri: str, start: int, stop: int) -> Answer:
    """Reads bytes from start up to stop, or to the object's end; none if it ends before.

    Of an object of 1,500 bytes, Range: bytes=1000-1999 is answered by 206 with Content-Range: bytes
    1000-1499/1500; of one of 1,000 bytes, by 416.

    Args:
        ask: Callback, given the value of Range and the most bytes, which sends one request; its
            answer has the status 200, 206 or 416.
        uri: The object.
        start: Place of the first byte.
        stop: Place behind the last byte.

    Raises:
        TransientError: If what came is another part.
    """
    try:
        answer = ask(f"bytes={start}-{stop - 1}", stop - start)
    except FileTooLargeError as error:
        raise _other_part(uri, start, stop, "more than that") from error
    if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return answer._replace(body=b"")
    sent = _SENT.match(answer.headers.get("Content-Range", ""))
    if answer.status == HTTPStatus.OK and start > 0:
        raise _other_part(uri, start, stop, "all of the object")
    if sent is not None and int(sent[1]) != start:
        raise _other_part(uri, start, stop, sent[0].rstrip("/"))
    if sent is not None and int(sent[2]) + 1 - start != len(answer.body):
        raise short_body(uri, len(answer.body), int(sent[2]) + 1 - start)
    return answer


def check_version(uri: str, came: str | None, wanted: str | None) -> None:
    """Checks that what came is of the version that was opened, where both are known.

    Args:
        uri: The object.
        came: Header that tells it, as an ETag with its quotes.
        wanted: Version.

    Raises:
        UnavailableError: If it is of another one.
    """
    if came and wanted and came.removeprefix("W/").strip('"') != wanted:
        raise replaced(uri, "opened")


def replaced(uri: str, last_done: str) -> UnavailableError:
    """Returns the error of an object that is another one than when it was last looked at."""
    return UnavailableError(f"{uri}: it was replaced after it was {last_done}")


def _other_part(uri: str, start: int, stop: int, came: str) -> TransientError:
    return TransientError(
        f"{uri}: {came} came for bytes {start}-{stop - 1}, which were asked for", reason="range"
    )
