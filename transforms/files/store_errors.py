"""What goes wrong in a store of objects, in our words and in a file's."""

import contextlib
import errno
from collections.abc import Iterator

from transforms.errors import NotFoundError, PermissionDeniedError, UnavailableError
from transforms.files.object_store import TransientError
from transforms.files.retry_after import retry_after_seconds

NO_ANSWER = "short_body"
"""Reason of the errors of no_answer."""

NO_CREDENTIALS = (
    "it is not public, and there are no credentials of Google's; "
    "make some by gcloud auth application-default login"
)
"""What is said where gs:// is read by nobody."""

_THROTTLED = (429, 503)
_TRANSIENT = (408, *_THROTTLED)


def http_error(
    where: str, status: int, said: str, retry_after: str | None = None
) -> NotFoundError | PermissionDeniedError | OSError:
    """Returns the error that a status of HTTP means.

    Args:
        where: URI of the object or bucket.
        status: Status, from 400 on.
        said: What the server says about it, or what is to be said.
        retry_after: Header of this name, if there is one.

    Source:
        RFC 9110, 15.5; 503 is Slow Down on s3:// and Server Busy on az://.
    """
    message = f"{where}: {' '.join(said.split()) or f'HTTP status {status}'}"
    if status == 404:
        return NotFoundError(message)
    if status in (401, 403):
        return PermissionDeniedError(message)
    if status in _TRANSIENT or status >= 500:
        return TransientError(
            message,
            reason=str(status),
            is_throttled=status in _THROTTLED,
            retry_after_seconds=retry_after_seconds(retry_after),
        )
    return OSError(message)


def no_answer(where: str) -> TransientError:
    """Returns the error of an answer with status 200 that no store gives: of a proxy, or half."""
    return TransientError(f"{where}: what came is no answer of a store", reason=NO_ANSWER)


def short_body(uri: str, came_bytes: int, wanted_bytes: int) -> TransientError:
    """Returns the error of a body of another size than the store says."""
    return TransientError(
        f"{uri}: {came_bytes:,} bytes came of {wanted_bytes:,}", reason="short_body"
    )


@contextlib.contextmanager
def os_errors(uri: str) -> Iterator[None]:
    """Raises what a file raises where a store finds nothing or may not: for streams of objects."""
    try:
        yield
    except NotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, _without(uri, error), uri) from error
    except PermissionDeniedError as error:
        raise PermissionError(errno.EACCES, _without(uri, error), uri) from error
    except UnavailableError as error:
        raise OSError(errno.EIO, _without(uri, error), uri) from error


def _without(uri: str, error: Exception) -> str:
    return str(error).removeprefix(f"{uri}: ")
