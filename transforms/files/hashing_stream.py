"""A stream that hashes what is written through it."""

import contextlib
import hashlib
from typing import IO


class HashingStream:
    """A write-only stream that knows the size and sha256 of what went through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0
        self._is_discarded = False

    def write(self, data: bytes) -> int:
        """Writes data and returns its length."""
        if not self._is_discarded:
            self._stream.write(data)
        self._sha256.update(data)
        self.size_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Returns the bytes written so far."""
        return self.size_bytes

    def flush(self) -> None:
        """Keeps what is buffered: close flushes it."""

    def close(self) -> None:
        """Closes the stream beneath; only then is the file there on an object store."""
        self._stream.close()

    def discard(self) -> None:
        """Closes the stream beneath, or gives its object up; what is still written goes nowhere."""
        self._is_discarded = True
        give_up = getattr(self._stream, "discard", self._stream.close)
        with contextlib.suppress(OSError):  # A full disk is full at close, too.
            give_up()

    @property
    def closed(self) -> bool:
        """Whether it takes no more writes."""
        return self._stream.closed and not self._is_discarded

    @property
    def sha256(self) -> str:
        """The hash of what was written, hexadecimal."""
        return self._sha256.hexdigest()
