"""Files that are there whole or not at all, also after power has gone, on any file system."""

import contextlib
import hashlib
import os
import shutil
import uuid

from transforms.errors import RunError
from transforms.files.file_systems import (
    FileSystems,
    create_as_stored,
    look_at,
    open_as_stored,
)
from transforms.files.object_store import TransientError
from transforms.files.uris import is_local
from transforms.records import WrittenFile


def make_directory(path: str) -> None:
    """Makes a local directory and those above it, where they are not there; stores have none."""
    if is_local(path):
        os.makedirs(path, exist_ok=True)


def write_whole(path: str, content: bytes) -> WrittenFile:
    """Writes a file in one step; one that was there is replaced.

    Raises:
        OSError: If it cannot be written, as where there is no such directory; what was there is
            still there.
    """
    if is_local(path):
        partial = f"{path}.{uuid.uuid4().hex}.partial"
        try:
            with open(partial, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
        sync(os.path.dirname(path))
    else:  # An object is there once it is closed.
        with create_as_stored(path) as stream:
            stream.write(content)
    return WrittenFile(path, len(content), hashlib.sha256(content).hexdigest())


def read_whole(path: str) -> bytes:
    """Returns the content of a small file of any file system, as it is stored."""
    with open_as_stored(path) as stream:
        return stream.read()


def sync(path: str) -> None:
    """Waits until a local file, or a directory's list of names, is on disk."""
    if not is_local(path):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def link_or_copy(source: str, target: str) -> None:
    """Gives a file a second name, without moving its bytes where that can be; target is new."""
    if not is_local(source) or not is_local(target):
        FileSystems.copy(source, target)
        return
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # Other devices, and file systems without links.
        shutil.copyfile(source, target)
        sync(target)


def is_intact(file: WrittenFile) -> bool:
    """Tells whether a file still has its size and, where it is local, its sha256.

    An object store keeps checksums of its own; reading every object to compute another would cost
    what a copy inside of the store saves. A store that does not answer says nothing of the file,
    and a file that is taken for damaged costs all that is in it again.

    Raises:
        RunError: If a store does not say, or may not be asked.
    """
    try:
        if is_local(file.path):
            with open(file.path, "rb") as stream:
                if os.fstat(stream.fileno()).st_size != file.size_bytes:
                    return False
                return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
        return look_at(file.path).size_in_bytes == file.size_bytes
    except (TransientError, PermissionError) as error:
        if is_local(file.path):
            return False
        reason = error.strerror or str(error).removeprefix(f"{file.path}: ")
        raise RunError(
            f"{file.path} cannot be looked at: {reason}; nothing is published; run again with "
            "--resume once that is mended"
        ) from error
    except OSError:  # Gone or unreadable: not intact, whatever the reason.
        return False
