"""A finished data file, read back: the same columns, whatever its format."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from transforms.runs.formats.registry import format_of


def iter_rows(
    path: str, columns: Sequence[str], carried: Mapping[str, str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Reads columns of every row of a data file, in order, at most BATCH_ROWS at a time.

    The vector of a TFRecord is a list, of a Parquet file a list of fixed size. A file without rows
    gives one empty batch.

    Args:
        path: The data file; its name's end says the format.
        columns: Some of the output's own columns, and carried ones.
        carried: Types of those that are carried, as _run.json names them. Those of a TFRecord come
            back as lists, null where a record has none of the name.

    Raises:
        ImageError: At a damaged record, or if it lacks a column, or is of no known format.
        pa.ArrowException, OSError: If the file is damaged.
    """
    yield from format_of(path).read_rows(path, columns, carried or {})


def read_schema(path: str) -> pa.Schema | None:
    """Reads a data file's schema, if its format keeps one; its metadata is what the run noted.

    Raises:
        ImageError: If it is of no known format.
        pa.ArrowException, OSError: If the file is damaged.
    """
    return format_of(path).read_schema(path)
