"""Manifests in JSON: an object a line, or an array of objects, read an object at a time.

    m.jsonl  {"uri": "a.jpg", "n": 3}         m.json  [{"uri": "a.jpg", "n": 3},
             {"uri": "b.jpg"}                          {"uri": "b.jpg"}]

A .json file may also hold objects without an array around them, as Spark and pandas write it.
"""

import io
import itertools
import json
import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from transforms.errors import InputError
from transforms.inputs.manifest_format import ManifestFormat, ManifestRow
from transforms.inputs.manifest_text import MAX_LINE_BYTES, text_chunks, text_lines

PEEK_ROWS = 1000
"""Rows of a manifest in JSON whose values decide its columns' types."""

_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
_WANTED = 'wanted an array of objects, [{"uri": ...}, ...]'
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def _lines_schema(handle: io.BufferedReader, uri: str, keys: Sequence[str]) -> pa.Schema:
    return _schema(_lines_rows(handle, uri, (), ()))


def _objects_schema(handle: io.BufferedReader, uri: str, keys: Sequence[str]) -> pa.Schema:
    return _schema(_objects_rows(handle, uri, (), ()))


def _schema(rows: Iterator[ManifestRow]) -> pa.Schema:
    kinds: dict[str, set[type]] = {}
    for row in itertools.islice(rows, PEEK_ROWS):
        for name, value in row.values.items():
            kinds.setdefault(name, set())
            if value is not None:
                kinds[name].add(type(value))
    return pa.schema([(name, _type(found)) for name, found in kinds.items()])


def _type(kinds: set[type]) -> pa.DataType:
    """Returns the type that holds values of all kinds, null if none does.

    {int} is int64 and {int, float} double. {} (only nulls), {int, str} and {list} are null: another
    file may say more.
    """
    if kinds == {int, float}:
        return pa.float64()
    (kind, *others) = kinds or {type(None)}
    return pa.null() if others else _TYPES.get(kind, pa.null())


def _lines_rows(
    handle: io.BufferedReader, uri: str, keys: Sequence[str], others: Sequence[str]
) -> Iterator[ManifestRow]:
    for number, line in enumerate(text_lines(handle, uri), 1):
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


def _objects_rows(
    handle: io.BufferedReader, uri: str, keys: Sequence[str], others: Sequence[str]
) -> Iterator[ManifestRow]:
    text = _JsonText(text_chunks(handle, uri))
    is_array = text.next_char() == "["
    if is_array:
        text.skip_char()
    end = "]" if is_array else ""
    for number in itertools.count():
        where = f"{uri} row {number}"
        found = text.next_char()
        if found == end:
            break
        if is_array and number:
            if found != ",":
                raise InputError(
                    f"{where}: not JSON: got {found or 'the end'!r}, wanted , or ] after an object"
                )
            text.skip_char()
            found = text.next_char()
        if found != "{":
            raise InputError(f"{where}: not a JSON object: begins with {found!r}; {_WANTED}")
        yield ManifestRow(where, text.read_object(where))
    if is_array:
        text.skip_char()
        if found := text.next_char():
            raise InputError(f"{uri}: not JSON: got {found!r} after the array, wanted its end")


class _JsonText:
    """JSON in pieces, of which no more is held than an object and a piece."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self._text = ""
        self._at = 0

    def next_char(self) -> str:
        """Returns what follows after any space, and leaves it there; empty at the end."""
        while True:
            self._at = _end_of_space(self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def skip_char(self) -> None:
        """Passes over what next_char returned."""
        self._at += 1

    def read_object(self, where: str) -> dict[str, object]:
        """Reads the object that begins here.

        Raises:
            InputError: If it is none, or longer than MAX_LINE_BYTES characters.
        """
        while True:
            try:
                values: dict[str, object]
                values, self._at = _DECODER.raw_decode(self._text, self._at)
                return values
            except (ValueError, RecursionError) as error:  # It may go on in the next piece.
                if len(self._text) - self._at > MAX_LINE_BYTES:
                    raise InputError(
                        f"{where}: no JSON object in {MAX_LINE_BYTES:,} characters: {error}; "
                        f"{_WANTED}"
                    ) from error
                if not self._read_on():
                    raise InputError(f"{where}: not JSON: {error}; {_WANTED}") from error

    def _read_on(self) -> bool:
        chunk = next(self._chunks, None)
        self._text, self._at = self._text[self._at :] + (chunk or ""), 0
        return chunk is not None


def _end_of_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start


JSON_LINES = ManifestFormat(_lines_schema, _lines_rows, names_are_in_rows=True)
JSON_OBJECTS = ManifestFormat(_objects_schema, _objects_rows, names_are_in_rows=True)
