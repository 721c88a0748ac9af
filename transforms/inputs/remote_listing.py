"""Files of an --input on object stores: gs:// by its own listing, all else through Beam's.

A store has no directories: names with slashes are sorted as they are, and a folder is their prefix.
"""

import itertools
from collections.abc import Iterator

from google.api_core.exceptions import Forbidden, NotFound, Unauthorized

from transforms.files.cloud_storage import is_cloud_uri, list_directory, list_objects
from transforms.files.file_systems import FileSystems
from transforms.inputs.entries import Entry
from transforms.inputs.glob_pattern import fixed_part, has_wildcards, with_any_character
from transforms.inputs.source import Source


def list_remote(source: Source) -> Iterator[Entry]:
    """Lists the objects that an input stands for, in the store's order.

    Raises:
        GoogleAPIError, GoogleAuthError: If gs:// cannot be listed.
        OSError: If another store cannot be.
    """
    # A name may hold wildcards; one without them is a file even if it went away since.
    exact = not source.is_directory and (
        not has_wildcards(source.pattern) or is_remote_file(source.pattern)
    )
    list_entries = _list_cloud if is_cloud_uri(source.pattern) else _list_others
    for entry in list_entries(source, exact):
        is_wanted = entry.uri == source.pattern if exact else source.matches(entry.uri)
        if is_wanted and not entry.uri.endswith("/"):  # How consoles make a "directory".
            yield entry


def is_remote_directory(uri: str) -> bool:
    """Tells whether there are objects below a uri, or it is a bucket.

    Raises:
        GoogleAPIError, GoogleAuthError, OSError: As list_remote.
        ValueError: If the scheme is unknown.
    """
    if is_cloud_uri(uri):
        folder = uri.rstrip("/") + "/"
        is_bucket = folder.count("/") == 3  # There, also if it is empty: it could be listed.
        return next(list_objects(folder), None) is not None or is_bucket
    below = with_any_character(uri.rstrip("/")) + "/**"
    return not has_wildcards(uri) and bool(FileSystems.match([below], [1])[0].metadata_list)


def is_remote_file(uri: str) -> bool:
    """Tells whether there is an object of exactly this name.

    Raises:
        GoogleAPIError, GoogleAuthError, OSError: As list_remote.
    """
    if not is_cloud_uri(uri):
        return FileSystems.exists(uri)
    first = next(list_objects(uri), None)  # Of names that start alike, the shortest comes first.
    return first is not None and first.uri == uri


def refusal(uri: str, error: Exception) -> str:
    """Says in a line why a store refuses to be listed."""
    bucket = "/".join(uri.split("/")[:3])
    if isinstance(error, NotFound):  # An object that is not there is no error in a listing.
        return f"there is no bucket {bucket}; check the spelling"
    if isinstance(error, Forbidden | Unauthorized) and error.errors:
        # Who lacks which permission; the error itself starts with the request's long URL.
        return f"{bucket} is closed: {error.errors[0]['message']}"
    if isinstance(error, PermissionError):
        return f"{(error.strerror or str(error)).lower()}; whoever runs this must be let in"
    # BeamIOError has what the store itself said, once a glob. It is not imported: that takes 2 s.
    if details := getattr(error, "exception_details", None):
        return refusal(uri, next(iter(details.values())))
    return " ".join(str(error).split()) or type(error).__name__


def _list_cloud(source: Source, exact: bool) -> Iterator[Entry]:
    if source.is_directory:
        found = list_directory(source.root + "/")
    else:
        prefix = source.pattern if exact else fixed_part(source.pattern)
        found = itertools.islice(list_objects(prefix), 1 if exact else None)
    for stored in found:
        yield Entry(*stored)


def _list_others(source: Source, exact: bool) -> Iterator[Entry]:
    at = source.pattern if exact else source.root
    pattern = with_any_character(at) + ("" if exact else "/**")
    for found in FileSystems.match([pattern])[0].metadata_list:
        updated = found.last_updated_in_seconds
        yield Entry(found.path, found.size_in_bytes, str(updated) if updated else None)
