r"""tf.Examples in and out of Arrow by protobuf, with the names and answers of tfx-bsl's coder.

For machines that tfx-bsl has no wheels for, such as those of ARM. Everything else takes it from
transforms.files.example_coder. The Example of the features id [b"a"] and w [640] is, as text,

    features { feature { key: "id" value { bytes_list { value: "a" } } }
               feature { key: "w" value { int64_list { value: 640 } } } }

Source: example.proto and feature.proto of tensorflow/core/example (2.21).
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from tensorflow_metadata.proto.v0 import schema_pb2

_Field = descriptor_pb2.FieldDescriptorProto

_PACKAGE = "examples"
_LISTS = {
    "bytes_list": _Field.TYPE_BYTES,
    "float_list": _Field.TYPE_FLOAT,
    "int64_list": _Field.TYPE_INT64,
}
"""Lists of a feature in the order of their numbers, and the types of their values."""

_ARROW = {"bytes_list": pa.large_binary(), "float_list": pa.float32(), "int64_list": pa.int64()}
_KINDS = {
    schema_pb2.BYTES: "bytes_list",
    schema_pb2.FLOAT: "float_list",
    schema_pb2.INT: "int64_list",
}
_NUMPY = {"bytes_list": np.object_, "float_list": np.float32, "int64_list": np.int64}


class ExamplesToRecordBatchDecoder:
    """Decodes serialized tf.Examples into lists with 64-bit offsets.

    Args:
        serialized_schema: A serialized tensorflow_metadata Schema of the features wanted; None for
            all that there are.
    """

    def __init__(self, serialized_schema: bytes | None = None) -> None:
        self._kinds: dict[str, str] | None = None
        if serialized_schema is not None:
            schema = schema_pb2.Schema.FromString(serialized_schema)
            self._kinds = {feature.name: _KINDS[feature.type] for feature in schema.feature}

    def ArrowSchema(self) -> pa.Schema:
        """Returns the schema of what DecodeBatch returns."""
        return _arrow_schema(self._kinds or {})

    def DecodeBatch(self, examples: Sequence[bytes]) -> pa.RecordBatch:
        """Decodes a batch; null where an example has no such feature.

        Raises:
            RuntimeError: If one is no tf.Example, or has a feature of another kind.
        """
        rows = [_parse(example) for example in examples]
        kinds = _kinds_of(rows) if self._kinds is None else self._kinds
        columns = [
            pa.array([_values(row, name, kind) for row in rows], pa.large_list(_ARROW[kind]))
            for name, kind in kinds.items()
        ]
        return pa.RecordBatch.from_arrays(columns, schema=_arrow_schema(kinds))


class RecordBatchToExamplesEncoder:
    """Encodes rows of lists as serialized tf.Examples."""

    def encode(self, rows: pa.RecordBatch) -> list[bytes]:
        """Encodes rows; a feature has no kind where a list is null."""
        kinds = [_kind_of(field.type.value_type) for field in rows.schema]
        names = rows.schema.names
        return [
            _serialize(zip(names, kinds, values, strict=True))
            for values in zip(*(column.to_pylist() for column in rows.columns), strict=True)
        ]


def ExampleToNumpyDict(example: bytes) -> dict[str, np.ndarray | None]:
    """Decodes one serialized tf.Example; None for a feature without a kind.

    Raises:
        RuntimeError: If it is none.
    """
    found: dict[str, np.ndarray | None] = {}
    for name, feature in _parse(example).items():
        kind = feature.WhichOneof("kind")
        found[name] = kind and np.array(getattr(feature, kind).value, _NUMPY[kind])
    return found


def _parse(example: bytes) -> dict[str, Any]:
    """Returns the features of an example by name; of two of one name the last."""
    try:
        parsed: Any = _message_class("example").FromString(example)
    except DecodeError as error:
        raise RuntimeError(f"Unable to parse example: {error}") from error
    return {entry.key: entry.value for entry in parsed.features.feature}


def parse_sequence(example: bytes) -> dict[str, Any]:
    """Returns the lists of features of a tf.SequenceExample by name; of two of one name the last.

    Raises:
        RuntimeError: If it is none.
    """
    try:
        parsed: Any = _message_class("sequence_example").FromString(example)
    except DecodeError as error:
        raise RuntimeError(f"Unable to parse sequence example: {error}") from error
    return {entry.key: entry.value for entry in parsed.feature_lists.feature_list}


def _serialize(features: Iterable[tuple[str, str, list[Any] | None]]) -> bytes:
    example: Any = _message_class("example")()
    for name, kind, values in features:
        entry = example.features.feature.add(key=name)
        entry.value.SetInParent()
        if values is not None:
            of_kind = getattr(entry.value, kind)
            of_kind.SetInParent()
            of_kind.value.extend(values)
    serialized: bytes = example.SerializeToString()
    return serialized


def _values(row: dict[str, Any], name: str, wanted: str) -> Sequence[Any] | None:
    kind = row[name].WhichOneof("kind") if name in row else None
    if kind is None:
        return None
    if kind != wanted:
        raise RuntimeError(
            f'Feature had wrong type, expected {wanted}, found {kind} for feature "{name}"'
        )
    values: Sequence[Any] = getattr(row[name], kind).value
    # Arrow takes numbers from an array a hundred times as fast as from a list of them.
    if kind != "bytes_list":
        values = np.array(values, _NUMPY[kind])  # type: ignore[assignment]
    return values


def _kinds_of(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Returns the first kind of every feature that has one, in the order of their names."""
    found: dict[str, str] = {}
    for row in rows:
        for name, feature in row.items():
            if kind := feature.WhichOneof("kind"):
                found.setdefault(name, kind)
    return dict(sorted(found.items()))


