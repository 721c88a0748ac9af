"""Images out of files that hold some, by `file#index`, as _failures.jsonl names them."""

import collections
import os
import re
from collections.abc import Iterable, Iterator

import pyarrow as pa

from transforms.errors import CorruptRecordError, ImageError, NotFoundError, UnavailableError
from transforms.failure import PASSING_REASONS, Failure
from transforms.files.uris import is_local, open_uri
from transforms.inputs.columns import FileColumns
from transforms.inputs.first_bytes import kind_of_file
from transforms.inputs.kinds import FILE_KINDS
from transforms.records import InputFile, ShardKind
from transforms.schemas import URI

_MEMBER = re.compile(r"(.+)#(\d+(?:\.\d+)?)", re.DOTALL)
_ROWS_AT_A_TIME = 16


def is_member(uri: str) -> bool:
    """Tells whether a uri names an image inside a TFRecord, Parquet, tar or zip file.

    /a/x.tar#3 does, its sample 3, unless there is a file of just that name; /a/x#3.jpg does not.
    So does what nobody can tell now, and reading it says why.

    Raises:
        OSError: If a storage without a store of ours fails.
    """
    match = _MEMBER.fullmatch(uri)
    if match is None or (is_local(uri) and os.path.exists(uri)):
        return False
    try:
        return kind_of_file(match[1]) is not ShardKind.IMAGES
    except UnavailableError:
        return True


def file_of(uri: str) -> str:
    """Returns the file that holds an image for which is_member holds."""
    return uri.rpartition("#")[0]


def stored_bytes(file: str) -> int:
    """Returns the size of a file.

    Raises:
        ImageError: If it is not there, or may not be read.
        OSError: If the storage fails.
    """
    with open_uri(file) as handle:
        return handle.seek(0, os.SEEK_END)


def read_members(
    uris: Iterable[str], columns: FileColumns, max_image_bytes: int
) -> Iterator[tuple[str, bytes | ImageError]]:
    """Reads images out of files, each file once and no further than it must.

    Args:
        uris: URIs for which is_member holds.
        columns: Feature, column or field that holds the image.
        max_image_bytes: Largest encoded image that is read, in bytes.

    Yields:
        Each uri and the encoded image, or what is wrong with it, in the order of the files.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    wanted: collections.defaultdict[str, set[str]] = collections.defaultdict(set)
    for uri in uris:
        wanted[file_of(uri)].add(uri)
    own = FileColumns(columns.image_key, "uri", pa.schema([]))
    for file_uri, members in wanted.items():
        missing: ImageError = NotFoundError(f"{file_uri} has no such record, row or sample")
        try:
            yield from _read_file(file_uri, members, own, max_image_bytes)
        except ImageError as error:
            missing = error
        for uri in members:
            yield uri, missing


def _read_file(
    uri: str, wanted: set[str], columns: FileColumns, max_image_bytes: int
) -> Iterator[tuple[str, bytes | ImageError]]:
    """Yields what is found of the wanted, and takes it out of them.

    Raises:
        ImageError: If the file, or the rest of it, cannot be read.
        OSError: If the storage fails.
    """
    kind = kind_of_file(uri)
    file = InputFile(kind, uri, uri.rpartition("/")[0], stored_bytes(uri))
    for part in FILE_KINDS[kind].read(file, columns, _ROWS_AT_A_TIME, max_image_bytes):
        failed = {failure.uri: _error_of(failure) for failure in part.failures}
        read = dict(zip(part.rows.column(URI).to_pylist(), part.encoded, strict=True))
        for member, found in (read | failed).items():
            if member in wanted:
                wanted.remove(member)
                yield member, found
        if not wanted:
            return
        if uri in failed:  # The rest of the file cannot be read.
            raise failed[uri]


def _error_of(failure: Failure) -> ImageError:
    may_pass = failure.reason in PASSING_REASONS
    return (UnavailableError if may_pass else CorruptRecordError)(failure.message)
