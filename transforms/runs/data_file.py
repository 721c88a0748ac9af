"""A finished data file, read back: Parquet or TFRecord, the same columns from both."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.errors import CorruptRecordError
from transforms.files.file_systems import open_as_stored
from transforms.files.tf_examples import BYTES, FLOATS, INTEGERS, ExampleDecoder
from transforms.files.tf_record import DamagedRecord, open_tfrecord, read_records
from transforms.schemas import (
    CLASS_INDEX,
    CLASS_LABEL,
    CONTENT_SHA256,
    EMBEDDING,
    HEIGHT,
    IMAGE_ID,
    SCORE,
    URI,
    WIDTH,
)

MAX_ROW_BYTES = 1 << 30
"""Largest row that is read back: far above a vector of any model."""

BATCH_ROWS = 1024

_SCALARS = {
    IMAGE_ID: (BYTES, pa.string()),
    URI: (BYTES, pa.string()),
    CONTENT_SHA256: (BYTES, pa.string()),
    WIDTH: (INTEGERS, pa.int32()),
    HEIGHT: (INTEGERS, pa.int32()),
}
_LISTS = {
    EMBEDDING: (FLOATS, pa.list_(pa.float32())),
    CLASS_INDEX: (INTEGERS, pa.list_(pa.int32())),
    CLASS_LABEL: (BYTES, pa.list_(pa.string())),
    SCORE: (FLOATS, pa.list_(pa.float32())),
}


def iter_rows(
    path: str, columns: Sequence[str], features: Mapping[str, pa.DataType] | None = None
) -> Iterator[pa.RecordBatch]:
    """Reads columns of every row of a data file, in order, at most BATCH_ROWS at a time.

    The vector of a TFRecord is a list, of a Parquet file a list of fixed size. A file without rows
    gives one empty batch.

    Args:
        path: The data file; its name's end says the format.
        columns: Some of the output's own columns, and carried ones.
        features: How a TFRecord holds those that are carried: BYTES, INTEGERS or FLOATS. They are
            lists, and null where a record has none of the name.

    Raises:
        ImageError: At a damaged record, or if it lacks a column.
        pa.ArrowException, OSError: If the file is damaged.
    """
    if path.endswith(".parquet"):
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
        return
    own = {name: feature for name, (feature, _) in (_SCALARS | _LISTS).items()}
    known = own | dict(features or {})
    decoder = ExampleDecoder({name: known[name] for name in columns})
    with open_tfrecord(path) as stream:
        records = read_records(stream, max_record_bytes=MAX_ROW_BYTES)
        for number in itertools.count():
            batch = list(itertools.islice(records, BATCH_ROWS))
            if number and not batch:
                return
            serialized = []
            for record in batch:
                if isinstance(record, DamagedRecord):
                    raise record.error
                serialized.append(record.data)
            table, errors = decoder.decode(serialized)
            for position, error in errors.items():
                raise pa.ArrowInvalid(f"record {batch[position].index}: {error}")
            yield pa.RecordBatch.from_arrays(
                [_column(table[name].combine_chunks(), name) for name in columns],
                names=list(columns),
            )


def _column(lists: pa.Array, name: str) -> pa.Array:
    if name not in _SCALARS | _LISTS:
        return lists
    if name in _LISTS:
        if lists.null_count:
            raise CorruptRecordError(f"{lists.null_count} records have no feature {name}")
        return lists.cast(_LISTS[name][1])
    if lists.null_count or set(pc.list_value_length(lists).unique().to_pylist()) - {1}:
        raise CorruptRecordError(f"a record has no feature {name}, or several values of it")
    return lists.flatten().cast(_SCALARS[name][1])
