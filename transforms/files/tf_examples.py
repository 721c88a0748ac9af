"""tf.Examples in and out of Arrow, a batch at a time, without TensorFlow.

A tf.Example maps feature names to lists of bytes, of int64 or of float32. Rows of Arrow, and the
features that hold them:

    id "a", width 640, vector [0.5, 1.5]    id [b"a"], width [640], vector [0.5, 1.5]
    id null, width 2, vector []             id [], width [2], vector []

Decoded, every feature is a list again, of bytes, int64 or float32: see ExampleDecoder.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from transforms.errors import OutputError
from transforms.files.example_coder import (
    ExamplesToRecordBatchDecoder,
    RecordBatchToExamplesEncoder,
)

BYTES = pa.list_(pa.binary())
INTEGERS = pa.list_(pa.int64())
FLOATS = pa.list_(pa.float32())
FEATURE_TYPES = {
    BYTES: schema_pb2.BYTES,
    INTEGERS: schema_pb2.INT,
    FLOATS: schema_pb2.FLOAT,
}
"""The three kinds of feature, as Arrow columns."""


class ExampleDecoder:
    """Decodes serialized tf.Examples into the features asked for.

    Args:
        features: Name and type of each feature: BYTES, INTEGERS or FLOATS.
    """

    def __init__(self, features: Mapping[str, pa.DataType]) -> None:
        schema = schema_pb2.Schema()
        for name, feature_type in features.items():
            schema.feature.add(name=name, type=FEATURE_TYPES[feature_type])
        self._schema = schema.SerializeToString()
        self._coder = ExamplesToRecordBatchDecoder(self._schema)

    def decode(self, serialized: Sequence[bytes]) -> tuple[pa.Table, dict[int, str]]:
        """Decodes a batch; a record that cannot be parsed costs only itself.

        Returns:
            The features, one row a record, as lists with 64-bit offsets; null where a record lacks
            the feature or cannot be parsed. And what is wrong with those, by position.
        """
        errors: dict[int, str] = {}
        decoded = list(self._decode(serialized, 0, errors))
        return pa.Table.from_batches(decoded, self._coder.ArrowSchema()), errors

    def _decode(
        self, serialized: Sequence[bytes], start: int, errors: dict[int, str]
    ) -> Iterator[pa.RecordBatch]:
        try:
            yield self._coder.DecodeBatch(serialized)
        except RuntimeError as error:
            # A coder that has failed keeps the rows before the bad one and gives them out again
            # with the next batch. It names no record: halve until the bad ones stand alone.
            self._coder = ExamplesToRecordBatchDecoder(self._schema)
            if len(serialized) == 1:
                errors[start] = str(error)
                yield self._coder.DecodeBatch([b""])
                return
            middle = len(serialized) // 2
            yield from self._decode(serialized[:middle], start, errors)
            yield from self._decode(serialized[middle:], start + middle, errors)


def encode_examples(rows: pa.RecordBatch) -> list[bytes]:
    """Encodes each row as a serialized tf.Example.

    Strings and binary become bytes, integers and booleans int64, floats float32. A scalar is a list
    of one and null an empty list; null inside a list is an empty string or 0. A double is rounded,
    unless it is a whole number, as an id is to pandas where another is missing: then float32 must
    hold it. The same rows always give the same bytes.

    Raises:
        OutputError: If a tf.Example cannot hold a column.
    """
    columns = [_to_feature(field, rows[field.name]) for field in rows.schema]
    batch = pa.RecordBatch.from_arrays(columns, names=rows.schema.names)
    return [_sort_features(example) for example in RecordBatchToExamplesEncoder().encode(batch)]


def feature_type(field: pa.Field) -> pa.DataType:
    """Returns the kind of feature that holds a column: BYTES, INTEGERS or FLOATS.

    Raises:
        OutputError: If there is none.
    """
    values = field.type.value_type if is_list(field.type) else field.type
    if pa.types.is_dictionary(values):
        values = values.value_type
    if pa.types.is_integer(values) or pa.types.is_boolean(values):
        return INTEGERS
    if pa.types.is_floating(values):
        return FLOATS
    if any(is_kind(values) for is_kind in _IS_BYTES):
        return BYTES
    raise OutputError(
        f"column {field.name!r} is {field.type}, which a tf.Example cannot hold; "
        "use --output_format=parquet or leave it out of --carry_columns"
    )


_IS_BYTES = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
    pa.types.is_null,
)


def is_list(values: pa.DataType) -> bool:
    """Whether a type is a list of any width."""
    return (
        pa.types.is_list(values)
        or pa.types.is_large_list(values)
        or pa.types.is_fixed_size_list(values)
    )


def _to_feature(field: pa.Field, column: pa.Array) -> pa.ListArray:
    wanted = feature_type(field)
    try:
        _check_whole_numbers(field, column)
        if is_list(field.type):
            return column.cast(wanted)
        present = np.asarray(column.is_valid())
        offsets = np.concatenate([[0], np.cumsum(present)]).astype(np.int32)
        return pa.ListArray.from_arrays(offsets, column.drop_null().cast(wanted.value_type))
    except pa.ArrowInvalid as error:
        raise OutputError(
            f"column {field.name!r} has a value that {wanted} cannot hold: {error}; "
            "use --output_format=parquet or leave it out of --carry_columns"
        ) from error


def _check_whole_numbers(field: pa.Field, column: pa.Array) -> None:
    values = column.flatten() if is_list(field.type) else column
    if not pa.types.is_float64(values.type):
        return
    doubles = values.drop_null().to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        lost = (doubles == np.trunc(doubles)) & (doubles.astype(np.float32) != doubles)
    if lost.any():
        raise pa.ArrowInvalid(f"{doubles[lost][0]:.0f} would be rounded")


def _sort_features(example: bytes) -> bytes:
    """Puts the features of a serialized tf.Example in order: the encoder's differs by run.

    An Example is field 1 around Features; Features is a run of fields 1, one a feature, name first.
    The Example of the features id [b"a"] and w [640], in hexadecimal:

        0a 1a                                    field 1 of 26 bytes: Features
          0a 0b  0a 01 77     12 06 1a 04 ...    field 1 of 11 bytes, named "w"
          0a 0b  0a 02 69 64  12 05 0a 03 ...    field 1 of 11 bytes, named "id"

    Ordered by the bytes behind 0a 0b, "w" comes before "id": the length of its name does.

    Source: https://protobuf.dev/programming-guides/encoding/.
    """
    if not example:
        return example
    _, first = _read_length(example, 0)
    start, features = first, []
    while start < len(example):
        length, body = _read_length(example, start)
        features.append((example[body : body + length], example[start:body]))
        start = body + length
    features.sort()
    return example[:first] + b"".join(head + body for body, head in features)


def _read_length(message: bytes, start: int) -> tuple[int, int]:
    """Returns the length of the field whose tag is at start, and where its content starts.

    Lengths are of seven bits a byte, the lowest first; all but the last have the eighth bit, too:
    of 0a 1a it is 26, of 0a ac 02 it is 0x2c + (2 << 7) = 300.
    """
    position, length, shift = start + 1, 0, 0
    while message[position] >= 0x80:
        length |= (message[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return length | message[position] << shift, position + 1
