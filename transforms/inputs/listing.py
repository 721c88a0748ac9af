"""What an --input is, and the files it stands for."""

import dataclasses
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from transforms.errors import (
    InputError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from transforms.files.file_uris import path_of_uri, uri_of_path, without_file_scheme
from transforms.files.uris import is_local
from transforms.files.web.urls import is_web_uri
from transforms.inputs.braces import expand_braces
from transforms.inputs.entries import Entry, ImageFile, Listed, Skipped, Unlisted
from transforms.inputs.extensions import IMAGE_EXTENSIONS
from transforms.inputs.first_bytes import is_told_by_name, kind_of_file, tell_apart
from transforms.inputs.glob_pattern import fixed_part, glob_regex, has_wildcards, quoted
from transforms.inputs.kinds import FILE_KINDS, kind_of_glob, kind_of_name
from transforms.inputs.local_listing import list_local
from transforms.inputs.metadata_files import without_metadata
from transforms.inputs.remote_listing import (
    is_remote_directory,
    is_remote_file,
    list_remote,
    refusal,
)
from transforms.inputs.source import Source
from transforms.inputs.text_file import check_is_no_text
from transforms.inputs.web_images import classify_web, list_web
from transforms.records import InputFile, ShardKind

LOOKS_AT_ONCE = 32
"""Of the names that braces stand for: an object store takes its time for each look."""

_TABLES = (ShardKind.PARQUET, ShardKind.TFRECORD)
_BESIDE_TABLES = re.compile(r"/_[^/=]*(/|$)")
"""Names that Hadoop and Spark read past, such as _delta_log/ and the attempts of _temporary/.

A partition of Hive, such as _year=2024/, is data.

Source: hiddenFileFilter in Hadoop's FileInputFormat, shouldFilterOutPathName in Spark's
    HadoopFSUtils.
"""


def classify_inputs(
    uri: str,
    input_format: ShardKind | None = None,
    *,
    excluded: tuple[str, ...] = (),
    follows_links: bool = False,
) -> list[Source]:
    """Tells what an --input is, and what each name that its braces stand for is.

    {00000..00010}.tar is eleven inputs, as a shell would make of it, unless a file or directory has
    that very name.

    Args:
        uri: The --input.
        input_format: Kind that the user says its files are of; None if that is to be told.
        excluded: Globs of what is passed over.
        follows_links: Whether to take what links to local directories lead to.

    Raises:
        InputError: As classify_input, also if one of the names is not there.
    """
    names = expand_braces(uri)
    if names == [uri] or (not is_web_uri(uri) and _is_there(uri)):
        names = [uri]
    with ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="braces") as threads:
        found = threads.map(lambda name: classify_input(name, input_format), names)
        return [
            dataclasses.replace(source, excluded=excluded, follows_links=follows_links)
            for source in found
        ]


def classify_input(uri: str, input_format: ShardKind | None = None) -> Source:
    """Tells what an --input is, by its name and a cheap look.

    A local path becomes absolute: then ids and manifests do not depend on where the program is
    started, and overlapping inputs are found out.

    Args:
        uri: The --input.
        input_format: Kind that the user says its files are of; None if that is to be told.

    Raises:
        InputError: If there is no such file, the glob matches nothing, the scheme is unknown, or
            the bucket is not there or may not be listed.
    """
    try:
        if is_web_uri(uri):
            return classify_web(uri, input_format)
        path = without_file_scheme(uri)
        if not path or not is_local(path):
            return _classify(path, input_format)
        above = "" if os.path.isabs(path) else os.getcwd()
        return _classify(os.path.abspath(path), input_format, above)
    except (OSError, ValueError, NotFoundError, PermissionDeniedError, UnavailableError) as error:
        raise _cannot_be_listed(uri, error) from error


def list_source(source: Source) -> Iterator[Listed]:
    """Lists the files of an input, directory by directory, names in order.

    A directory gives the files whose names say that they hold images; a glob or a named file gives
    everything that matches, but for hidden files that it does not ask for. What is left out comes
    as Skipped, to be counted. A directory that cannot be listed comes as Unlisted, unless it is
    hidden. So does a file in one whose name does not say what it holds, and that cannot be read.
    Of a directory /d:

        Entry("/d/a.jpg", 9, "1")  -> ImageFile("/d/a.jpg", "/d", 9, "1")
        Entry("/d/b.tar", 9, "1")  -> InputFile(TAR, "/d/b.tar", "/d", 9, "1")
        Entry("/d/c.txt", 9, "1")  -> Skipped("/d/c.txt", ".txt")

    Parquet that has no column of bytes is left out where there is something else; see
    metadata_files.

    Raises:
        InputError: If a store may not be listed, or fails for minutes.
    """
    listed = _list_entries(source)
    yield from without_metadata(listed) if source.is_directory else listed


def list_telling_empty(source: Source) -> Iterator[Listed | Source]:
    """Lists as list_source does; an input of nothing but what is passed over comes last, itself.

    Raises:
        InputError: As list_source.
    """
    is_empty = True
    for found in list_source(source):
        is_empty = is_empty and isinstance(found, Skipped)
        yield found
    if is_empty:
        yield source


