"""What must be known of a format for data files to be written and read in it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from transforms.files.hashing_stream import HashingStream

BATCH_ROWS = 1024
"""Rows read at a time, at most."""


class RowWriter(Protocol):
    """A writer of one file: takes rows of one schema, then ends the file."""

    def write(self, rows: pa.RecordBatch) -> None:
        """Writes rows of the writer's schema after those before."""

    def finish(self) -> None:
        """Writes what is buffered and the footer; the stream stays open."""

    def abandon(self) -> None:
        """Drops what is buffered; the file is not finished."""


def _any_columns(carried: pa.Schema) -> None:
    """Accepts carried columns of any type."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataFormat:
    """A format of data files; the name of its module is its own, and what file names end in.

    Attributes:
        writer: The maker of a writer: of a stream, for rows of a schema.
        read_rows: The reader of some columns of every row of the file at a path, at most BATCH_ROWS
            at a time; of a file without rows, one empty batch. It is told the types of the carried
            columns as _run.json names them, in case the file does not say. Raises ImageError if the
            file lacks a column, or that, pa.ArrowException or OSError if it is damaged.
        read_schema: The reader of the schema that a file holds, with what the run noted in it as
            metadata; None if files of the format hold none. Raises as read_rows.
        read_names: The reader of the names of all columns that some row has. Raises as read_rows.
        check_carried: The check, before a run, that the format can hold the carried columns. Raises
            OutputError.
    """

    writer: Callable[[HashingStream, pa.Schema], RowWriter]
    read_rows: Callable[[str, Sequence[str], Mapping[str, str]], Iterator[pa.RecordBatch]]
    read_schema: Callable[[str], pa.Schema | None]
    read_names: Callable[[str], set[str]]
    check_carried: Callable[[pa.Schema], None] = _any_columns
