"""Parquet that others wrote, read a batch at a time in little memory, and its damage told apart.

Our own data files are read in transforms.runs.formats.parquet.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.errors import CorruptRecordError

_BUFFER_BYTES = 1 << 20
"""Read at a time; without a buffer, a column of a whole row group is read at once."""


def open_parquet(handle: BinaryIO) -> pq.ParquetFile:
    """Reads a Parquet file's footer."""
    return pq.ParquetFile(handle, pre_buffer=False, buffer_size=_BUFFER_BYTES)


def iter_batches(
    parquet: pq.ParquetFile,
    batch_size: int,
    names: Sequence[str],
    row_groups: Sequence[int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Reads the named columns, batch_size rows at a time, of all row groups or of some."""
    yield from parquet.iter_batches(
        batch_size, columns=names, row_groups=row_groups, use_threads=False
    )


def rows_that_fit(footer: pq.FileMetaData, size_bytes: int) -> int:
    """Returns how many rows of mean size so many bytes hold, by what the footer says; at least one.

    Of 1,000 rows in 1.2 GB, which are 1.2 MB each, 24 MiB hold 20.
    """
    groups = range(footer.num_row_groups)
    total_bytes = sum(footer.row_group(group).total_byte_size for group in groups)
    return max(1, size_bytes * footer.num_rows // max(1, total_bytes))


@contextlib.contextmanager
def damage_reported() -> Iterator[None]:
    """Turns what Arrow says of a damaged file into CorruptRecordError.

    Arrow's own OSError is plain, as OSError("Couldn't deserialize thrift: ..."), without errno: it
    becomes CorruptRecordError, the failure of one file. The storage's, as
    OSError(5, "Input/output error"), goes on as it is: the bundle is tried again.
    """
    try:
        yield
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise
        raise CorruptRecordError(f"damaged Parquet: {error}") from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise CorruptRecordError(f"damaged Parquet: {error}") from error
