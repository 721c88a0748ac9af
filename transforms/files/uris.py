"""Opening a URI to read: what is missing, what is denied, and what to try again."""

import contextlib
import gzip
import io
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from google.api_core import exceptions as google_exceptions

from transforms.errors import (
    FileTooLargeError,
    NotFoundError,
    PermissionDeniedError,
)
from transforms.files.file_systems import FileSystems, open_as_stored
from transforms.files.file_uris import path_of_uri, without_file_scheme
from transforms.files.flight import FLIGHT
from transforms.files.local_file import ABSENT, open_local
from transforms.files.object_parts import replaced
from transforms.files.object_store import ObjectStore
from transforms.files.object_stream import ObjectStream
from transforms.files.packing import UNPACKERS, PackedFile, Packing
from transforms.files.store_errors import short_body
from transforms.files.stores import store_of

REST_LOST = "the rest of the file is lost"
PART_LOST = "what was there is lost"
"""End of what is said of a file that cannot be read to its end."""

BEGINNING_BYTES = 4096
"""First bytes of a file that tell what it is, also through gzip."""


def is_local(uri: str) -> bool:
    """Whether a URI has no scheme, so that it is a path on this machine."""
    return FileSystems.get_scheme(uri) is None


def absolute(uri: str) -> str:
    """Returns a path on this machine as one that holds from any directory; a URI as it is.

    In /srv, photos/*.jpg becomes /srv/photos/*.jpg, and gs://b/photos/ stays.
    """
    path = without_file_scheme(uri)
    if not path or not is_local(path) or os.path.isabs(path):
        return uri
    return os.path.join(os.getcwd(), path)


def open_uri(uri: str, version: str | None = None) -> BinaryIO:
    """Opens a file to read its bytes as they are stored, never decompressed.

    Args:
        uri: The file.
        version: Version by the listing that it must have still, where that can be told.

    Raises:
        NotFoundError: If there is no such file, it is a directory or a pipe, or the name cannot
            be one.
        PermissionDeniedError: If it may not be read.
        UnavailableError: If a store did not answer in time, a disk fails, or the file is of another
            version; reading may raise it, too.
        OSError: If another storage fails; trying again may help.
    """
    with _own_errors(uri):
        store = store_of(uri)
    if store is not None:
        found = FLIGHT.backoff.call(lambda: store.stat(uri))
        if version not in (None, found.version):
            raise replaced(uri, "listed")
        return cast(BinaryIO, ObjectStream(store, uri, found.size_bytes, found.version))
    with _own_errors(uri):
        path = path_of_uri(uri)
        handle = open_local(path) if is_local(path) else open_as_stored(path)
    found_now = version_of(handle)
    if version is not None and found_now is not None and str(found_now[1]) != version:
        handle.close()
        raise replaced(uri, "listed")
    return handle


def read_remote(uri: str, max_bytes: int, size_bytes: int | None = None) -> bytes:
    """Reads a remote file whole, as it is stored; of a store in a single request.

    Args:
        uri: The file.
        max_bytes: Largest size of it.
        size_bytes: Size by the listing, if it is known. A store that gives another is asked which
            one is right: an object may have no checksum, and a proxy may send half of it.

    Raises:
        FileTooLargeError: If it has more than max_bytes.
        TransientError: If a store gave more or less than the file.
        NotFoundError, PermissionDeniedError, OSError: As open_uri.
    """
    with _own_errors(uri):
        if (store := store_of(uri)) is not None:
            content = store.read(uri, max_bytes)
            if size_bytes not in (None, len(content)):
                _check_size_now(store, uri, len(content))
            return content
    with open_uri(uri) as handle:
        return read_within(handle, max_bytes)


def _check_size_now(store: ObjectStore, uri: str, size_bytes: int) -> None:
    stored_bytes = store.stat(uri).size_bytes
    if stored_bytes != size_bytes:
        raise short_body(uri, size_bytes, stored_bytes)


def read_within(handle: BinaryIO, max_bytes: int) -> bytes:
    """Reads the rest of an image file.

    Raises:
        FileTooLargeError: If it has more than max_bytes; no more than one beyond is read.
    """
    version = version_of(handle)
    # Python allocates what it is asked for, which takes longer than to read what is there.
    wanted = min(version[0], max_bytes) if version else max_bytes
    content = handle.read(wanted + 1)
    if wanted < len(content) <= max_bytes:
        content += handle.read(max_bytes + 1 - len(content))
    if len(content) > max_bytes:
        raise FileTooLargeError(f"more bytes than --max_image_bytes={max_bytes}")
    return content


def read_beginning(uri: str) -> bytes:
    """Reads the first bytes of a file, BEGINNING_BYTES at most; of a store in a single request.

    Raises:
        UnavailableError: If a store did not give them in time.
        NotFoundError, PermissionDeniedError, OSError: As open_uri.
    """
    with _own_errors(uri):
        store = store_of(uri)
    if store is not None:
        return FLIGHT.backoff.call(lambda: store.read_range(uri, 0, BEGINNING_BYTES))
    with open_uri(uri) as handle:
        return handle.read(BEGINNING_BYTES)


