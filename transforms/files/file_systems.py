"""Beam's file systems: the one door through which all but the steps come to Beam.

A path is a local one or a URI of any scheme that a file system of Beam's is there for. Beam takes
what it matches or deletes for a glob: of /[2021]/a it would take /2/a. So local paths go through
Python's own functions here. Beam takes 2 s to import, and waits for the first URI.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from transforms.files.schemes import check_scheme, scheme_of

_COMPRESSED = (".bz2", ".deflate", ".gz", ".lzma", ".xz", ".zst", ".zstd")
"""Endings of names that Beam decompresses."""


class FileMetadata(NamedTuple):
    """A file as a file system lists it.

    Attributes:
        path: Path or URI of it.
        size_in_bytes: Size of it.
        last_updated_in_seconds: Time since 1970 at which it was written; 0 where it is not known.
    """

    path: str
    size_in_bytes: int
    last_updated_in_seconds: float


class FileSystems:
    """Beam's functions of this name, with those that a local path needs no Beam for.

    Raises:
        ValueError: If there is no file system of a URI's scheme, or it lacks its package.
    """

    @staticmethod
    def get_scheme(path: str) -> str | None:
        """Returns the scheme of a URI, as "gs"; None for a local path."""
        return scheme_of(path)

    @staticmethod
    def join(path: str, *parts: str) -> str:
        """Joins parts of a path."""
        return os.path.join(path, *parts) if _is_local(path) else _beams(path).join(path, *parts)

    @staticmethod
    def exists(path: str) -> bool:
        """Tells whether there is such a file, or local directory."""
        return os.path.exists(path) if _is_local(path) else _beams(path).exists(path)

    @staticmethod
    def match(patterns: list[str], limits: list[int] | None = None) -> list[Any]:
        """Lists what globs match."""
        return _beams(*patterns).match(patterns, limits)

    @staticmethod
    def open(path: str, compression_type: str = "auto") -> BinaryIO:
        """Opens a file to read, decompressed as its name says if not told otherwise."""
        if _is_local(path) and not path.lower().endswith(_COMPRESSED):
            return open(path, "rb")
        return _beams(path).open(path, compression_type=compression_type)

    @staticmethod
    def create(path: str, compression_type: str = "auto") -> BinaryIO:
        """Opens a file to write, compressed as its name says if not told otherwise."""
        return _beams(path).create(path, compression_type=compression_type)

    @staticmethod
    def copy(sources: list[str], targets: list[str]) -> None:
        """Copies files within a file system."""
        _beams(*sources).copy(sources, targets)

    @staticmethod
    def delete(paths: Sequence[str]) -> None:
        """Deletes files."""
        _beams(*paths).delete(paths)


def open_as_stored(path: str) -> BinaryIO:
    """Opens a file to read its bytes as they are stored, never decompressed by its name.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If its scheme is unknown.
    """
    return open(path, "rb") if _is_local(path) else FileSystems.open(path, "uncompressed")


def create_as_stored(path: str) -> BinaryIO:
    """Opens a file to write, never compressed by its name; an object is there once it is closed.

    Raises:
        OSError: If it cannot be written.
        ValueError: If its scheme is unknown.
    """
    return FileSystems.create(path, "uncompressed")


def list_files(directory: str) -> list[FileMetadata]:
    """Lists every file below a directory; empty if there is no such directory.

    Raises:
        OSError: If a part of it cannot be listed.
        ValueError: If its scheme is unknown.
    """
    if _is_local(directory):
        return list(_walk(directory))
    try:
        matches = FileSystems.match([FileSystems.join(directory, "**")])
    except OSError as error:  # Beam's own, which says what went wrong of each pattern.
        causes = (getattr(error, "exception_details", None) or {"": error}).values()
        if not all(isinstance(cause, FileNotFoundError) for cause in causes):
            raise
        return []
    return [
        FileMetadata(found.path, found.size_in_bytes, found.last_updated_in_seconds)
        for match in matches
        for found in match.metadata_list
    ]


def last_updated(path: str) -> float | None:
    """Returns when a file was last written, in seconds since 1970; None where a store keeps none.

    Raises:
        OSError: If it is not there.
        ValueError: If its scheme is unknown.
    """
    if _is_local(path):
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
        (local if _is_local(path) else remote).append(path)
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


def _is_local(path: str) -> bool:
    return scheme_of(path) is None


def _beams(*paths: str) -> Any:  # noqa: ANN401 - Beam's class is not typed
    """Returns Beam's functions, once it is known that there are some for these paths."""
    from apache_beam.io.filesystems import FileSystems as BeamFileSystems

    for path in paths:
        check_scheme(path)
    return BeamFileSystems


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
