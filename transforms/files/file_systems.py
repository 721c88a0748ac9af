"""File systems: one door to this machine's, to the stores of objects, and to Beam's for the rest.

A path is a local one, a URI of a store (stores), or one of any other scheme that a file system of
Beam's is there for, such as hdfs://. Beam takes what it matches or deletes for a glob: of /[2021]/a
it would take /2/a. So nothing else goes through Beam, which takes 2 s to import and waits for the
first such URI.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple, cast

from transforms.files.local_tree import files_below
from transforms.files.object_store import ObjectStore, StoredObject
from transforms.files.object_stream import ObjectStream
from transforms.files.schemes import check_scheme, scheme_of
from transforms.files.store_errors import os_errors
from transforms.files.stores import store_of

DELETED_AT_ONCE = 32
"""Objects: a store takes its time for each, and takes many at once."""

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
    """Functions for paths of all file systems, by Beam's names.

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
        if _is_local(path):
            return os.path.join(path, *parts)
        if store_of(path) is None:
            return _beams(path).join(path, *parts)
        return "/".join([path.rstrip("/"), *(part.strip("/") for part in parts)])

    @staticmethod
    def exists(path: str) -> bool:
        """Tells whether there is such a file, or local directory."""
        if _is_local(path):
            return os.path.exists(path)
        if store_of(path) is None:
            return _beams(path).exists(path)
        try:
            look_at(path)
        except FileNotFoundError:
            return False
        return True

    @staticmethod
    def match(patterns: list[str], limits: list[int] | None = None) -> list[Any]:
        """Lists what globs match, in a file system of Beam's."""
        return _beams(*patterns).match(patterns, limits)

    @staticmethod
    def open(path: str) -> BinaryIO:
        """Opens a file to read, decompressed as its name says."""
        if not path.lower().endswith(_COMPRESSED):
            return open_as_stored(path)
        if store_of(path) is None:
            return _beams(path).open(path)
        return _decompressed(open_as_stored(path), path)

    @staticmethod
    def copy(source: str, target: str) -> None:
        """Copies a file within a remote file system."""
        if (store := store_of(source)) is None:
            _beams(source).copy([source], [target])
            return
        with os_errors(source):
            store.copy(source, target)


def open_as_stored(path: str) -> BinaryIO:
    """Opens a file to read its bytes as they are stored, never decompressed by its name.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If its scheme is unknown.
    """
    if _is_local(path):
        return open(path, "rb")
    if (store := store_of(path)) is None:
        return _beams(path).open(path, compression_type="uncompressed")
    with os_errors(path):
        return cast(BinaryIO, _StoredFile(store, store.stat(path)))


def create_as_stored(path: str) -> BinaryIO:
    """Opens a file to write, never compressed by its name; an object is there once it is closed.

    Raises:
        OSError: If it cannot be written, as where there is no such local directory.
        ValueError: If its scheme is unknown.
    """
    if _is_local(path):
        return open(path, "wb")
    if (store := store_of(path)) is None:
        return _beams(path).create(path, compression_type="uncompressed")
    with os_errors(path):
        return store.create(path)


def create_if_absent(path: str, content: bytes) -> bool:
    """Creates a remote file unless there is one; tells whether this call did.

    In a store it takes one step, so that of many callers one succeeds. What Beam alone knows has no
    such step: there it is looked, and then written.

    Raises:
        OSError: If it cannot be written.
        ValueError: If its scheme is unknown.
    """
    if (store := store_of(path)) is not None:
        with os_errors(path):
            return store.create_if_absent(path, content)
    if FileSystems.exists(path):
        return False
    with create_as_stored(path) as stream:
        stream.write(content)
    return True


def list_files(directory: str) -> list[FileMetadata]:
    """Lists every file below a directory; empty if there is no such directory; see files_below.

    Raises:
        OSError: If a part of it cannot be listed.
        ValueError: If its scheme is unknown.
    """
    if _is_local(directory):
        return list(_look_below(directory))
    if (store := store_of(directory)) is None:
        return list(_match_below(directory))
    with os_errors(directory):
        return [_metadata(found) for found in store.list_objects(directory.rstrip("/") + "/")]


