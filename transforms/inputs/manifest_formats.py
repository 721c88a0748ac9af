"""The formats of manifests: rows out of txt, csv, jsonl and Parquet, each with where it stands.

The same image in each, and where and values of its row:

    m.txt      a.jpg                         m.txt:1          {"uri": "a.jpg"}
    m.csv      uri,n                         m.csv:2          {"uri": "a.jpg", "n": "3"}
               a.jpg,3
    m.jsonl    {"uri": "a.jpg", "n": 3}      m.jsonl:1        {"uri": "a.jpg", "n": 3}
    m.parquet  columns uri and n             m.parquet row 0  {"uri": "a.jpg", "n": 3}
"""

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pyarrow as pa

from transforms.errors import InputError
from transforms.files.foreign_parquet import damage_reported, iter_batches, open_parquet
from transforms.schemas import URI

PEEK_ROWS = 1000
"""Rows of a jsonl manifest whose values decide its columns' types."""

MAX_LINE_BYTES = 1 << 20
"""Longest line of a text manifest; a longer one is no manifest."""

_PARQUET_ROWS = 1000
_JSON_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


class ManifestRow(NamedTuple):
    """A row of a manifest.

    Attributes:
        where: The file and line, or row, for messages.
        values: The columns that were asked for and are there; of jsonl, all that are there.
    """

    where: str
    values: dict[str, object]


class ManifestFormat(NamedTuple):
    """A format of manifests.

    Attributes:
        schema: The peek at the columns' names and types, given a handle and its uri.
        rows: The reader of all rows, given a handle, its uri and the columns that are wanted.
    """

    schema: Callable[[io.BufferedReader, str], pa.Schema]
    rows: Callable[[io.BufferedReader, str, list[str]], Iterator[ManifestRow]]


def _lines(handle: io.BufferedReader, uri: str) -> Iterator[str]:
    for number in itertools.count(1):
        line = handle.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            raise InputError(f"{uri}:{number}: longer than {MAX_LINE_BYTES:,} bytes")
        try:
            # A spreadsheet begins its csv with the three bytes of a byte order mark.
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{uri}:{number}: not UTF-8: {error}") from error


def _text_schema(handle: io.BufferedReader, uri: str) -> pa.Schema:
    return pa.schema([(URI, pa.string())])


def _text_rows(handle: io.BufferedReader, uri: str, columns: list[str]) -> Iterator[ManifestRow]:
    for number, line in enumerate(_lines(handle, uri), 1):
        if line.strip():
            yield ManifestRow(f"{uri}:{number}", {URI: line.strip()})


def _csv_schema(handle: io.BufferedReader, uri: str) -> pa.Schema:
    header = next(_csv_records(handle, uri), (uri, []))[1]
    return pa.schema([(name, pa.string()) for name in header])


def _csv_rows(handle: io.BufferedReader, uri: str, columns: list[str]) -> Iterator[ManifestRow]:
    records = _csv_records(handle, uri)
    _, header = next(records, ("", []))
    for where, record in records:
        if len(record) != len(header):
            raise InputError(f"{where}: {len(record)} fields; the header has {len(header)}")
        values = dict(zip(header, record, strict=True))
        yield ManifestRow(where, {name: values[name] for name in columns if name in values})


def _csv_records(handle: io.BufferedReader, uri: str) -> Iterator[tuple[str, list[str]]]:
    """Yields each record and its last line: one with line ends in quotes has several."""
    reader = csv.reader(_lines(handle, uri), strict=True)
    try:
        for record in reader:
            if record:
                yield f"{uri}:{reader.line_num}", record
    except csv.Error as error:
        raise InputError(f"{uri}:{reader.line_num}: {error}") from error


def _json_schema(handle: io.BufferedReader, uri: str) -> pa.Schema:
    kinds: dict[str, set[type]] = {}
    for row in itertools.islice(_json_rows(handle, uri, []), PEEK_ROWS):
        for name, value in row.values.items():
            kinds.setdefault(name, set())
            if value is not None:
                kinds[name].add(type(value))
    return pa.schema([(name, _json_type(found)) for name, found in kinds.items()])


def _json_type(kinds: set[type]) -> pa.DataType:
    """Returns the type that holds values of all kinds, null if none does.

    {int} is int64 and {int, float} double. {} (only nulls), {int, str} and {list} are null.
    """
    if kinds == {int, float}:
        return pa.float64()
    (kind, *others) = kinds or {type(None)}
    return pa.null() if others else _JSON_TYPES.get(kind, pa.null())


def _json_rows(handle: io.BufferedReader, uri: str, columns: list[str]) -> Iterator[ManifestRow]:
    for number, line in enumerate(_lines(handle, uri), 1):
        where = f"{uri}:{number}"
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise InputError(f"{where}: not a JSON object: {line.strip():.100}")
        yield ManifestRow(where, values)


def _parquet_schema(handle: io.BufferedReader, uri: str) -> pa.Schema:
    with damage_reported():
        return open_parquet(handle).schema_arrow


def _parquet_rows(handle: io.BufferedReader, uri: str, columns: list[str]) -> Iterator[ManifestRow]:
    with damage_reported():
        parquet = open_parquet(handle)
        names = [name for name in columns if name in parquet.schema_arrow.names]
        number = itertools.count()
        for batch in iter_batches(parquet, _PARQUET_ROWS, names):
            for values in _python_rows(batch, uri):
                yield ManifestRow(f"{uri} row {next(number)}", values)


def _python_rows(batch: pa.RecordBatch, uri: str) -> list[dict[str, object]]:
    try:
        return batch.to_pylist()
    except ValueError as error:  # Such as nanoseconds, which Python's own times do not have.
        raise InputError(f"{uri}: a value cannot be read: {error}") from error


MANIFEST_FORMATS: Mapping[str, ManifestFormat] = MappingProxyType(
    {
        ".txt": ManifestFormat(_text_schema, _text_rows),
        ".csv": ManifestFormat(_csv_schema, _csv_rows),
        ".jsonl": ManifestFormat(_json_schema, _json_rows),
        ".parquet": ManifestFormat(_parquet_schema, _parquet_rows),
    }
)
"""How each format is read, by the manifest's extension."""
