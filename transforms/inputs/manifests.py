"""Manifests: lists of images with columns, as txt, csv, jsonl or Parquet.

A manifest has a column `uri`; a txt manifest is a URI a line. The column `image_id`, where there is
one, holds the images' keys. The others may be carried to the output.
"""

import contextlib
import csv
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from transforms.errors import ImageError, InputError
from transforms.files.uris import is_local, open_buffered, without_file_scheme
from transforms.inputs.columns import IDS_FROM_NAMES, image_id
from transforms.inputs.parquet_files import damage_reported, iter_batches, open_parquet
from transforms.records import ImageRef
from transforms.schemas import IMAGE_ID, URI

PEEK_ROWS = 1000
"""Rows of a jsonl manifest whose values decide its columns' types."""

MAX_LINE_BYTES = 1 << 20
"""Longest line of a text manifest; a longer one is no manifest."""

_PARQUET_ROWS = 1000
_JSON_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


class _Row(NamedTuple):
    where: str
    values: dict[str, object]


def manifest_schema(uri: str, carry_columns: Sequence[str]) -> pa.Schema:
    """Peeks at a manifest: checks it has a `uri`, returns the carried columns' names and types.

    Columns of csv are strings; those of jsonl are string, bool, int64 or double by its first rows;
    those of Parquet are what its footer says.

    Raises:
        InputError: If it cannot be read, is of no known format, or lacks a column.
    """
    with _open_manifest(uri) as (handle, manifest_format):
        schema = manifest_format.schema(handle, uri)
    if not schema.names and uri.endswith(".jsonl"):  # The failures of a run without any.
        return schema
    for name in (URI, *carry_columns):
        if schema.get_field_index(name) < 0:
            raise InputError(
                f"{uri}: no column {name!r}, or several; it has {', '.join(schema.names) or 'none'}"
            )
    if unfit := [name for name in carry_columns if schema.field(name).type == pa.null()]:
        raise InputError(
            f"{uri}: column {unfit[0]!r} cannot be carried: its first {PEEK_ROWS} rows hold no "
            "value, lists or objects, or values of several kinds; wanted one of string, number, "
            "true or false"
        )
    fields = (schema.field(name) for name in carry_columns)
    return pa.schema([field.with_nullable(True).remove_metadata() for field in fields])


def read_manifest(uri: str, carried: pa.Schema, image_id_from: str | None) -> Iterator[ImageRef]:
    """Reads a manifest, a row at a time.

    A uri without a scheme is relative to the manifest's directory. The key is the column that
    image_id_from names; by default the column image_id where there is one and it is not empty,
    else the uri.

    Args:
        uri: The manifest.
        carried: What manifest_schema gave, or of several manifests together.
        image_id_from: None, "uri", "relative_path", "filename", or a column.

    Raises:
        InputError: At a malformed row or a value that does not fit, naming file and line.
    """
    folder = (os.path.abspath(uri) if is_local(uri) else uri).rpartition("/")[0]
    id_column = None if image_id_from in IDS_FROM_NAMES else image_id_from
    columns = dict.fromkeys([URI, id_column or IMAGE_ID, *carried.names])
    with _open_manifest(uri) as (handle, manifest_format):
        for where, values in manifest_format.rows(handle, uri, list(columns)):
            image_uri = _absolute(_text(values, URI, where), folder)
            if id_column is not None or (image_id_from is None and values.get(IMAGE_ID)):
                key = _text(values, id_column or IMAGE_ID, where)
            else:
                key = image_id(image_uri, folder, image_id_from)
            fitting = tuple(_fitting(values.get(field.name), field, where) for field in carried)
            yield ImageRef(key, image_uri, *_listing(image_uri), carried=fitting)


class _Format(NamedTuple):
    schema: Callable[[io.BufferedReader, str], pa.Schema]
    rows: Callable[[io.BufferedReader, str, list[str]], Iterator[_Row]]


@contextlib.contextmanager
def _open_manifest(uri: str) -> Iterator[tuple[io.BufferedReader, _Format]]:
    extension = os.path.splitext(uri)[1].lower()
    if extension not in _FORMATS:
        raise InputError(
            f"--manifest {uri!r}: unknown format {extension!r}; wanted {', '.join(_FORMATS)}"
        )
    try:
        with open_buffered(uri) as handle:
            yield handle, _FORMATS[extension]
    except ImageError as error:
        raise InputError(f"--manifest {uri!r}: {error}") from error


