"""One shard's data file, being written: rows in, a file with its size and hash out."""

import pyarrow as pa

from transforms.files.file_systems import create_as_stored
from transforms.files.hashing_stream import HashingStream
from transforms.runs.formats.registry import format_named


class OutputFile:
    """One data file on any file system, being written.

    Args:
        path: Path or URI that it is to have.
        schema: Columns of the file; what the metadata says is noted in it, if its format can.
        output_format: Name of its format, one of transforms.runs.formats.FORMATS.
    """

    def __init__(self, path: str, schema: pa.Schema, output_format: str) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        self._stream = HashingStream(create_as_stored(path))
        self._writer = format_named(output_format).writer(self._stream, schema)

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
