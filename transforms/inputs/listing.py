"""What an --input is, and the files it stands for."""

import os
from collections.abc import Iterator

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from transforms.errors import InputError
from transforms.files.file_uris import path_of_uri, uri_of_path, without_file_scheme
from transforms.files.uris import is_local
from transforms.inputs.entries import Entry, ImageFile, Listed, Skipped, Unlisted
from transforms.inputs.extensions import IMAGE_EXTENSIONS
from transforms.inputs.glob_pattern import fixed_part, glob_regex, has_wildcards, quoted
from transforms.inputs.kinds import FILE_KINDS, kind_of_glob, kind_of_name
from transforms.inputs.local_listing import list_local
from transforms.inputs.remote_listing import (
    is_remote_directory,
    is_remote_file,
    list_remote,
    refusal,
)
from transforms.inputs.source import Source
from transforms.inputs.text_file import check_is_no_text
from transforms.records import InputFile, ShardKind


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
        if not path or not is_local(path):
            return _classify(path)
        above = "" if os.path.isabs(path) else os.getcwd()
        return _classify(os.path.abspath(path), above)
    except (OSError, ValueError, GoogleAPIError, GoogleAuthError) as error:
        raise _cannot_be_listed(uri, error) from error


def list_source(source: Source) -> Iterator[Listed]:
    """Lists the files of an input, directory by directory, names in order.

    A directory gives the files whose names say that they hold images; a glob or a named file gives
    everything that matches. What is left out comes as Skipped, to be counted; a directory that
    cannot be listed as Unlisted, unless it is hidden. Of a directory /d:

        Entry("/d/a.jpg", 9, "1")  -> ImageFile("/d/a.jpg", "/d", 9, "1")
        Entry("/d/b.tar", 9, "1")  -> InputFile(TAR, "/d/b.tar", "/d", 9, "1")
        Entry("/d/c.txt", 9, "1")  -> Skipped("/d/c.txt", ".txt")

    Raises:
        InputError: If a bucket may not be listed, or its storage fails for minutes.
    """
    entries = list_local(source) if is_local(source.pattern) else list_remote(source)
    try:
        for entry in entries:
            match entry:
                case Entry():
                    yield listed_as(entry, source)
                case Unlisted() if source.is_directory and _is_hidden(entry.uri, source.root):
                    yield Skipped(entry.uri, "hidden")
                case _:
                    yield entry
    except (GoogleAPIError, GoogleAuthError) as error:
        raise _cannot_be_listed(source.pattern, error) from error


def _classify(uri: str, above: str = "") -> Source:
    """Tells what an absolute path or a URI is; no wildcard in the directory above is one."""
    if is_local(uri):
        _check_can_be_listed(uri)
    if os.path.isdir(uri) if is_local(uri) else is_remote_directory(uri):
        folder = uri.rstrip("/")
        return Source(ShardKind.IMAGES, folder or "/", folder, is_directory=True)
    if os.path.exists(uri) if is_local(uri) else is_remote_file(uri):
        kind = kind_of_name(uri)
        if kind is ShardKind.IMAGES and is_local(uri):
            check_is_no_text(uri)
        return Source(kind, uri, uri.rpartition("/")[0], is_directory=False)
    if not has_wildcards(uri):
        raise InputError(f"--input {uri!r}: no such file or directory; check the spelling")
    source = _glob(uri, above)
    glob_regex(source.pattern)  # Raises if it is none.
    is_nowhere = is_local(uri) and not os.path.exists(source.root or "/")
    if is_nowhere or next(list_source(source), None) is None:
        brackets = ", [[] for a bracket" if "[" in uri[len(_common(uri, above)) :] else ""
        raise InputError(
            f"--input {uri!r}: the glob matches no file; check the spelling, write **/ to look "
            f"into subdirectories{brackets}, or name a directory to take all of it"
        )
    return source


def _glob(uri: str, above: str) -> Source:
    """Takes a uri for a glob, of /[x]/*.jpg in /[x] as it is, with the root /[x]."""
    fixed = _common(uri, above)
    rest = uri[len(fixed) :]
    root = (fixed + fixed_part(rest)).rpartition("/")[0]
    return Source(kind_of_glob(uri), quoted(fixed) + rest, root, is_directory=False)


def _common(uri: str, above: str) -> str:
    """Returns the part of a uri that is the directory above it; of ../x, a part of that."""
    if not above:
        return ""
    return os.path.commonpath([uri, above]).rstrip("/") + "/"


def _check_can_be_listed(path: str) -> None:
    """Raises OSError or InputError for a local path that nothing can be said of, not even no."""
    if uri_of_path(path) != path:
        raise InputError(
            f"--input {path!r}: the name is not UTF-8; rename it, or name a directory above it: "
            "such names are read there"
        )
    try:
        os.lstat(path)
        if os.path.isdir(path):
            os.scandir(path).close()
    except (FileNotFoundError, NotADirectoryError):
        return


def _cannot_be_listed(uri: str, error: Exception) -> InputError:
    return InputError(f"--input {uri!r} cannot be listed: {refusal(uri, error)}")


def listed_as(entry: Entry, source: Source) -> ImageFile | InputFile | Skipped:
    """Tells what a file of an input is, by its name."""
    kind = source.kind
    if kind is ShardKind.IMAGES:
        kind = kind_of_name(entry.uri)
    if source.is_directory and (reason := _reason_to_skip(entry.uri, source.root, kind)):
        return Skipped(entry.uri, reason)
    if kind is ShardKind.IMAGES:
        return ImageFile(entry.uri, source.root, entry.size_bytes, entry.version)
    return InputFile(kind, entry.uri, source.root, entry.size_bytes or 0, entry.version)


def _is_hidden(uri: str, root: str) -> bool:
    return "/." in path_of_uri(uri)[len(root) :]


def _reason_to_skip(uri: str, root: str, kind: ShardKind) -> str | None:
    if _is_hidden(uri, root):
        return "hidden"
    if kind is not ShardKind.IMAGES:
        return FILE_KINDS[kind].reason_to_skip(uri)
    extension = os.path.splitext(uri)[1].lower()
    return None if extension in IMAGE_EXTENSIONS else extension or "no extension"