@contextlib.contextmanager
def _own_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in ABSENT or isinstance(error, IsADirectoryError):
            raise NotFoundError(f"{uri}: {_reason(error)}") from error
        if isinstance(error, PermissionError):
            raise PermissionDeniedError(f"{uri}: {_reason(error)}") from error
        raise
    except google_exceptions.NotFound as error:
        raise NotFoundError(f"{uri}: no such object") from error
    except (google_exceptions.Forbidden, google_exceptions.Unauthorized) as error:
        raise PermissionDeniedError(f"{uri}: {error.message}") from error
    except ValueError as error:  # An unknown scheme, no bucket, a NUL or half a surrogate pair.
        raise NotFoundError(f"{uri!r} cannot be opened: {error}") from error


def version_of(handle: BinaryIO) -> tuple[int, int] | None:
    """Returns size and modification time, in nanoseconds, of an open local file; else None."""
    if not isinstance(handle, io.BufferedReader) or not isinstance(handle.raw, io.FileIO):
        return None
    status = os.fstat(handle.fileno())
    return status.st_size, status.st_mtime_ns


def is_in_memory(handle: BinaryIO) -> bool:
    """Tells whether the end of a local file can be read without waiting for the disk.

    Only Linux says so, and of some file systems (preadv2(2), RWF_NOWAIT); elsewhere it is False.
    """
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    try:
        size_bytes = os.fstat(handle.fileno()).st_size
        end = max(size_bytes - 1, 0)
        return os.preadv(handle.fileno(), [bytearray(1)], end, os.RWF_NOWAIT) == min(size_bytes, 1)
    except OSError:
        return False


def open_buffered(uri: str, version: str | None = None) -> io.BufferedReader:
    """Opens a file like open_uri, for many small reads: remote handles keep no buffer."""
    return _buffered(open_uri(uri, version))


def _buffered(handle: BinaryIO) -> io.BufferedReader:
    return io.BufferedReader(cast(io.RawIOBase, handle), buffer_size=1 << 20)


@contextlib.contextmanager
def open_to_skim(
    uri: str, packing_of: Callable[[str, bytes], Packing]
) -> Iterator[BinaryIO | None]:
    """Opens a file for a few bytes here and there, in order; gives None if it is packed.

    Of a local one little more is read than is asked for. Of a remote one each request takes longer
    than to read a megabyte, so that what is closer together is read through.

    Args:
        uri: The file.
        packing_of: Callback, which tells from the uri and the first bytes how it is packed.

    Raises:
        NotFoundError, PermissionDeniedError, UnavailableError, OSError: As open_uri.
    """
    handle = open_uri(uri)
    is_on_disk = version_of(handle) is not None
    with handle if is_on_disk else cast(BinaryIO, _buffered(handle)) as skimmed:
        packing = packing_of(uri, skimmed.read(BEGINNING_BYTES))
        skimmed.seek(0)
        yield skimmed if packing is Packing.NONE else None


def open_at(uri: str, start: int, version: str | None = None) -> BinaryIO:
    """Opens a file like open_buffered, at a byte of it."""
    handle = open_buffered(uri, version)
    handle.seek(start)
    return cast(BinaryIO, handle)


def stored_offset(handle: BinaryIO) -> int:
    """Returns how many bytes of a file from open_unpacked have been used, as they are stored."""
    if isinstance(handle, gzip.GzipFile):
        return handle.fileobj.tell()
    raw = getattr(handle, "raw", None)
    return raw.stored.tell() if isinstance(raw, PackedFile) else handle.tell()


@contextlib.contextmanager
def open_unpacked(uri: str, packing_of: Callable[[str, bytes], Packing]) -> Iterator[BinaryIO]:
    """Opens a file, unpacks it as it is read, and closes it after use.

    Args:
        uri: The file.
        packing_of: Callback, which tells from the uri and the first bytes how it is packed.

    Raises:
        NotFoundError: If there is no such file.
        PermissionDeniedError: If it may not be read.
        OSError: If the storage fails; trying again may help.
    """
    with open_buffered(uri) as stored:
        match packing_of(uri, stored.peek(BEGINNING_BYTES)):
            case Packing.GZIP:
                with gzip.GzipFile(fileobj=stored) as unzipped:
                    yield cast(BinaryIO, unzipped)
            case Packing.NONE:
                yield cast(BinaryIO, stored)
            case packing:
                raw = UNPACKERS[packing](cast(BinaryIO, stored))
                with io.BufferedReader(raw, buffer_size=1 << 16) as unpacked:
                    yield cast(BinaryIO, unpacked)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
