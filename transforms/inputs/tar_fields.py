"""The fields of a tar's samples as columns: text, a class, or a value inside of JSON.

Of the members 000.cls (b"3"), 000.txt (b"a cat") and 000.json (b'{"boxes": [[1, 2, 30, 40]]}') of a
sample

    cls          3                   int64
    txt          "a cat"             string
    json         '{"boxes": ...}'    string
    json.boxes   [[1, 2, 30, 40]]    list<list<int64>>
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from transforms.errors import CorruptRecordError, ImageError, InputError
from transforms.inputs.carried_types import unify_carried
from transforms.inputs.json_values import find_value, fitted, is_open, parse_json, widened
from transforms.inputs.tar_samples import Sample

CLASS_FIELD = "cls"
"""The field that is carried as int64 if the first is a whole number; other text is strings."""

LEAST_SAMPLES = 16
"""Samples that decide the types of values in JSON."""

_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_IN_JSON = re.compile(r"((?:[^.]+\.)*?json)\.(.+)")


class _InJson(NamedTuple):
    field: str
    name: str


def _in_json(column: str) -> _InJson | None:
    """Splits json.boxes into the field json and the name boxes; None if it is a field."""
    found = _IN_JSON.fullmatch(column)
    return _InJson(*found.groups()) if found else None


def fields_of(columns: Iterable[str]) -> set[str]:
    """Returns the fields to read for columns."""
    return {inside.field if (inside := _in_json(column)) else column for column in columns}


def read_values(sample: Sample, schema: pa.Schema) -> list[object]:
    """Reads the columns of a sample.

    Raises:
        ImageError: If one of them is not as the schema has it.
    """
    contents: dict[str, object] = {}
    return [_value(sample, column, contents) for column in schema]


def read_id(sample: Sample, column: str) -> str:
    """Reads the column that holds the image_id: text, or in JSON text or an integer.

    Raises:
        ImageError: If there is none.
    """
    inside = _in_json(column)
    found = sample.text(column) if inside is None else _find(sample, inside, {})
    text = str(found).strip() if type(found) in (str, int) else ""
    if not text:
        raise CorruptRecordError(f"its {column} (--image_id_from) is empty or not there")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CorruptRecordError(f"its {column} (--image_id_from) is no Unicode") from error
    return text


def _value(sample: Sample, column: pa.Field, contents: dict[str, object]) -> object:
    inside = _in_json(column.name)
    if inside is None:
        return _text_value(sample, column)
    try:
        return fitted(_find(sample, inside, contents), column.type)
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise CorruptRecordError(
            f"its {column.name} does not fit {column.type}, as in the first files: {error}"
        ) from error


def _text_value(sample: Sample, column: pa.Field) -> str | int | None:
    text = sample.text(column.name)
    if text is None or column.type != pa.int64():
        return text
    if not _WHOLE_NUMBER.fullmatch(text.strip()):
        raise CorruptRecordError(
            f"its {column.name} is {text[:80]!r}, no whole number as in the first files"
        )
    return int(text)


def _find(sample: Sample, inside: _InJson, contents: dict[str, object]) -> object:
    """Finds a value in JSON, which is parsed once a sample."""
    if inside.field not in contents:
        text = sample.text(inside.field)
        try:
            contents[inside.field] = None if text is None else parse_json(text)
        except CorruptRecordError as error:
            raise CorruptRecordError(f"its {inside.field} is {error}") from error
    return find_value(contents[inside.field], inside.name)


class FieldTypes:
    """Finds out what columns there are in a file, and their types, by its first samples.

    Attributes:
        seen: Fields that samples have, and names in their JSON, for messages.
    """

    def __init__(self, uri: str, columns: Collection[str]) -> None:
        self.seen: set[str] = set()
        self._uri = uri
        self._texts: dict[str, str] = {}
        self._in_json = {column: inside for column in columns if (inside := _in_json(column))}
        self._fields = set(columns) - self._in_json.keys()
        self._types = dict.fromkeys(self._in_json, pa.null())
        self._samples = 0

    def add(self, sample: Sample) -> None:
        """Looks at a sample.

        Raises:
            InputError: If a field that is wanted as text is none.
        """
        self._samples += 1
        self.seen.update(sample.fields)
        for field in (self._fields & sample.texts.keys()) - self._texts.keys():
            try:
                self._texts[field] = sample.text(field) or ""
            except ImageError as error:
                raise InputError(
                    f"{self._uri}: sample {sample.index}: {error}, and cannot be carried"
                ) from error
        contents: dict[str, object] = {}
        for column, inside in self._in_json.items():
            try:
                found = _find(sample, inside, contents)
                self._types[column] = widened(self._types[column], found)
            except ImageError:
                continue  # Reading the sample will say so.
        for field, content in contents.items():
            if isinstance(content, dict):
                self.seen.update(f"{field}.{name}" for name in content)

    @property
    def missing(self) -> set[str]:
        """Columns that no sample has."""
        absent = {column for column, known in self._types.items() if pa.types.is_null(known)}
        return absent | (self._fields - self._texts.keys())

    @property
    def are_found(self) -> bool:
        """Whether more samples are not needed."""
        if self._in_json and self._samples < LEAST_SAMPLES:
            return False
        return not self.missing and not any(map(is_open, self._types.values()))

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """Returns the types of columns that are not missing."""
        is_number = _WHOLE_NUMBER.fullmatch(self._texts.get(CLASS_FIELD, "").strip())
        text = {CLASS_FIELD: pa.int64()} if is_number else {}
        known = self._types | text
        return pa.schema((column, known.get(column, pa.string())) for column in columns)


def unify_fields(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """Finds the types of carried columns: of text a type that all files have, else string.

    Args:
        schemas: The carried columns by the tar's uri, at least one; all have the same names.

    Raises:
        InputError: If no type holds what two files have in JSON, or there is no value at all.
    """
    fields = []
    for column in next(iter(schemas.values())).names:
        own = {uri: pa.schema([schema.field(column)]) for uri, schema in schemas.items()}
        if _in_json(column):
            unified = unify_carried(own).field(column).type
            if is_open(unified):
                raise InputError(
                    f"--carry_columns {column}: the first samples of {next(iter(own))} hold no "
                    "value there, so its type is not known"
                )
        else:
            types = {schema.field(column).type for schema in own.values()}
            unified = types.pop() if len(types) == 1 else pa.string()
        fields.append(pa.field(column, unified))
    return pa.schema(fields)
