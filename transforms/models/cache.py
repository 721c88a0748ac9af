"""Models unpacked or copied once a machine, and how an archive is unpacked safely.

A SavedModel is a program: load none that you would not run. Unpacking one is safe all the same, and
cannot write outside its own directory.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from transforms.errors import ModelError

MAX_MODEL_BYTES = 32 * 2**30
"""Most bytes unpacked or copied for one model."""

MAX_MODEL_FILES = 10_000
"""Most files unpacked or copied for one model; a large one has a few dozen."""

_COPY_CHUNK_BYTES = 2**20


def fill_once(cache: pathlib.Path, key: str, fill: Callable[[pathlib.Path], None]) -> str:
    """Fills a cache entry, unless it is there; nobody sees one that is half filled.

    Args:
        cache: Directory of the cache; made if need be.
        key: Name of the entry, and of the lock by which the processes of a machine take turns.
        fill: Callback, writes the entry's files into the empty directory it is given.

    Returns:
        The entry's directory.

    Raises:
        ModelError: If the cache cannot be written.
    """
    entry = cache / key
    partial = cache / f"{key}.partial"
    try:
        # An entry comes to be whole: to use it takes no lock, and no right to write.
        if entry.is_dir():
            return str(entry)
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"{key}.lock"):
            if not entry.is_dir():
                shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
                partial.mkdir()
                try:
                    fill(partial)
                    os.replace(partial, entry)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise ModelError(f"cannot keep the model in {cache}: {error}") from error
    return str(entry)


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def unpack_archive(file: IO[bytes], directory: pathlib.Path, handle: str) -> None:
    """Unpacks a tar archive: regular files only, into the directory only, within the limits.

    Raises:
        ModelError: If the archive is damaged, too large, or holds anything else.
    """
    total = 0
    try:
        with tarfile.open(fileobj=file, mode="r|*") as archive:
            for count, member in enumerate(archive, start=1):
                total += max(member.size, 0)
                if count > MAX_MODEL_FILES or total > MAX_MODEL_BYTES:
                    raise ModelError(
                        f"{handle} unpacks to more than {MAX_MODEL_FILES} files or "
                        f"{MAX_MODEL_BYTES} bytes"
                    )
                if member.isdir():
                    continue
                content = archive.extractfile(member) if member.isreg() else None
                if content is None:
                    raise ModelError(
                        f"{handle} holds a link or device, {member.name[:200]!r}; want plain files"
                    )
                write_member(content, directory, member.name, handle)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ModelError(f"{handle} is no readable tar archive: {error}") from error


def write_member(content: IO[bytes], directory: pathlib.Path, name: str, handle: str) -> None:
    """Writes a new file under a directory.

    Raises:
        ModelError: If the name leads outside of it.
    """
    parts = pathlib.PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise ModelError(f"{handle} holds a path outside of itself, {name[:200]!r}")
    target = directory.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as copy:
        shutil.copyfileobj(content, copy, _COPY_CHUNK_BYTES)