def look_at(path: str) -> FileMetadata:
    """Returns a file as a listing has it.

    Raises:
        OSError: If it is not there, or cannot be looked at.
        ValueError: If its scheme is unknown.
    """
    if _is_local(path):
        status = os.stat(path)
        return FileMetadata(path, status.st_size, status.st_mtime)
    if (store := store_of(path)) is not None:
        with os_errors(path):
            return _metadata(store.stat(path))
    for found in FileSystems.match([path])[0].metadata_list:
        if found.path == path:
            return FileMetadata(path, found.size_in_bytes, found.last_updated_in_seconds)
    raise FileNotFoundError(errno.ENOENT, "no such file", path)


def delete(paths: Iterable[str]) -> None:
    """Deletes files, and local directories with all that is in them; nothing to do for none.

    Raises:
        OSError: If one cannot be deleted, or a local one is not there; the others are deleted all
            the same.
        ValueError: If its scheme is unknown.
    """
    local: list[str] = []
    stored: list[tuple[ObjectStore, str]] = []
    beams: list[str] = []
    for path in paths:
        if _is_local(path):
            local.append(path)
        elif (store := store_of(path)) is not None:
            stored.append((store, path))
        else:
            beams.append(path)
    if beams:
        _beams(*beams).delete(beams)
    failed = [error for error in map(_delete_local, local) if error]
    if stored:
        with ThreadPoolExecutor(DELETED_AT_ONCE, thread_name_prefix="delete") as threads:
            failed += [error for error in threads.map(_delete_object, stored) if error]
    if failed:
        raise failed[0]


class _StoredFile(ObjectStream):
    """An object as a file, which raises what files raise."""

    mode = "rb"  # Beam asks for it where it unpacks a file.

    def __init__(self, store: ObjectStore, found: StoredObject) -> None:
        super().__init__(store, found.uri, found.size_bytes, found.version)
        self._path = found.uri

    def read(self, size: int | None = -1) -> bytes:
        with os_errors(self._path):
            return super().read(size)

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - what has a writable buffer
        with os_errors(self._path):
            return super().readinto(buffer)


def _delete_local(path: str) -> OSError | None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except OSError as error:
        return error
    return None


def _delete_object(place: tuple[ObjectStore, str]) -> OSError | None:
    store, path = place
    try:
        with os_errors(path):
            store.delete(path)
    except OSError as error:
        return error
    return None


def _is_local(path: str) -> bool:
    return scheme_of(path) is None


def _beams(*paths: str) -> Any:  # noqa: ANN401 - Beam's class is not typed
    """Returns Beam's functions, once it is known that there are some for these paths."""
    from apache_beam.io.filesystems import FileSystems as BeamFileSystems

    for path in paths:
        check_scheme(path)
    return BeamFileSystems


def _decompressed(stored: BinaryIO, path: str) -> BinaryIO:
    from apache_beam.io.filesystem import CompressedFile, CompressionTypes

    compression = CompressionTypes.detect_compression_type(path)
    return cast(BinaryIO, CompressedFile(stored, compression_type=compression))


def _metadata(found: StoredObject) -> FileMetadata:
    return FileMetadata(found.uri, found.size_bytes, found.updated_seconds or 0)


def _match_below(directory: str) -> Iterator[FileMetadata]:
    try:
        matches = FileSystems.match([FileSystems.join(directory, "**")])
    except OSError as error:  # Beam's own, which says what went wrong of each pattern.
        causes = (getattr(error, "exception_details", None) or {"": error}).values()
        if not all(isinstance(cause, FileNotFoundError) for cause in causes):
            raise
        return
    for match in matches:
        for found in match.metadata_list:
            yield FileMetadata(found.path, found.size_in_bytes, found.last_updated_in_seconds)


def _look_below(directory: str) -> Iterator[FileMetadata]:
    for path in files_below(directory):
        with contextlib.suppress(OSError):  # It has gone since, or is a link to nothing.
            yield look_at(path)
