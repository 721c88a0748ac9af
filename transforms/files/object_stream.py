"""ObjectStream: an object to read and seek in, in large ranges that are asked for ahead."""

import contextlib
import functools
import io
import os
from collections.abc import Iterator
from typing import Protocol

from transforms.errors import ImageError
from transforms.files.flight import FLIGHT
from transforms.files.object_parts import replaced
from transforms.files.pace import Pace
from transforms.files.read_ahead import Read, ReadAhead
from transforms.files.store_errors import short_body

FIRST_RANGE_BYTES = 64 << 10
"""Least that is read where nobody knows whether more is wanted."""

RANGE_BYTES = 4 << 20
RANGES_AHEAD = 8
"""Largest ranges that are read ahead, and how many at a time: 32 MB hide a tenth of a second."""

RUNS = 4
"""Places of an object that are read in turn: of a Parquet file, each column that is wanted."""

_PACE = Pace()
"""Of all ranges that this process reads."""


class SupportsReadRange(Protocol):
    """A store whose objects can be read in parts."""

    def read_range(self, uri: str, start: int, stop: int, version: str | None = None) -> bytes:
        """Reads bytes from start up to stop, or to the object's end, in a single attempt."""


class ObjectStream(io.RawIOBase):
    """An object to read, as a file that can be sought in. For one thread at a time.

    The first bytes at a place are read alone. Who goes on there gets ranges that grow from twice
    as many to RANGE_BYTES, RANGES_AHEAD at a time. A read of the last 64 kB of an object, then of
    bytes 0 to 999,999, and on from there, asks for

        the last 64 kB;  bytes 0 to 999,999;  1,000,000 to 2,999,999, 3,000,000 to 6,999,999, ...

    Each range is tried again on its own. All are of one version of the object.
    """

    def __init__(
        self, store: SupportsReadRange, uri: str, size_bytes: int, version: str | None = None
    ) -> None:
        """Reads nothing.

        Args:
            store: The store.
            uri: The object.
            size_bytes: Size of it.
            version: Version of it; None if that is not known.
        """
        super().__init__()
        self._store = store
        self._uri = uri
        self._size_bytes = size_bytes
        self._version = version
        self._position = 0
        self._runs: list[_Run] = []  # The one used last comes last.

    def readable(self) -> bool:
        """Says that it can be read."""
        return True

    def seekable(self) -> bool:
        """Says that it can be sought in."""
        return True

    def tell(self) -> int:
        """Returns the place that is read next."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a place; reads nothing."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}
        self._position = max(0, start[whence] + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Reads so many bytes, or up to the end.

        Raises:
            UnavailableError: If they did not come in time, or the object was replaced.
            NotFoundError, PermissionDeniedError: If the object is not there any more.
        """
        left = max(0, self._size_bytes - self._position)
        content = bytearray(left if size is None or size < 0 else min(size, left))
        self.readinto(content)
        return bytes(content)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fills a buffer, as far as there are bytes; raises as read."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self._size_bytes - self._position))
        done = 0
        while done < wanted:
            run = self._run_at(self._position, wanted - done)
            part = run.part(self._position)[: wanted - done]
            view[done : done + len(part)] = part
            done += len(part)
            self._position += len(part)
        return done

    def close(self) -> None:
        """Forgets what was read ahead."""
        while self._runs:
            self._runs.pop().close()
        super().close()

    def _run_at(self, position: int, wanted: int) -> "_Run":
        for run in reversed(self._runs):
            if run.start <= position <= run.stop:
                self._runs.remove(run)
                if position == run.stop:
                    try:
                        run.go_on()
                    except BaseException:  # Its next range is not the one that is read again.
                        run.close()
                        raise
                break
        else:
            size = min(max(wanted, FIRST_RANGE_BYTES), RANGE_BYTES)
            run = _Run(self._ranges(position, size), position)
            run.go_on()
        self._runs.append(run)
        if len(self._runs) > RUNS:
            self._runs.pop(0).close()
        return run

    def _ranges(self, start: int, size: int) -> Iterator[Read]:
        """Gives ranges up to the end, each twice as large as the one before, up to a limit."""
        while start < self._size_bytes:
            stop = min(start + size, self._size_bytes)
            yield Read(functools.partial(self._read_range, start, stop), stop - start)
            start, size = stop, min(2 * size, RANGE_BYTES)

    def _read_range(self, start: int, stop: int) -> bytes:
        content = self._store.read_range(self._uri, start, stop, self._version)
        if not content:  # It ends before, and did not when its size was asked for.
            raise replaced(self._uri, "opened")
        if len(content) != stop - start:
            raise short_body(self._uri, len(content), stop - start)
        return content


class _Run:
    """Ranges that follow one another, of which one is there.

    Attributes:
        start: Start of the range that is there.
        stop: End of it.
    """

    def __init__(self, ranges: Iterator[Read], start: int) -> None:
        self.start = self.stop = start
        self._content = memoryview(b"")
        self._ranges = ranges
        self._ahead: ReadAhead | None = None
        self._is_begun = False

    def part(self, position: int) -> memoryview:
        """Returns what is there from a place on."""
        return self._content[position - self.start :]

    def go_on(self) -> None:
        """Waits for the range behind the one that is there."""
        if not self._is_begun:
            with contextlib.closing(FLIGHT.read_ahead([next(self._ranges)], _PACE)) as first:
                content = next(first)
            self._is_begun = True
        else:
            if self._ahead is None:
                self._ahead = FLIGHT.read_ahead(self._ranges, _PACE, RANGES_AHEAD)
            content = next(self._ahead)
        if isinstance(content, ImageError):
            raise content
        self._content = memoryview(content)
        self.start, self.stop = self.stop, self.stop + len(content)

    def close(self) -> None:
        """Forgets what was read ahead."""
        if self._ahead is not None:
            self._ahead.close()
