"""Files of this machine's disks and mounts, to read: what these do not give is unavailable.

A bad sector, a server of files that is away and a table of open files that is full cost what they
are in the way of, as a store that does not answer does; they end no run.
"""

import errno
import io
import os
import stat
from typing import BinaryIO

from transforms.errors import UnavailableError

ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
"""Codes that say that there is no such file."""


def open_local(path: str) -> BinaryIO:
    """Opens a regular file; closes the way to pipes, sockets and devices.

    Raises:
        UnavailableError: If the disk does not give it; reading raises it, too.
        PermissionError, IsADirectoryError: As open.
        OSError: If there is no such file; its errno is in ABSENT.
    """
    try:
        # Opening a named pipe would otherwise wait for someone to write to it.
        raw = _LocalFile(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except (PermissionError, IsADirectoryError):
        raise
    except OSError as error:
        if error.errno in ABSENT:
            raise
        raise _unavailable(path, error) from error
    if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        raw.close()
        raise OSError(errno.ENXIO, "not a regular file")
    return io.BufferedReader(raw)


class _LocalFile(io.FileIO):
    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise _unavailable(self.name, error) from error

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            raise _unavailable(self.name, error) from error


def _unavailable(path: object, error: OSError) -> UnavailableError:
    return UnavailableError(f"{path}: {(error.strerror or str(error)).lower()}")
