"""Parquet that others wrote, read a batch at a time in little memory, and its damage told apart.

Our own data files are read in transforms.runs.formats.parquet.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.errors import CorruptRecordError

_BUFFER_BYTES = 1 << 20
"""Read at a time; without a buffer, a column of a whole row group is read at once."""


def open_parquet(handle: BinaryIO) -> pq.ParquetFile:
    """Reads a Parquet file's footer; pages that have a checksum are held against it."""
    return pq.ParquetFile(
        handle, pre_buffer=False, buffer_size=_BUFFER_BYTES, page_checksum_verification=True
    )


def iter_batches(
    parquet: pq.ParquetFile, batch_size: int, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Reads the named columns, batch_size rows at a time."""
    yield from parquet.iter_batches(batch_size, columns=names, use_threads=False)


class BatchLimits(NamedTuple):
    """Where a batch ends.

    Attributes:
        rows: Rows that it has at most.
        size_bytes: Bytes of its columns with which it is full.
    """

    rows: int
    size_bytes: int


def iter_full_batches(
    parquet: pq.ParquetFile, limits: BatchLimits, names: Sequence[str], row_groups: Sequence[int]
) -> Iterator[pa.RecordBatch]:
    """Reads the named columns of some row groups, in batches of bounded memory.

    Rows are read one by one, and put together: what they take, the footer does not tell. A
    dictionary of one image of 100 MB, which is packed to some bytes, may stand for a million rows.
    It costs some 15 us a row.
    """
    rows = parquet.iter_batches(1, columns=names, row_groups=row_groups, use_threads=False)
    gathered: list[pa.RecordBatch] = []
    size_bytes = 0
    has_categories = any(map(pa.types.is_dictionary, parquet.schema_arrow.types))
    categories: dict[int, pa.Array] = {}
    try:
        for row in rows:
            size_bytes += sum(map(_own_bytes, row.columns)) if has_categories else row.nbytes
            gathered.append(_with_shared_categories(row, categories) if has_categories else row)
            if len(gathered) >= limits.rows or size_bytes >= limits.size_bytes:
                full, gathered, size_bytes = gathered, [], 0
                yield pa.concat_batches(full)
    except (OSError, ValueError, pa.ArrowException):
        if gathered:
            yield pa.concat_batches(gathered)
        raise
    if gathered:
        yield pa.concat_batches(gathered)


def _own_bytes(column: pa.Array) -> int:
    """Returns the bytes of a row; of a dictionary, which comes with all its values, of its own."""
    is_coded = pa.types.is_dictionary(column.type)
    return (column.dictionary_decode() if is_coded else column).nbytes


def _with_shared_categories(row: pa.RecordBatch, known: dict[int, pa.Array]) -> pa.RecordBatch:
    """Lets rows share the values of a dictionary, which come with each again, in their order.

    Images, which may be as large as a batch each, are given their own value alone.

    Args:
        row: A row.
        known: Values of the row before, by the column's place; updated.
    """
    for place, column in enumerate(row.columns):
        if not pa.types.is_dictionary(column.type):
            continue
        indices, values = column.indices, column.dictionary
        if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
            indices = pa.array([None if column.null_count else 0], indices.type)
            values = column.dictionary_decode().drop_null()  # Values are never null.
        elif place in known and known[place].equals(values):
            values = known[place]
        else:
            known[place] = values
        coded = pa.DictionaryArray.from_arrays(indices, values, ordered=column.type.ordered)
        row = row.set_column(place, row.schema.field(place), coded)
    return row


class DamagedRows(NamedTuple):
    """Rows that follow one another and cannot be read.

    Attributes:
        rows: Number of them.
        error: What is wrong with the first.
    """

    rows: int
    error: CorruptRecordError


def iter_past_damage(
    parquet: pq.ParquetFile, limits: BatchLimits, names: Sequence[str], row_groups: Sequence[int]
) -> Iterator[pa.RecordBatch | DamagedRows]:
    """Reads full batches; damage costs the rows behind it in its row group, and no others.

    Of groups of 4 rows, of which the second is damaged in its third page, in batches of 6:

        rows 0 to 5, together            damaged
        each group by itself from there  rows 0 to 3; 4 and 5, then two damaged rows; 8 to 11

    Raises:
        CorruptRecordError: If a page is damaged, and the footer lies about the rows of groups.
    """
    done = 0
    try:
        with damage_reported():
            for batch in iter_full_batches(parquet, limits, names, row_groups):
                done += batch.num_rows
                yield batch
            return
    except CorruptRecordError:
        rows = rows_of_groups(parquet.metadata)
        if min(rows, default=0) < 0 or sum(rows) != parquet.metadata.num_rows:
            raise
    for group in row_groups:
        known = min(done, rows[group])
        done -= known
        yield from _iter_group(parquet, limits, names, group, known)


def _iter_group(
    parquet: pq.ParquetFile, limits: BatchLimits, names: Sequence[str], group: int, known: int
) -> Iterator[pa.RecordBatch | DamagedRows]:
    """Reads a row group behind the rows that are known; at last come those that are damaged."""
    count, place = parquet.metadata.row_group(group).num_rows, 0
    if known == count:
        return
    error = CorruptRecordError(f"the footer promises {count} rows in a row group, there are fewer")
    try:
        with damage_reported():
            for batch in iter_full_batches(parquet, limits, names, [group]):
                place += batch.num_rows
                if place > known:
                    yield batch.slice(max(batch.num_rows - (place - known), 0))
    except CorruptRecordError as damage:
        error = damage
    if count > max(place, known):
        yield DamagedRows(count - max(place, known), error)


def rows_of_groups(footer: pq.FileMetaData) -> list[int]:
    """Returns the number of rows in each row group."""
    return [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]


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
