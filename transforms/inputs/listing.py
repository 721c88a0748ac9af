"""What an --input is, and the files it stands for."""

import dataclasses
import functools
import itertools
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, Unauthorized
from google.auth.exceptions import GoogleAuthError

from transforms.errors import InputError
from transforms.files.cloud_storage import is_cloud_uri, list_directory, list_objects
from transforms.files.file_systems import FileSystem, FileSystems
from transforms.files.uris import is_local, without_file_scheme
from transforms.inputs.extensions import IMAGE_EXTENSIONS
from transforms.inputs.kinds import FILE_KINDS, kind_of_glob, kind_of_name
from transforms.records import InputFile, ShardKind

_WILDCARD = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One --input, classified.

    Attributes:
        kind: TFRECORD, PARQUET or TAR when every file of it is one. IMAGES for image files, and for
            a directory or a glob that may hold any: there each file's own name decides.
        pattern: The directory, glob or file; a local one is absolute.
        root: The directory, or the fixed part before the wildcards, without a closing slash.
        is_directory: Whether it is a directory, taken whole.
    """

    kind: ShardKind
    pattern: str
    root: str
    is_directory: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file in a listing; size and version are None for a broken link."""

    uri: str
    root: str
    size_bytes: int | None
    version: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Skipped:
    """A file or directory that a listing leaves out; reason is its extension, or says why."""

    uri: str
    reason: str


Listed = ImageFile | InputFile | Skipped


class _Entry(NamedTuple):
    uri: str
    size_bytes: int | None
    version: str | None


def classify_input(uri: str) -> Source:
    """Tells what an --input is, by its name and a cheap look.

    A local path becomes absolute: then ids and manifests do not depend on where the program is
    started, and overlapping inputs are found out.

    Raises:
        InputError: If there is no such file, the glob matches nothing, the scheme is unknown, or
            the bucket is not there or may not be listed.
    """
    try:
        path = without_file_scheme(uri)
        return _classify(os.path.abspath(path) if path and is_local(path) else path)
    except (OSError, ValueError, GoogleAPIError, GoogleAuthError) as error:
        raise _cannot_be_listed(uri, error) from error


def list_source(source: Source) -> Iterator[Listed]:
    """Lists the files of an input, directory by directory, names in order.

    A directory gives the files whose names say that they hold images; a glob or a named file gives
    everything that matches. What is left out comes as Skipped, to be counted.

    Raises:
        InputError: If a bucket may not be listed, or its storage fails for minutes.
    """
    entries = _walk_local(source) if is_local(source.pattern) else _list_remote(source)
    try:
        for entry in entries:
            yield entry if isinstance(entry, Skipped) else _listed(entry, source)
    except (GoogleAPIError, GoogleAuthError) as error:
        raise _cannot_be_listed(source.pattern, error) from error


def _classify(uri: str) -> Source:
    if _is_directory(uri):
        folder = uri.rstrip("/")
        return Source(ShardKind.IMAGES, folder or "/", folder, is_directory=True)
    folder, _, name = uri.rpartition("/")
    if _exists(uri):
        return Source(kind_of_name(name), uri, folder, is_directory=False)
    if not _WILDCARD.search(uri):
        raise InputError(f"--input {uri!r}: no such file or directory; check the spelling")
    root = _WILDCARD.split(uri, maxsplit=1)[0].rpartition("/")[0]
    source = Source(kind_of_glob(name), uri, root, is_directory=False)
    if next(list_source(source), None) is None:
        raise InputError(
            f"--input {uri!r}: the glob matches no file; check the spelling, write **/ to look "
            "into subdirectories, or name a directory to take all of it"
        )
    return source


def _cannot_be_listed(uri: str, error: Exception) -> InputError:
    return InputError(f"--input {uri!r} cannot be listed: {_reason(uri, error)}")


def _reason(uri: str, error: Exception) -> str:
    bucket = "/".join(uri.split("/")[:3])
    if isinstance(error, NotFound):  # An object that is not there is no error in a listing.
        return f"there is no bucket {bucket}; check the spelling"
    if isinstance(error, Forbidden | Unauthorized) and error.errors:
        # Who lacks which permission; the error itself starts with the request's long URL.
        return f"{bucket} is closed: {error.errors[0]['message']}"
    return str(error)


def _is_directory(uri: str) -> bool:
    if is_local(uri):
        return os.path.isdir(uri)
    if is_cloud_uri(uri):
        folder = uri.rstrip("/") + "/"
        is_bucket = folder.count("/") == 3  # There, also if it is empty: it could be listed.
        return next(list_objects(folder), None) is not None or is_bucket
    below = _loose(uri.rstrip("/")) + "/**"
    return not _WILDCARD.search(uri) and bool(FileSystems.match([below], [1])[0].metadata_list)


