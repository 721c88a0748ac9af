"""ObjectStore: what is asked of a store of objects, whichever it is.

A store has no directories: a name is one string, slashes and all, and a folder is what names begin
with. A read is one request, tried once: who asks knows whether to ask again. All else a
store's own client tries again for a minute or so.

What a store raises is in the words of transforms.errors, and its message begins with the URI, or
with the bucket's where that is what is not there or closed:

    gs://bucket/cat.jpg: no such object
    s3://bucket: no such bucket
    az://container/cat.jpg: this request is not authorized to perform this operation

A stream raises what a file raises: OSError (store_errors.os_errors).
"""

import math
from collections.abc import Iterator
from contextvars import ContextVar
from typing import BinaryIO, NamedTuple, Protocol

PAGE_OBJECTS = 1000
"""Objects asked for at a time in a listing; gs:// and s3:// give no more."""

CONNECTIONS = 64
"""Kept open by a process for its reading threads; a new one takes several round trips."""


READ_UNTIL: ContextVar[float] = ContextVar("READ_UNTIL", default=math.inf)
"""Time, of time.monotonic(), after which a read goes on only if it comes at a fair rate."""


class StoredObject(NamedTuple):
    """An object in a listing.

    Attributes:
        uri: URI of it.
        size_bytes: Size of it.
        version: Version, another one whenever the object has other bytes; None if unknown. It may
            be another one, too, where the same bytes were written again.
        updated_seconds: Time since 1970 at which it was written; None if unknown.
    """

    uri: str
    size_bytes: int
    version: str | None
    updated_seconds: float | None = None


class TransientError(OSError):
    """What a store did not do now and may do later: a reset, a short body, a stall, 429, 503.

    Attributes:
        reason: Word to count by: "reset", "short_body", "checksum", "stall", or a status as "503".
        is_throttled: Whether the store said that it is asked too much (429, 503).
        retry_after_seconds: Time that it asked to wait, if it said one.
        is_sent: Whether it was asked at all; not so while it is left alone, as it asked before.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "other",
        is_throttled: bool = False,
        retry_after_seconds: float | None = None,
        is_sent: bool = True,
    ) -> None:
        """Takes what happened, in words."""
        super().__init__(message)
        self.reason = reason
        self.is_throttled = is_throttled
        self.retry_after_seconds = retry_after_seconds
        self.is_sent = is_sent


class ObjectStore(Protocol):
    """A store of objects. Safe to call from several threads.

    Raises:
        NotFoundError: If there is no such object or bucket, or its URI cannot be one.
        PermissionDeniedError: If whoever runs this may not.
        TransientError: If it did not work this time.
        OSError: If the store fails otherwise.
    """

    def bucket_of(self, uri: str) -> str:
        """Returns the URI of the bucket that an object is in, without a closing slash."""
        ...

    def list_objects(self, prefix_uri: str) -> Iterator[StoredObject]:
        """Lists the objects whose URI begins so, in order of their names' bytes, page by page."""
        ...

    def list_folder(self, folder_uri: str) -> Iterator[StoredObject | str]:
        """Lists what is right in a folder, page by page, a page in no order: objects, and folders.

        Args:
            folder_uri: URI of it, which ends in a slash. A folder in it comes as such a URI.
        """
        ...

    def stat(self, uri: str) -> StoredObject:
        """Returns one object as a listing has it."""
        ...

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Reads an object whole, as it is stored; its checksum is right where the store has one.

        Raises:
            FileTooLargeError: If it has more than max_bytes; no more than that is held in memory.
        """
        ...

    def read_range(self, uri: str, start: int, stop: int, version: str | None = None) -> bytes:
        """Reads bytes from start up to stop, or to the object's end; b"" if it ends before.

        Raises:
            UnavailableError: If the object is of another version than that, and tells it.
        """
        ...

    def create(self, uri: str) -> BinaryIO:
        """Opens an object to write, in parts; it is there, whole, once it is closed.

        What an exception leaves unclosed is never there. Its discard() gives it up.
        """
        ...

    def create_if_absent(self, uri: str, content: bytes) -> bool:
        """Creates an object in one step unless there is one; of many callers one gets True."""
        ...

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Copies an object within the store, without moving its bytes where that can be."""
        ...

    def delete(self, uri: str) -> None:
        """Deletes an object; one that is not there is no error."""
        ...