def _kind_of(values: pa.DataType) -> str:
    if pa.types.is_integer(values):
        return "int64_list"
    return "float_list" if pa.types.is_floating(values) else "bytes_list"


def _arrow_schema(kinds: dict[str, str]) -> pa.Schema:
    return pa.schema([(name, pa.large_list(_ARROW[kind])) for name, kind in kinds.items()])


@functools.cache
def _message_class(message: str) -> type[Message]:
    """Returns the message class of tf.Example, or of tf.SequenceExample."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{message}"))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    """Declares the messages.

    TensorFlow's own would import TensorFlow. Maps of features are declared as the lists of entries
    that they are on the wire, which keeps their order.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="examples.proto", package=_PACKAGE, syntax="proto3"
    )
    feature = file.message_type.add(name="feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, value_type) in enumerate(_LISTS.items(), start=1):
        values = file.message_type.add(name=name)
        values.field.add(name="value", number=1, type=value_type, label=_Field.LABEL_REPEATED)
        _refer(feature, name, name, number).oneof_index = 0
    _add_entry(file, "entry", "feature")
    features = file.message_type.add(name="features")
    _refer(features, "feature", "entry", 1).label = _Field.LABEL_REPEATED
    _refer(file.message_type.add(name="example"), "features", "features", 1)
    of_list = file.message_type.add(name="feature_list")
    _refer(of_list, "feature", "feature", 1).label = _Field.LABEL_REPEATED
    _add_entry(file, "list_entry", "feature_list")
    lists = file.message_type.add(name="feature_lists")
    _refer(lists, "feature_list", "list_entry", 1).label = _Field.LABEL_REPEATED
    sequence = file.message_type.add(name="sequence_example")
    _refer(sequence, "context", "features", 1)
    _refer(sequence, "feature_lists", "feature_lists", 2)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add_entry(file: descriptor_pb2.FileDescriptorProto, name: str, of: str) -> None:
    """Declares an entry of a map from strings to messages."""
    entry = file.message_type.add(name=name)
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    _refer(entry, "value", of, 2)


def _refer(
    message: descriptor_pb2.DescriptorProto, name: str, to: str, number: int
) -> descriptor_pb2.FieldDescriptorProto:
    return message.field.add(
        name=name,
        number=number,
        type=_Field.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.{to}",
        label=_Field.LABEL_OPTIONAL,
    )