def _exists(uri: str) -> bool:
    if not is_cloud_uri(uri):
        return FileSystems.exists(uri)
    first = next(list_objects(uri), None)  # Of names that start alike, the shortest comes first.
    return first is not None and first.uri == uri


def _is_file(pattern: str) -> bool:
    # A name may hold wildcards; one without them is a file even if it went away since.
    return not _WILDCARD.search(pattern) or _exists(pattern)


def _walk_local(source: Source) -> Iterator[_Entry | Skipped]:
    # Not FileSystems.match: it drops broken links, unreadable and linked directories unseen.
    if not source.is_directory and _is_file(source.pattern):
        yield _local_entry(source.pattern)
        return
    unreadable: list[OSError] = []
    for folder, subfolders, names in os.walk(source.root or "/", onerror=unreadable.append):
        subfolders.sort()
        if not source.is_directory and _is_deepest(source.pattern, folder):
            subfolders.clear()
        paths = (os.path.join(folder, name) for name in sorted(names))
        yield from (_local_entry(path) for path in paths if _matches(source, path))
        links = (os.path.join(folder, name) for name in subfolders)
        yield from (Skipped(path, "linked directory") for path in links if os.path.islink(path))
    yield from (Skipped(str(error.filename), "unreadable directory") for error in unreadable)


def _local_entry(path: str) -> _Entry | Skipped:
    try:
        path.encode()
    except UnicodeEncodeError:
        return Skipped(os.fsencode(path).decode(errors="replace"), "name is not UTF-8")
    try:
        status = os.stat(path)
    except OSError:  # A broken link, most often; opening it says what is wrong.
        return _Entry(path, None, None)
    if not stat.S_ISREG(status.st_mode):
        return Skipped(path, "not a regular file")
    return _Entry(path, status.st_size, str(status.st_mtime_ns))


def _is_deepest(glob: str, folder: str) -> bool:
    return "**" not in glob and folder.rstrip("/").count("/") >= glob.count("/") - 1


def _list_remote(source: Source) -> Iterator[_Entry]:
    exact = not source.is_directory and _is_file(source.pattern)
    list_entries = _list_cloud if is_cloud_uri(source.pattern) else _list_others
    for entry in list_entries(source, exact):
        is_wanted = entry.uri == source.pattern if exact else _matches(source, entry.uri)
        if is_wanted and not entry.uri.endswith("/"):  # How consoles make a "directory".
            yield entry


def _list_cloud(source: Source, exact: bool) -> Iterator[_Entry]:
    if source.is_directory:
        found = list_directory(source.root + "/")
    else:
        prefix = source.pattern if exact else _WILDCARD.split(source.pattern, maxsplit=1)[0]
        found = itertools.islice(list_objects(prefix), 1 if exact else None)
    for stored in found:
        yield _Entry(*stored)


def _list_others(source: Source, exact: bool) -> Iterator[_Entry]:
    pattern = _loose(source.pattern) if exact else _loose(source.root) + "/**"
    for found in FileSystems.match([pattern])[0].metadata_list:
        updated = found.last_updated_in_seconds
        yield _Entry(found.path, found.size_in_bytes, str(updated) if updated else None)


def _matches(source: Source, uri: str) -> bool:
    if source.is_directory:
        return uri.startswith(source.root + "/")
    return _glob_regex(source.pattern).match(uri) is not None


@functools.lru_cache(maxsize=64)
def _glob_regex(glob: str) -> re.Pattern[str]:
    # Beam's ** needs a directory in between; here, as in a shell, **/ also stands for none.
    return re.compile(FileSystem.translate_pattern(glob).replace(".*/", "(?:.*/)?"))


def _loose(uri: str) -> str:
    # Beam's globs have no way to quote: any character may stand where a wildcard is one.
    return _WILDCARD.sub("?", uri)


def _listed(entry: _Entry, source: Source) -> Listed:
    name = entry.uri.rpartition("/")[2]
    kind = source.kind
    if kind is ShardKind.IMAGES:
        kind = kind_of_name(name)
    if source.is_directory and (reason := _reason_to_skip(entry.uri, source.root, kind)):
        return Skipped(entry.uri, reason)
    if kind is ShardKind.IMAGES:
        return ImageFile(entry.uri, source.root, entry.size_bytes, entry.version)
    return InputFile(kind, entry.uri, source.root, entry.size_bytes or 0, entry.version)


def _reason_to_skip(uri: str, root: str, kind: ShardKind) -> str | None:
    if "/." in uri[len(root) :]:
        return "hidden"
    if kind is not ShardKind.IMAGES:
        return FILE_KINDS[kind].reason_to_skip(uri)
    extension = os.path.splitext(uri)[1].lower()
    return None if extension in IMAGE_EXTENSIONS else extension or "no extension"
