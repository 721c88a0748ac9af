"""Data files in Parquet, laid out for vectors."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.errors import CorruptRecordError
from transforms.files.file_systems import open_as_stored
from transforms.files.hashing_stream import HashingStream
from transforms.runs.formats.data_format import BATCH_ROWS, DataFormat
from transforms.schemas import CONTENT_SHA256, EMBEDDING, IMAGE_ID, URI

ROW_GROUP_ROWS = 1024
"""Fixed, so that the bytes of a file do not depend on the batch size; 5 MB of 1280 numbers a row.

Files of 512 to 4096 are alike in size and in the time they take to write and read, and each thread
holds several copies of a group while it is encoded."""

_UNIQUE_COLUMNS = frozenset({IMAGE_ID, URI, CONTENT_SHA256, EMBEDDING})
"""Columns in which a dictionary would only repeat every value."""


class ParquetRows:
    """Parquet, laid out for vectors.

    zstd, no dictionary and BYTE_STREAM_SPLIT for the vector column: the smallest and the fastest
    to read of what was measured on 2000 x 1280 features (docs/benchmarks.md). Vectors of float16
    are not split: it makes them hardly smaller, and DuckDB cannot read it.
    """

    def __init__(self, stream: HashingStream, schema: pa.Schema) -> None:
        self._schema = schema
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        is_split = (
            EMBEDDING in schema.names and schema.field(EMBEDDING).type.value_type == pa.float32()
        )
        self._writer = pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            use_dictionary=[name for name in schema.names if name not in _UNIQUE_COLUMNS],
            use_byte_stream_split=[f"{EMBEDDING}.list.element"] if is_split else False,
            write_statistics=[name for name in schema.names if name != EMBEDDING],
            store_schema=True,
        )

    def write(self, rows: pa.RecordBatch) -> None:
        """Buffers rows and writes full row groups."""
        # Batches of 600 rows: 600 wait; at 1200, 1024 are a group and 176 wait; and so on.
        self._pending.append(rows)
        self._pending_rows += rows.num_rows
        while self._pending_rows >= ROW_GROUP_ROWS:
            table = pa.Table.from_batches(self._pending, self._schema)
            self._write_group(table.slice(0, ROW_GROUP_ROWS))
            # Of the last batch only: what is written can go.
            rest = table.slice(ROW_GROUP_ROWS)
            self._pending, self._pending_rows = rest.to_batches(), rest.num_rows

    def finish(self) -> None:
        """Writes the last row group and the footer."""
        if self._pending_rows:
            self._write_group(pa.Table.from_batches(self._pending, self._schema))
        self._writer.close()

    def abandon(self) -> None:
        """Keeps pyarrow from writing the footer when the writer is deleted."""
        self._writer.is_open = False

    def _write_group(self, rows: pa.Table) -> None:
        # Pages end where chunks do: in one piece, the bytes do not depend on the batches.
        self._writer.write_table(rows.combine_chunks(), row_group_size=ROW_GROUP_ROWS)


def read_rows(
    path: str, columns: Sequence[str], carried: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """Reads columns of every row, in order; the footer says their types, so carried is not asked.

    Raises:
        CorruptRecordError: If the file lacks a column.
        pa.ArrowException, OSError: If it is damaged.
    """
    with open_as_stored(path) as stream:
        parquet = pq.ParquetFile(stream)
        missing = set(columns) - set(parquet.schema_arrow.names)
        if missing:
            raise CorruptRecordError(f"{path} has no column {min(missing)}")
        if not parquet.metadata.num_rows:
            fields = [parquet.schema_arrow.field(name) for name in columns]
            yield pa.RecordBatch.from_pylist([], schema=pa.schema(fields))
        for batch in parquet.iter_batches(BATCH_ROWS, columns=list(columns)):
            yield batch.select(list(columns))


def read_schema(path: str) -> pa.Schema:
    """Reads a file's schema; its metadata is what the footer says.

    Raises:
        pa.ArrowException, OSError: If the file is damaged.
    """
    with open_as_stored(path) as stream:
        return pq.ParquetFile(stream).schema_arrow


def read_names(path: str) -> set[str]:
    """Reads the names of a file's columns.

    Raises:
        pa.ArrowException, OSError: If the file is damaged.
    """
    return set(read_schema(path).names)


FORMAT = DataFormat(
    writer=ParquetRows, read_rows=read_rows, read_schema=read_schema, read_names=read_names
)
"""Parquet."""
