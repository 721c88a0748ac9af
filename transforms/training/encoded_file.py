"""Encoded images in a file of their own, for epoch after epoch: the page cache is the memory."""

import os
import tempfile
from typing import Self


class EncodedFile:
    """Takes image files, one after the other; the file has no name, and is gone with the process.

    A context manager: it can be appended to and read inside. Threads may read at the same time.
    """

    def __init__(self, directory: str) -> None:
        """Makes an empty file without a name.

        Args:
            directory: Directory on a disk with room for all.

        Raises:
            OSError: If it cannot.
        """
        self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - by __exit__
        self._starts = [0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._starts) - 1

    @property
    def size_bytes(self) -> int:
        """Size of all images together, in bytes."""
        return self._starts[-1]

    def append(self, encoded: bytes) -> int:
        """Appends an image; returns its place.

        Raises:
            OSError: If the disk is full.
        """
        rest = memoryview(encoded)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._starts.append(self._starts[-1] + len(encoded))
        return len(self) - 1

    def read(self, place: int) -> bytes:
        """Reads the image at a place.

        Raises:
            OSError: If the disk fails.
        """
        start, stop = self._starts[place], self._starts[place + 1]
        return os.pread(self._file.fileno(), stop - start, start)
