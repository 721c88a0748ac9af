"""An object as a stream to read, which fetches ranges of it."""

import io
import time
from typing import Any

from transforms.files.object_store import ObjectStore, TransientError

BUFFER_BYTES = 1 << 20
"""Fetched at a time by small reads."""

PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Before a range that did not come is asked for again."""


class ObjectStream(io.BufferedReader):
    """A seekable stream of an object.

    Raises:
        NotFoundError, PermissionDeniedError, OSError: From read, if the store does not give a
            range, or the object has become shorter.
    """

    def __init__(self, store: ObjectStore, uri: str, size_bytes: int) -> None:
        """Takes an object and its size."""
        super().__init__(_Ranges(store, uri, size_bytes), BUFFER_BYTES)


class _Ranges(io.RawIOBase):
    def __init__(self, store: ObjectStore, uri: str, size_bytes: int) -> None:
        self._store = store
        self._uri = uri
        self._size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}
        self._position = max(start[whence] + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - what has a writable buffer
        content = self._next(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return self._next(self._size_bytes)

    def _next(self, size_bytes: int) -> bytes:
        stop = min(self._position + size_bytes, self._size_bytes)
        if stop <= self._position:
            return b""
        content = self._range(self._position, stop)
        if len(content) != stop - self._position:
            raise OSError(f"{self._uri}: it had {self._size_bytes} bytes, and has become shorter")
        self._position = stop
        return content

    def _range(self, start: int, stop: int) -> bytes:
        for pause_seconds in PAUSES_SECONDS:
            try:
                return self._store.read_range(self._uri, start, stop)
            except TransientError as error:
                time.sleep(max(pause_seconds, error.retry_after_seconds or 0))
        return self._store.read_range(self._uri, start, stop)
