"""Beam's file systems: the one door through which all but the steps come to Beam.

A path is a local one or a URI of any scheme that a file system of Beam's is there for. Beam takes
what it matches or deletes for a glob: of /[2021]/a it would take /2/a. So local paths go through
Python's own functions here.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError as BeamIOError
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystem import FileMetadata as FileMetadata
from apache_beam.io.filesystem import FileSystem as FileSystem
from apache_beam.io.filesystems import FileSystems as FileSystems


def open_as_stored(path: str) -> BinaryIO:
    """Opens a file to read its bytes as they are stored, never decompressed by its name.

    Raises:
        OSError: If it cannot be opened; BeamIOError is one.
        ValueError: If its scheme is unknown.
    """
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def create_as_stored(path: str) -> BinaryIO:
    """Opens a file to write, never compressed by its name; an object is there once it is closed.

    Raises:
        OSError: If it cannot be written.
        ValueError: If its scheme is unknown.
    """
    return FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)


def list_files(directory: str) -> list[FileMetadata]:
    """Lists every file below a directory; empty if there is no such directory.

    Raises:
        OSError: If a part of it cannot be listed; BeamIOError is one.
        ValueError: If its scheme is unknown.
    """
    if FileSystems.get_scheme(directory) is None:
        return list(_walk(directory))
    try:
        matches = FileSystems.match([FileSystems.join(directory, "**")])
    except BeamIOError as error:
        causes = (error.exception_details or {}).values()
        if not all(isinstance(cause, FileNotFoundError) for cause in causes):
            raise
        return []
    return [found for match in matches for found in match.metadata_list]


def last_updated(path: str) -> float | None:
    """Returns when a file was last written, in seconds since 1970; None where a store keeps none.

    Raises:
        OSError: If it is not there.
        ValueError: If its scheme is unknown.
    """
    if FileSystems.get_scheme(path) is None:
        return os.path.getmtime(path)
    (found,) = FileSystems.match([path])[0].metadata_list
    return found.last_updated_in_seconds or None


def delete(paths: Iterable[str]) -> None:
    """Deletes files, and local directories with all that is in them; nothing to do for none.

    Raises:
        OSError: If one cannot be deleted, or is not there; the others are deleted all the same.
        ValueError: If its scheme is unknown.
    """
    local: list[str] = []
    remote: list[str] = []
    for path in paths:
        (local if FileSystems.get_scheme(path) is None else remote).append(path)
    if remote:
        FileSystems.delete(remote)
    failed: list[OSError] = []
    for path in local:
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        except OSError as error:
            failed.append(error)
    if failed:
        raise failed[0]


def _walk(directory: str) -> Iterator[FileMetadata]:
    def fail(error: OSError) -> None:
        absent = isinstance(error, FileNotFoundError | NotADirectoryError)
        if not (absent and error.filename == directory):
            raise error

    for folder, _, names in os.walk(directory, onerror=fail):
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.stat(path)
            except OSError:  # It has gone since, or is a link to nothing.
                continue
            yield FileMetadata(path, status.st_size, status.st_mtime)
