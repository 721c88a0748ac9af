"""Files of an --input on object stores, and on what Beam alone knows.

A store has no directories: names with slashes are sorted as they are, and a folder is their prefix.
"""

import itertools
from collections.abc import Iterator

from transforms.errors import NotFoundError, PermissionDeniedError
from transforms.files.directory_listing import list_directory
from transforms.files.file_systems import FileSystems
from transforms.files.object_store import ObjectStore, StoredObject
from transforms.files.stores import store_of
from transforms.inputs.entries import EXCLUDED, Entry, Skipped
from transforms.inputs.glob_pattern import fixed_part, has_wildcards, with_any_character
from transforms.inputs.source import Source


def list_remote(source: Source) -> Iterator[Entry | Skipped]:
    """Lists the objects that an input stands for, in the store's order.

    What is excluded comes as Skipped, a directory once for all below it.

    Raises:
        NotFoundError, PermissionDeniedError: If there is no such bucket, or it is closed.
        OSError: If the store fails.
    """
    # A name may hold wildcards; one without them is a file even if it went away since.
    exact = not source.is_directory and (
        not has_wildcards(source.pattern) or is_remote_file(source.pattern)
    )
    store = store_of(source.pattern)
    listed = _list_beams(source, exact) if store is None else _list_store(store, source, exact)
    passed_over = None
    for entry in listed:
        is_wanted = entry.uri == source.pattern if exact else source.matches(entry.uri)
        if isinstance(entry, Skipped):
            yield entry
        elif not is_wanted or entry.uri.endswith("/"):  # How consoles make a "directory".
            continue
        elif (part := source.excluded_part(entry.uri)) is None:
            yield entry
        elif part != passed_over:  # What a directory holds is listed in a row.
            passed_over = part
            yield Skipped(part, EXCLUDED)


def is_remote_directory(uri: str) -> bool:
    """Tells whether there are objects below a uri, or it is a bucket.

    Raises:
        NotFoundError, PermissionDeniedError, OSError: As list_remote.
        ValueError: If the scheme is unknown.
    """
    if (store := store_of(uri)) is not None:
        folder = uri.rstrip("/") + "/"
        is_empty = next(store.list_objects(folder), None) is None
        return not is_empty or folder == store.bucket_of(folder) + "/"  # It could be listed.
    below = with_any_character(uri.rstrip("/")) + "/**"
    return not has_wildcards(uri) and bool(FileSystems.match([below], [1])[0].metadata_list)


def is_remote_file(uri: str) -> bool:
    """Tells whether there is an object of exactly this name.

    Raises:
        NotFoundError, PermissionDeniedError, OSError: As list_remote.
    """
    if (store := store_of(uri)) is None:
        return FileSystems.exists(uri)
    # Of names that start alike, the shortest comes first. A look at it alone, which is not there,
    # would not tell of a bucket that is not.
    first = next(store.list_objects(uri), None)
    return first is not None and first.uri == uri


def refusal(error: Exception) -> str:
    """Says in a line why a store refuses to be listed."""
    if isinstance(error, NotFoundError):  # An object that is not there is no error in a listing.
        bucket = str(error).partition(": ")[0]
        return f"there is no bucket {bucket}; check the spelling"
    if isinstance(error, PermissionDeniedError):
        bucket, _, reason = str(error).partition(": ")
        return f"{bucket} is closed: {reason}"
    if isinstance(error, PermissionError):
        return f"{(error.strerror or str(error)).lower()}; whoever runs this must be let in"
    # BeamIOError has what the store itself said, once a glob. It is not imported: that takes 2 s.
    if details := getattr(error, "exception_details", None):
        return refusal(next(iter(details.values())))
    return " ".join(str(error).split()) or type(error).__name__


def _list_store(store: ObjectStore, source: Source, exact: bool) -> Iterator[Entry | Skipped]:
    found: Iterator[StoredObject | str]
    if source.is_directory:
        found = list_directory(store, source.root + "/", source.excludes_directory)
    else:
        prefix = source.pattern if exact else fixed_part(source.pattern)
        found = itertools.islice(store.list_objects(prefix), 1 if exact else None)
    for stored in found:
        if isinstance(stored, str):
            yield Skipped(stored.rstrip("/"), EXCLUDED)
        else:
            yield Entry(stored.uri, stored.size_bytes, stored.version)


def _list_beams(source: Source, exact: bool) -> Iterator[Entry]:
    at = source.pattern if exact else source.root
    pattern = with_any_character(at) + ("" if exact else "/**")
    for found in FileSystems.match([pattern])[0].metadata_list:
        updated = found.last_updated_in_seconds
        yield Entry(found.path, found.size_in_bytes, str(updated) if updated else None)
