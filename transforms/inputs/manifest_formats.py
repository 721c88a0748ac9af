"""The formats of manifests: rows out of each, with where it stands.

The same image in each, and where and values of its row:

    m.txt      a.jpg                         m.txt:1          {"uri": "a.jpg"}
    m.csv      uri,n                         m.csv:2          {"uri": "a.jpg", "n": "3"}
               a.jpg,3
    m.jsonl    {"uri": "a.jpg", "n": 3}      m.jsonl:1        {"uri": "a.jpg", "n": 3}
    m.json     [{"uri": "a.jpg", "n": 3}]    m.json row 0     {"uri": "a.jpg", "n": 3}
    m.parquet  columns uri and n             m.parquet row 0  {"uri": "a.jpg", "n": 3}
"""

import io
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa

from transforms.errors import InputError
from transforms.files.foreign_parquet import (
    damage_reported,
    iter_batches,
    open_parquet,
    rows_that_fit,
)
from transforms.inputs.csv_manifests import CSV, TSV
from transforms.inputs.json_manifests import JSON_LINES, JSON_OBJECTS
from transforms.inputs.manifest_format import ManifestFormat, ManifestRow
from transforms.inputs.manifest_text import text_lines
from transforms.inputs.nested_columns import find_column, take_columns, with_nested
from transforms.schemas import URI

_PARQUET_ROWS = 1000
_PARQUET_BYTES = 16 << 20


def _text_schema(handle: io.BufferedReader, uri: str, keys: Sequence[str]) -> pa.Schema:
    return pa.schema([(URI, pa.string())])


def _text_rows(
    handle: io.BufferedReader, uri: str, keys: Sequence[str], others: Sequence[str]
) -> Iterator[ManifestRow]:
    for number, line in enumerate(text_lines(handle, uri), 1):
        if line.strip():
            yield ManifestRow(f"{uri}:{number}", {URI: line.strip()})


def _parquet_schema(handle: io.BufferedReader, uri: str, keys: Sequence[str]) -> pa.Schema:
    with damage_reported():
        return with_nested(open_parquet(handle).schema_arrow)


def _parquet_rows(
    handle: io.BufferedReader, uri: str, keys: Sequence[str], others: Sequence[str]
) -> Iterator[ManifestRow]:
    with damage_reported():
        parquet = open_parquet(handle)
        columns = dict.fromkeys((*keys, *others))
        names = [name for name in columns if find_column(parquet.schema_arrow, name)]
        number = itertools.count()
        # A column may hold the images themselves, which is told by its first value.
        rows = min(_PARQUET_ROWS, rows_that_fit(parquet.metadata, _PARQUET_BYTES))
        for batch in iter_batches(parquet, rows, names):
            for values in _python_rows(take_columns(batch, names), uri):
                yield ManifestRow(f"{uri} row {next(number)}", values)


def _python_rows(rows: pa.Table, uri: str) -> list[dict[str, object]]:
    try:
        return rows.to_pylist()
    except ValueError as error:  # Such as nanoseconds, which Python's own times do not have.
        raise InputError(f"{uri}: a value cannot be read: {error}") from error


MANIFEST_FORMATS: Mapping[str, ManifestFormat] = MappingProxyType(
    {
        ".txt": ManifestFormat(_text_schema, _text_rows),
        ".csv": CSV,
        ".tsv": TSV,
        ".jsonl": JSON_LINES,
        ".ndjson": JSON_LINES,
        ".json": JSON_OBJECTS,
        ".parquet": ManifestFormat(_parquet_schema, _parquet_rows),
    }
)
"""How each format is read, by the manifest's extension."""

_PACKED = ".gz"


def manifest_extension(name: str) -> str:
    """Returns the extension that tells a manifest's format: ".csv" of LIST.CSV.GZ.

    That of list.parquet.gz stays ".gz": Parquet is read here and there, which gzip does not allow.
    """
    stem, extension = os.path.splitext(name.lower())
    inner = os.path.splitext(stem)[1]
    is_packed = extension == _PACKED and inner in MANIFEST_FORMATS and inner != ".parquet"
    return inner if is_packed else extension
