"""Data files in TFRecord: a tf.Example a row, features named as the columns.

A row of image_id "cat.jpg", embedding [0.5, 1.5] and width 640 is the record

    image_id [b"cat.jpg"], embedding [0.5, 1.5], width [640]

A feature does not say whether it was a scalar or a list, a string or bytes, nor of how many bits:
that is known of the output's own columns, and of carried ones they come back as lists.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import CorruptRecordError
from transforms.files.example_coder import ExamplesToRecordBatchDecoder
from transforms.files.hashing_stream import HashingStream
from transforms.files.tf_examples import (
    BYTES,
    FLOATS,
    INTEGERS,
    ExampleDecoder,
    encode_examples,
    feature_type,
)
from transforms.files.tf_record import (
    DamagedRecord,
    Record,
    open_tfrecord,
    read_records,
    write_record,
)
from transforms.runs.formats.data_format import BATCH_ROWS, DataFormat
from transforms.schemas import (
    BRIGHTNESS,
    CLASS_INDEX,
    CLASS_LABEL,
    COLOR_PROFILE,
    CONTENT_SHA256,
    EMBEDDING,
    HEIGHT,
    IMAGE_ID,
    MODE,
    SCORE,
    SHARPNESS,
    URI,
    WIDTH,
)
from transforms.schemas import (
    FORMAT as FORMAT_COLUMN,
)

MAX_ROW_BYTES = 1 << 30
"""Largest row that is read back: far above a vector of any model."""

_SCALARS = {
    IMAGE_ID: (BYTES, pa.string()),
    URI: (BYTES, pa.string()),
    CONTENT_SHA256: (BYTES, pa.string()),
    WIDTH: (INTEGERS, pa.int32()),
    HEIGHT: (INTEGERS, pa.int32()),
    BRIGHTNESS: (FLOATS, pa.float32()),
    SHARPNESS: (FLOATS, pa.float32()),
    FORMAT_COLUMN: (BYTES, pa.string()),
    MODE: (BYTES, pa.string()),
    COLOR_PROFILE: (BYTES, pa.string()),
}
_LISTS = {
    EMBEDDING: (FLOATS, pa.list_(pa.float32())),
    CLASS_INDEX: (INTEGERS, pa.list_(pa.int32())),
    CLASS_LABEL: (BYTES, pa.list_(pa.string())),
    SCORE: (FLOATS, pa.list_(pa.float32())),
}


class TFRecordRows:
    """TFRecord of tf.Example, one a row, features named as the columns."""

    def __init__(self, stream: HashingStream, schema: pa.Schema) -> None:
        self._stream = stream

    def write(self, rows: pa.RecordBatch) -> None:
        """Writes one record a row."""
        for example in encode_examples(rows):
            write_record(self._stream, example)

    def finish(self) -> None:
        """Does nothing: the format has no footer."""

    def abandon(self) -> None:
        """Does nothing: nothing is buffered."""


def read_rows(
    path: str, columns: Sequence[str], carried: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """Reads columns of every row, in order; vectors and carried columns are lists.

    A carried column is null where a record has no feature of the name.

    Raises:
        ImageError: At a damaged record, or one that lacks a column of the output's own.
        pa.ArrowException, OSError: If the file is damaged.
    """
    own = {name: feature for name, (feature, _) in (_SCALARS | _LISTS).items()}
    features = {
        name: _carried_feature(carried[name]) if name in carried else own[name] for name in columns
    }
    decoder = ExampleDecoder(features)
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
                [
                    lists if name in carried else _column(lists, name)
                    for name in columns
                    for lists in [table[name].combine_chunks()]
                ],
                names=list(columns),
            )


def read_schema(path: str) -> None:
    """Returns None: a TFRecord says nothing of its features before they are read."""


def read_names(path: str) -> set[str]:
    """Reads every record of an undamaged file for the names of the features that one has.

    Raises:
        pa.ArrowException: If a feature is of several kinds.
        OSError: If the storage fails.
    """
    found: set[str] = set()
    decoder = ExamplesToRecordBatchDecoder()
    with open_tfrecord(path) as stream:
        records = read_records(stream, max_record_bytes=MAX_ROW_BYTES)
        while batch := list(itertools.islice(records, BATCH_ROWS)):
            examples = [part.data for part in batch if isinstance(part, Record)]
            try:
                found.update(decoder.DecodeBatch(examples).schema.names)
            except RuntimeError as error:  # A feature of another kind than before.
                raise pa.ArrowInvalid(str(error)) from error
    return found


def check_carried(carried: pa.Schema) -> None:
    """Checks that there is a kind of feature for every carried column.

    Raises:
        OutputError: If there is none for one.
    """
    for field in carried:
        feature_type(field)


def _carried_feature(column_type: str) -> pa.DataType:
    """Returns the kind of feature that holds a carried column, by the name of its type.

    Of "dictionary<values=string, indices=int32, ordered=0>" and "list<points: string>", neither the
    indices nor the name of a list's values tell.
    """
    column_type = re.sub(r"indices=\w+|<[^<>:]*: ", "<", column_type)
    if any(word in column_type for word in ("int", "bool")):
        return INTEGERS
    return FLOATS if any(word in column_type for word in ("float", "double")) else BYTES


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


FORMAT = DataFormat(
    writer=TFRecordRows,
    read_rows=read_rows,
    read_schema=read_schema,
    read_names=read_names,
    check_carried=check_carried,
)
"""TFRecord."""
