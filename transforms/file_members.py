"""Images out of TFRecord, Parquet and tar files by `file#index`, as failures.jsonl names them."""

import collections
import os
import re
from collections.abc import Iterable

import pyarrow as pa

from transforms.errors import CorruptRecordError, ImageError, NotFoundError
from transforms.file_columns import FileColumns
from transforms.file_readers import FILE_READERS
from transforms.listing import kind_of_name
from transforms.records import InputFile, ShardKind
from transforms.schemas import URI
from transforms.storage import is_local, open_uri

_MEMBER = re.compile(r"(.+)#(\d+)", re.DOTALL)
_ROWS_AT_A_TIME = 16


def is_member(uri: str) -> bool:
    """Tells whether a uri names an image inside a TFRecord, Parquet or tar file."""
    match = _MEMBER.fullmatch(uri)
    if match is None or kind_of_name(match[1]) is ShardKind.IMAGES:
        return False
    return not (is_local(uri) and os.path.exists(uri))


def read_members(
    uris: Iterable[str], columns: FileColumns, max_image_bytes: int
) -> dict[str, bytes | ImageError]:
    """Reads images out of files, each file once and no further than it must.

    Args:
        uris: For which is_member holds.
        columns: Which feature, column or field holds the image.
        max_image_bytes: Largest encoded image that is read.

    Returns:
        The encoded image, or what is wrong with it, by uri.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    wanted: collections.defaultdict[str, set[str]] = collections.defaultdict(set)
    for uri in uris:
        wanted[uri.rpartition("#")[0]].add(uri)
    found: dict[str, bytes | ImageError] = {}
    own = FileColumns(columns.image_key, "uri", pa.schema([]))
    for file_uri, members in wanted.items():
        try:
            found |= _read_file(file_uri, members, own, max_image_bytes)
        except ImageError as error:
            found |= dict.fromkeys(members, error)
    return found


def _read_file(
    uri: str, wanted: set[str], columns: FileColumns, max_image_bytes: int
) -> dict[str, bytes | ImageError]:
    with open_uri(uri) as handle:
        size_bytes = handle.seek(0, os.SEEK_END)
    kind = kind_of_name(uri)
    file = InputFile(kind, uri, uri.rpartition("/")[0], size_bytes)
    found: dict[str, bytes | ImageError] = {}
    missing: ImageError = NotFoundError(f"{uri} has no such record, row or sample")
    for part in FILE_READERS[kind](file, columns, _ROWS_AT_A_TIME, max_image_bytes):
        uris = part.rows.column(URI).to_pylist()
        images = zip(uris, part.encoded, strict=True)
        found |= {member: image for member, image in images if member in wanted}
        for failure in part.failures:
            error = CorruptRecordError(failure.message)
            if failure.uri in wanted:
                found[failure.uri] = error
            elif failure.uri == uri:  # The rest of the file cannot be read.
                missing = error
        if wanted <= found.keys():
            break
    return {member: found.get(member, missing) for member in wanted}