def _list_entries(source: Source) -> Iterator[Listed]:
    untold: list[Entry] = []
    try:
        for entry in _entries(source):
            match entry:
                case Entry() if _must_be_asked(entry, source):
                    untold.append(entry)
                case Entry():
                    yield listed_as(entry, source)
                case Unlisted() if _is_hidden(entry.uri, source):
                    yield Skipped(entry.uri, "hidden")
                case _:
                    yield entry
        for entry, kind, refused in tell_apart(untold):
            if refused and source.is_directory:
                yield Unlisted(entry.uri, f"{refused} (it has no known extension)")
            else:  # What a glob asks for is an image then: reading it says what is wrong.
                yield listed_as(entry, source, kind)
    except (NotFoundError, PermissionDeniedError, OSError) as error:
        raise _cannot_be_listed(source.pattern, error) from error


def _is_there(uri: str) -> bool:
    """Whether a uri is an input as it is written."""
    try:
        return bool(classify_input(uri))
    except InputError:
        return False


def _entries(source: Source) -> Iterator[Entry | Skipped | Unlisted]:
    if is_web_uri(source.pattern):
        return list_web(source)
    return list_local(source) if is_local(source.pattern) else list_remote(source)


def _must_be_asked(entry: Entry, source: Source) -> bool:
    """Whether neither the user nor a file's name says what it holds."""
    if source.format is not None or source.kind is not ShardKind.IMAGES:
        return False
    is_hidden = _is_hidden(entry.uri, source)
    return entry.size_bytes is not None and not is_hidden and not is_told_by_name(entry.uri)


def _classify(uri: str, told: ShardKind | None, above: str = "") -> Source:
    """Tells what an absolute path or a URI is; no wildcard in the directory above is one."""
    if is_local(uri):
        _check_can_be_listed(uri)
    if os.path.isdir(uri) if is_local(uri) else is_remote_directory(uri):
        folder = uri.rstrip("/")
        return Source(ShardKind.IMAGES, folder or "/", folder, is_directory=True, format=told)
    if os.path.exists(uri) if is_local(uri) else is_remote_file(uri):
        kind = told or kind_of_file(uri)
        if kind is ShardKind.IMAGES and is_local(uri):
            check_is_no_text(uri)
        if not is_told_by_name(uri):  # It is not looked into again when it is listed.
            told = kind
        return Source(kind, uri, uri.rpartition("/")[0], is_directory=False, format=told)
    if not has_wildcards(uri):
        raise InputError(f"--input {uri!r}: no such file or directory; check the spelling")
    source = _glob(uri, told, above)
    glob_regex(source.pattern)  # Raises if it is none.
    is_nowhere = is_local(uri) and not os.path.exists(source.root or "/")
    if is_nowhere or next(_entries(source), None) is None:
        brackets = ", [[] for a bracket" if "[" in uri[len(_common(uri, above)) :] else ""
        raise InputError(
            f"--input {uri!r}: the glob matches no file; check the spelling, write **/ to look "
            f"into subdirectories{brackets}, or name a directory to take all of it"
        )
    return source


def _glob(uri: str, told: ShardKind | None, above: str) -> Source:
    """Takes a uri for a glob, of /[x]/*.jpg in /[x] as it is, with the root /[x]."""
    fixed = _common(uri, above)
    rest = uri[len(fixed) :]
    root = (fixed + fixed_part(rest)).rpartition("/")[0]
    kind = told or kind_of_glob(uri)
    return Source(kind, quoted(fixed) + rest, root, is_directory=False, format=told)


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
    return InputError(f"--input {uri!r} cannot be listed: {refusal(error)}")


def listed_as(
    entry: Entry, source: Source, kind: ShardKind | None = None
) -> ImageFile | InputFile | Skipped:
    """Tells what a file of an input is.

    Args:
        entry: The file.
        source: The input.
        kind: Kind of the file, if it is known otherwise; None if its name or the user tells.
    """
    if _is_hidden(entry.uri, source):
        return Skipped(entry.uri, "hidden")
    if kind is None:
        kind = _told_kind(entry.uri, source)
    if source.is_directory and (reason := _reason_to_skip(entry.uri, source, kind)):
        return Skipped(entry.uri, reason)
    if kind is ShardKind.IMAGES:
        return ImageFile(entry.uri, source.root, entry.size_bytes, entry.version)
    return InputFile(kind, entry.uri, source.root, entry.size_bytes or 0, entry.version)


def _is_hidden(uri: str, source: Source) -> bool:
    """Whether a dot begins a name below the root, and no glob asks for such, as a shell has it."""
    asks = not source.is_directory and source.pattern.count("/.") > source.root.count("/.")
    return not asks and "/." in path_of_uri(uri)[len(source.root) :]


def _told_kind(uri: str, source: Source) -> ShardKind:
    """Tells by the user or the name what a file holds; in a directory, the name goes first."""
    if source.format is not None and source.is_directory and not is_told_by_name(uri):
        return source.format
    if source.kind is not ShardKind.IMAGES or (source.format and not source.is_directory):
        return source.kind
    return kind_of_name(uri)


def _reason_to_skip(uri: str, source: Source, kind: ShardKind) -> str | None:
    extension = os.path.splitext(uri)[1].lower()
    if source.format not in (None, kind):
        return extension or "no extension"
    if kind in _TABLES and _BESIDE_TABLES.search(path_of_uri(uri)[len(source.root) :]):
        return "hidden"
    if kind is not ShardKind.IMAGES:
        return None if source.format else FILE_KINDS[kind].reason_to_skip(uri)
    is_image = extension in IMAGE_EXTENSIONS or (source.format and not is_told_by_name(uri))
    return None if is_image else extension or "no extension"
