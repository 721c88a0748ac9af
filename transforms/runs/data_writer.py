"""One shard's data file: rows in, a Parquet or TFRecord file with its size and hash out."""

import contextlib
import hashlib
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.files import tf_examples, tf_record
from transforms.files.file_systems import create_as_stored
from transforms.schemas import EMBEDDING

ROW_GROUP_ROWS = 1024
"""Fixed, so that the bytes of a file do not depend on the batch size; 5 MB of 1280 numbers a row.

Files of 512 to 4096 are alike in size and in the time they take to write and read, and each thread
holds several copies of a group while it is encoded."""


class HashingStream:
    """A write-only stream that knows the size and sha256 of what went through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0
        self._is_discarded = False

    def write(self, data: bytes) -> int:
        """Writes data and returns its length."""
        if not self._is_discarded:
            self._stream.write(data)
        self._sha256.update(data)
        self.size_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Returns the bytes written so far."""
        return self.size_bytes

    def flush(self) -> None:
        """Does nothing: close flushes."""

    def close(self) -> None:
        """Closes the stream beneath; only then is the file there on an object store."""
        self._stream.close()

    def discard(self) -> None:
        """Closes the stream beneath; what is still written goes nowhere."""
        self._is_discarded = True
        with contextlib.suppress(OSError):  # A full disk is full at close, too.
            self._stream.close()

    @property
    def closed(self) -> bool:
        """Whether it takes no more writes."""
        return self._stream.closed and not self._is_discarded

    @property
    def sha256(self) -> str:
        """The hash of what was written, hexadecimal."""
        return self._sha256.hexdigest()


class RowWriter(Protocol):
    """A file format: takes rows of one schema, then ends the file."""

    def write(self, rows: pa.RecordBatch) -> None:
        """Writes rows, in order."""

    def finish(self) -> None:
        """Writes what is buffered and the footer; the stream stays open."""

    def abandon(self) -> None:
        """Writes nothing more."""


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


class TFRecordRows:
    """TFRecord of tf.Example, one a row, features named as the columns."""

    def __init__(self, stream: HashingStream, schema: pa.Schema) -> None:
        self._stream = stream

    def write(self, rows: pa.RecordBatch) -> None:
        """Writes one record a row."""
        for example in tf_examples.encode_examples(rows):
            tf_record.write_record(self._stream, example)

    def finish(self) -> None:
        """Does nothing: the format has no footer."""

    def abandon(self) -> None:
        """Does nothing: nothing is buffered."""


class OutputFile:
    """One data file on any file system, being written."""

    def __init__(self, path: str, schema: pa.Schema, output_format: str) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        stream = create_as_stored(path)
        self._stream = HashingStream(stream)
        formats: dict[str, type[RowWriter]] = {"parquet": ParquetRows, "tfrecord": TFRecordRows}
        self._writer = formats[output_format](self._stream, schema)  # type: ignore[call-arg]

    def write(self, rows: pa.RecordBatch) -> None:
        """Writes rows; their schema must be the file's."""
        if not rows.schema.equals(self.schema):
            raise ValueError(f"{self.path}: got rows of {rows.schema}, wanted {self.schema}")
        self._writer.write(rows)
        self.rows += rows.num_rows

    def close(self) -> tuple[int, str]:
        """Ends the file; returns its size in bytes and its sha256."""
        self._writer.finish()
        self._stream.close()
        return self._stream.size_bytes, self._stream.sha256

    def abandon(self) -> None:
        """Lets go of a file that nobody will read."""
        self._stream.discard()
        self._writer.abandon()


_UNIQUE_COLUMNS = frozenset({"image_id", "uri", "content_sha256", EMBEDDING})
"""Columns in which a dictionary would only repeat every value."""