def _absolute(uri: str, folder: str) -> str:
    uri = without_file_scheme(uri)
    if not is_local(uri) or os.path.isabs(uri):
        return uri
    return os.path.normpath(f"{folder}/{uri}") if is_local(folder) else f"{folder}/{uri}"


def _listing(uri: str) -> tuple[int | None, str | None]:
    """Returns a local file's size and version; one in a store would cost a request each."""
    if not is_local(uri):
        return None, None
    try:
        status = os.stat(uri)
    except (OSError, ValueError):  # Opening it says what is wrong.
        return None, None
    return status.st_size, str(status.st_mtime_ns)


def _text(values: dict[str, object], name: str, where: str) -> str:
    text = values.get(name)
    if isinstance(text, int):  # Ids are often numbers.
        text = str(text)
    if not isinstance(text, str) or not text:
        raise InputError(f"{where}: {name!r} is {text!r}; wanted a string that is not empty")
    _fitting(text, pa.field(name, pa.string()), where)
    return text


def _fitting(value: object, field: pa.Field, where: str) -> object:
    try:
        if isinstance(value, float) and pa.types.is_integer(field.type):
            raise ValueError("not an integer")  # Arrow would cut the fraction off.
        pa.scalar(value, field.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{where}: {field.name!r} is {value!r:.100}; wanted {field.type}: {error}"
        ) from error
    return value


def _lines(handle: io.BufferedReader, uri: str) -> Iterator[str]:
    for number in itertools.count(1):
        line = handle.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            raise InputError(f"{uri}:{number}: longer than {MAX_LINE_BYTES:,} bytes")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{uri}:{number}: not UTF-8: {error}") from error


def _text_schema(handle: io.BufferedReader, uri: str) -> pa.Schema:
    return pa.schema([(URI, pa.string())])


def _text_rows(handle: io.BufferedReader, uri: str, columns: list[str]) -> Iterator[_Row]:
    del columns
    for number, line in enumerate(_lines(handle, uri), 1):
        if line.strip():
            yield _Row(f"{uri}:{number}", {URI: line.strip()})


def _csv_schema(handle: io.BufferedReader, uri: str) -> pa.Schema:
    header = next(_csv_records(handle, uri), (uri, []))[1]
    return pa.schema([(name, pa.string()) for name in header])


def _csv_rows(handle: io.BufferedReader, uri: str, columns: list[str]) -> Iterator[_Row]:
    records = _csv_records(handle, uri)
    _, header = next(records, ("", []))
    for where, record in records:
        if len(record) != len(header):
            raise InputError(f"{where}: {len(record)} fields; the header has {len(header)}")
        values = dict(zip(header, record, strict=True))
        yield _Row(where, {name: values[name] for name in columns if name in values})


def _csv_records(handle: io.BufferedReader, uri: str) -> Iterator[tuple[str, list[str]]]:
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
    if kinds == {int, float}:
        return pa.float64()
    (kind, *others) = kinds or {type(None)}
    return pa.null() if others else _JSON_TYPES.get(kind, pa.null())


def _json_rows(handle: io.BufferedReader, uri: str, columns: list[str]) -> Iterator[_Row]:
    del columns
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
        yield _Row(where, values)


def _parquet_schema(handle: io.BufferedReader, uri: str) -> pa.Schema:
    del uri
    with damage_reported():
        return open_parquet(handle).schema_arrow


def _parquet_rows(handle: io.BufferedReader, uri: str, columns: list[str]) -> Iterator[_Row]:
    with damage_reported():
        parquet = open_parquet(handle)
        names = [name for name in columns if name in parquet.schema_arrow.names]
        number = itertools.count()
        for batch in iter_batches(parquet, _PARQUET_ROWS, names):
            for values in _python_rows(batch, uri):
                yield _Row(f"{uri} row {next(number)}", values)


def _python_rows(batch: pa.RecordBatch, uri: str) -> list[dict[str, object]]:
    try:
        return batch.to_pylist()
    except ValueError as error:  # Such as nanoseconds, which Python's own times do not have.
        raise InputError(f"{uri}: a value cannot be read: {error}") from error


_FORMATS = {
    ".txt": _Format(_text_schema, _text_rows),
    ".csv": _Format(_csv_schema, _csv_rows),
    ".jsonl": _Format(_json_schema, _json_rows),
    ".parquet": _Format(_parquet_schema, _parquet_rows),
}
"""How each format is read, by the manifest's extension."""
