"""Manifests in csv and tsv: rows of text below a header, which also tells what separates fields.

uri,n        uri;n        uri|n
a.jpg,3      a.jpg;3      a.jpg|3
"""

import csv
import io
import itertools
from collections.abc import Iterator, Sequence

import pyarrow as pa

from transforms.errors import InputError
from transforms.inputs.manifest_format import ManifestFormat, ManifestRow
from transforms.inputs.manifest_text import MAX_LINE_BYTES, text_lines

csv.field_size_limit(MAX_LINE_BYTES)  # Of its own it refuses masks and polygons of 128 KiB.

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


def _csv_schema(handle: io.BufferedReader, uri: str, keys: Sequence[str]) -> pa.Schema:
    return _schema(_csv_records(handle, uri, keys), uri)


def _csv_rows(
    handle: io.BufferedReader, uri: str, keys: Sequence[str], others: Sequence[str]
) -> Iterator[ManifestRow]:
    return _rows(_csv_records(handle, uri, keys), (*keys, *others))


def _tsv_schema(handle: io.BufferedReader, uri: str, keys: Sequence[str]) -> pa.Schema:
    return _schema(_records(text_lines(handle, uri), uri, "\t"), uri)


def _tsv_rows(
    handle: io.BufferedReader, uri: str, keys: Sequence[str], others: Sequence[str]
) -> Iterator[ManifestRow]:
    return _rows(_records(text_lines(handle, uri), uri, "\t"), (*keys, *others))


_Records = Iterator[tuple[str, list[str]]]
"""Each record, after the file and its last line: one with line ends in quotes has several."""


def _schema(records: _Records, uri: str) -> pa.Schema:
    header = next(records, (uri, []))[1]
    return pa.schema([(name, pa.string()) for name in header])


def _rows(records: _Records, columns: Sequence[str]) -> Iterator[ManifestRow]:
    _, header = next(records, ("", []))
    wanted = [name for name in dict.fromkeys(columns) if name in header]
    for where, record in records:
        if len(record) != len(header):
            raise InputError(f"{where}: {len(record)} fields; the header has {len(header)}")
        values = dict(zip(header, record, strict=True))
        yield ManifestRow(where, {name: values[name] for name in wanted})


def _csv_records(handle: io.BufferedReader, uri: str, keys: Sequence[str]) -> _Records:
    lines = text_lines(handle, uri)
    beginning = []
    for line in lines:
        beginning.append(line)
        if line.strip():
            break
    separator = _separator("".join(beginning).strip("\r\n"), keys, f"{uri}:{len(beginning)}")
    return _records(itertools.chain(beginning, lines), uri, separator)


def _separator(header: str, keys: Sequence[str], where: str) -> str:
    """Tells what separates fields: where several may, the one that makes a field of a key.

    Of "uri;size, px" it is the semicolon: the comma gives "uri;size" and " px".

    Raises:
        InputError: If that holds of two.
    """
    fields = {separator: _fields(header, separator) for separator in _SEPARATORS}
    present = [separator for separator in fields if len(fields[separator]) > 1]
    fitting = [separator for separator in present if set(keys).intersection(fields[separator])]
    if len(fitting) > 1:
        first, second = (_SEPARATORS[separator] for separator in fitting[:2])
        raise InputError(
            f"{where}: fields may be separated by {first} or by {second}, as either gives a column "
            f"of {', '.join(keys)}: {header!r:.100}; put names that hold one into quotes"
        )
    return next(iter(fitting or present), ",")


def _fields(header: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=separator), [])
    except csv.Error:  # Reading it says what is wrong.
        return []


def _records(lines: Iterator[str], uri: str, separator: str) -> _Records:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    first_line = 1
    try:
        for record in reader:
            if separator == "\t" and any("\t" in field and "\n" in field for field in record):
                raise _swallowed(uri, first_line, reader.line_num)
            first_line = reader.line_num + 1
            if record:
                yield f"{uri}:{reader.line_num}", record
    except csv.Error as error:
        raise InputError(f"{uri}:{reader.line_num}: {error}") from error


def _swallowed(uri: str, first_line: int, last_line: int) -> InputError:
    """Returns the refusal of a field that holds tabs and line ends, as no cell of a sheet does.

    Text that is separated by tabs is often written without quotes around fields; a quote is a
    character there, and what lies between two of them would be one field:

        a.jpg  "Look at me
        b.jpg  fun day
        c.jpg  she said ok"
    """
    return InputError(
        f"{uri}:{first_line}: a quote that opens here closes in line {last_line}, behind tabs and "
        "line ends; save the list as csv or JSON lines, in which a field may hold them"
    )


CSV = ManifestFormat(_csv_schema, _csv_rows)
TSV = ManifestFormat(_tsv_schema, _tsv_rows)
