"""Writing an object in parts: it is there, whole, once it is closed, and not at all otherwise."""

import io
from types import TracebackType
from typing import Any, Protocol

from transforms.files.store_errors import os_errors

PART_BYTES = 16 << 20
"""Sent at a time. s3:// takes 10,000 parts, so that an object has 156 GiB at most."""


class Upload(Protocol):
    """An object on its way to a store: one call of put, or send for each part and then finish."""

    def put(self, content: bytes) -> None:
        """Sends all of a small object."""
        ...

    def send(self, part: bytes) -> None:
        """Sends a part of PART_BYTES or, the last one, of less."""
        ...

    def finish(self) -> None:
        """Makes an object of the parts."""
        ...

    def abort(self) -> None:
        """Gives up the parts that were sent."""
        ...


class ObjectWriter(io.BufferedIOBase):
    """A stream to write, which keeps one part in memory.

    What an exception ends, and what is never closed, is given up: files would be closed.

    Raises:
        OSError: From write and close, if the store takes no more.
    """

    def __init__(self, upload: Upload, uri: str) -> None:
        """Takes a fresh upload of the object at a URI."""
        self._upload = upload
        self._uri = uri
        self._part = bytearray()
        self._is_in_parts = False

    def writable(self) -> bool:
        """Returns True."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - bytes, or what has such a buffer
        """Takes bytes; sends whole parts."""
        if self.closed:
            raise ValueError(f"write to {self._uri}, which is closed")
        rest = memoryview(data).cast("B")
        size_bytes = len(rest)
        while rest:
            room = PART_BYTES - len(self._part)
            self._part += rest[:room]
            rest = rest[room:]
            if len(self._part) == PART_BYTES:
                self._is_in_parts = True
                with os_errors(self._uri):
                    self._upload.send(bytes(self._part))
                self._part.clear()
        return size_bytes

    def close(self) -> None:
        """Sends the rest; then the object is there."""
        if self.closed:
            return
        is_done = False
        try:
            with os_errors(self._uri):
                if not self._is_in_parts:
                    self._upload.put(bytes(self._part))
                else:
                    if self._part:
                        self._upload.send(bytes(self._part))
                    self._upload.finish()
            is_done = True
        finally:
            if is_done:
                super().close()
            else:
                self.discard()

    def discard(self) -> None:
        """Gives the object up; one that was there before stays.

        Raises:
            OSError: If the parts that were sent cannot be deleted.
        """
        if self.closed:
            return
        self._part.clear()
        super().close()
        if self._is_in_parts:
            with os_errors(self._uri):
                self._upload.abort()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the stream, or gives it up after an exception."""
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        """Leaves what nobody closed where it is: io.IOBase would close it."""
