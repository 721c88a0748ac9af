"""Image ids inside finished data files: small digests to compare, and the ids themselves."""

import hashlib
from collections.abc import Iterable, Iterator

import pyarrow.parquet as pq
from apache_beam.io.filesystems import FileSystems

from transforms.schemas import IMAGE_ID, URI
from transforms.tf_examples import BYTES, ExampleDecoder
from transforms.tf_record import DamagedRecord, open_tfrecord, read_records

MAX_ROW_BYTES = 1 << 30
"""Largest row that is read back: far above a vector of any model."""


def digest_ids(image_ids: Iterable[str]) -> bytes:
    """Returns the 64-bit digests of ids as uint64 bytes; equal ids have equal digests."""
    return b"".join(hashlib.blake2b(i.encode(), digest_size=8).digest() for i in image_ids)


def read_ids(path: str) -> Iterator[tuple[str, str]]:
    """Reads (image_id, uri) of every row of a data file, in order."""
    if path.endswith(".parquet"):
        with FileSystems.open(path) as stream:
            for rows in pq.ParquetFile(stream).iter_batches(columns=[IMAGE_ID, URI]):
                yield from zip(*(column.to_pylist() for column in rows.columns), strict=True)
        return
    decoder = ExampleDecoder({IMAGE_ID: BYTES, URI: BYTES})
    with open_tfrecord(path) as stream:
        for record in read_records(stream, max_record_bytes=MAX_ROW_BYTES):
            if isinstance(record, DamagedRecord):
                raise record.error
            table, _ = decoder.decode([record.data])
            yield tuple(table[name][0].as_py()[0].decode() for name in (IMAGE_ID, URI))
