"""Columns and footers of data files against what run.json says of them."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from transforms.files.tf_record import Record, open_tfrecord, read_records
from transforms.runs.data_file import BATCH_ROWS, MAX_ROW_BYTES
from transforms.runs.finding import Finding
from transforms.schemas import EMBEDDING, classification_schema, embedding_schema
from transforms.verify.record_checks import value_at

FOOTER = {
    "model_fingerprint": "model.fingerprint",
    "preprocessing_fingerprint": "preprocessing.fingerprint",
}
"""What a footer must say, and where run.json says it."""

_PREPROCESSING = "preprocessing_fingerprint"
_KEPT_TYPES = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "halffloat",
    "float", "double", "string", "large_string", "binary", "large_binary", "date32[day]",
}  # fmt: skip
"""Types that are the same in a Parquet file; others, such as timestamp[s], become another there."""

_NO_COLUMNS = pa.schema([])


def own_columns(record: Mapping[str, Any], embedding_dim: int = 1) -> pa.Schema:
    """Returns the columns that a run's data files have before the carried ones."""
    if record["recipe"]["program"] == "embed":
        dtype = record["recipe"]["outputs"]["embedding_dtype"]
        return embedding_schema(embedding_dim, dtype, _NO_COLUMNS, {})
    return classification_schema(_NO_COLUMNS, {})


def read_parquet_schema(path: str) -> pa.Schema:
    """Reads a Parquet file's schema; its metadata is what the footer says.

    Raises:
        pa.ArrowException, OSError: If the file is damaged.
    """
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
        return pq.ParquetFile(stream).schema_arrow


def dimension_of(schema: pa.Schema) -> int | None:
    """Returns the length of the vectors, where the schema says it."""
    if EMBEDDING not in schema.names:
        return None
    column = schema.field(EMBEDDING).type
    return column.list_size if pa.types.is_fixed_size_list(column) else None


def check_schema(
    name: str, schema: pa.Schema, record: Mapping[str, Any], first: pa.Schema | None
) -> Iterator[Finding]:
    """Checks a Parquet file's columns, their order and types; not the length of its vectors.

    Args:
        name: The file's name within the run.
        schema: Its schema.
        record: The content of run.json.
        first: That of a file before, if there is one: all are to have the same carried types.
    """
    own = own_columns(record, dimension_of(schema) or 1)
    carried = record["columns"]["carry_columns"]
    columns = [*own.names, *carried]
    if schema.names != columns:
        yield Finding(name, "columns", ", ".join(schema.names), ", ".join(columns))
        return
    wanted = {column: kind for column, kind in carried.items() if kind in _KEPT_TYPES}
    if first is not None:
        wanted = {column: str(first.field(column).type) for column in carried} | wanted
    wanted |= {field.name: _describe(field) for field in own}
    for field in schema:
        found = _describe(field) if field.name in own.names else str(field.type)
        if found != wanted.get(field.name, found):
            yield Finding(name, f"type of {field.name}", found, wanted[field.name])


def check_footer(name: str, schema: pa.Schema, record: Mapping[str, Any]) -> Iterator[Finding]:
    """Checks that a Parquet file says that it was made as run.json says."""
    footer = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    for key, place in FOOTER.items():
        found, wanted = footer.get(key, "none"), value_at(record, place)
        if found != wanted:
            yield Finding(name, f"{key} in the footer", found, f"{wanted}, run.json's {place}")


def check_features(name: str, path: str, record: Mapping[str, Any]) -> Iterator[Finding]:
    """Checks that an undamaged TFRecord file has the run's features and no other.

    A record that lacks a carried one cannot be told from one in which it is null.

    Args:
        name: The file's name within the run.
        path: Where it is.
        record: The content of run.json.

    Raises:
        pa.ArrowException: If a feature is of several kinds.
    """
    wanted = {*own_columns(record).names, *record["columns"]["carry_columns"]}
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
    if found and found != wanted:
        yield Finding(name, "features", ", ".join(sorted(found)), ", ".join(sorted(wanted)))


def _describe(field: pa.Field) -> str:
    return f"{field.type}" + ("" if field.nullable else " not null")
