"""Image ids inside finished data files: small digests to compare, and the ids themselves."""

import hashlib
from collections.abc import Iterable, Iterator

from transforms.runs.data_file import iter_rows
from transforms.schemas import IMAGE_ID, URI


def digest_ids(image_ids: Iterable[str]) -> bytes:
    """Returns the 64-bit digests of ids as uint64 bytes; equal ids have equal digests."""
    return b"".join(hashlib.blake2b(i.encode(), digest_size=8).digest() for i in image_ids)


def read_ids(path: str) -> Iterator[tuple[str, str]]:
    """Reads (image_id, uri) of every row of a data file, in order."""
    for rows in iter_rows(path, [IMAGE_ID, URI]):
        yield from zip(*(column.to_pylist() for column in rows.columns), strict=True)


def digests_in(path: str) -> bytes:
    """Returns the digests of the ids in a data file, in order of the rows."""
    return b"".join(digest_ids(rows.column(0).to_pylist()) for rows in iter_rows(path, [IMAGE_ID]))
