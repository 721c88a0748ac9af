"""The fields of a tar's samples as columns: text, a class, or a value inside of JSON.

Of the members 000.cls (b"3"), 000.txt (b"a cat") and 000.json (b'{"boxes": [[1, 2, 30, 40]]}') of a
sample

    cls          3                   int64
    txt          "a cat"             string
    json         '{"boxes": ...}'    string
    json.boxes   [[1, 2, 30, 40]]    list<list<int64>>
"""

import collections
import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from transforms.errors import CorruptRecordError, ImageError, InputError
from transforms.inputs.carried_types import unify_carried
from transforms.inputs.json_values import (
    as_numbers,
    find_value,
    fitted,
    is_open,
    parse_json,
    type_of,
    type_of_most,
)
from transforms.inputs.tar_samples import Sample

CLASS_FIELD = "cls"
"""The field that is carried as int64 if the first is a whole number; other text is strings."""

LEAST_SAMPLES = 16
"""Samples that decide the types of values in JSON."""

_NAMES_TOLD = 20
_CHARACTERS_TOLD = 80

_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_IN_JSON = re.compile(r"((?:[^.]+\.)*?json)\.(.+)")


class _InJson(NamedTuple):
    field: str
    name: str


@functools.cache  # Of each sample it is asked for the same few columns.
def _in_json(column: str) -> _InJson | None:
    """Splits json.boxes into the field json and the name boxes; None if it is a field."""
    found = _IN_JSON.fullmatch(column)
    return _InJson(*found.groups()) if found else None


def fields_of(columns: Iterable[str]) -> set[str]:
    """Returns the fields that samples have for columns: json of json.boxes.

    A field that is called as the column itself is read, too, where a sample has one.
    """
    return {inside.field if (inside := _in_json(column)) else column for column in columns}


def read_values(
    sample: Sample, schema: pa.Schema, box_columns: Collection[str] = ()
) -> list[object]:
    """Reads the columns of a sample.

    Args:
        sample: The sample.
        schema: The columns.
        box_columns: Those of them in which one box may be without the list around it.

    Raises:
        ImageError: If one of them is not as the schema has it.
    """
    contents: dict[str, object] = {}
    return [_value(sample, column, contents, column.name in box_columns) for column in schema]


def read_id(sample: Sample, column: str) -> str:
    """Reads the column that holds the image_id: text, or in JSON text or an integer.

    Raises:
        ImageError: If there is none.
    """
    found = _find(sample, column, {})
    text = str(found).strip() if type(found) in (str, int) else ""
    if not text:
        raise CorruptRecordError(f"its {column} (--image_id_from) is empty or not there")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CorruptRecordError(f"its {column} (--image_id_from) is no Unicode") from error
    return text


def _value(
    sample: Sample, column: pa.Field, contents: dict[str, object], has_boxes: bool
) -> object:
    found = _find(sample, column.name, contents)
    if _in_json(column.name) is None and column.type == pa.int64():
        return _whole_number(found, column.name)
    if has_boxes:
        found = as_numbers(found, column.type)
    try:
        return fitted(found, column.type)
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise CorruptRecordError(
            f"its {column.name} does not fit {column.type}, as in the first files: {error}"
        ) from error


def _whole_number(text: object, name: str) -> int | None:
    if text is None:
        return None
    if not _WHOLE_NUMBER.fullmatch(str(text).strip()):
        raise CorruptRecordError(
            f"its {name} is {str(text)[:80]!r}, no whole number as in the first files"
        )
    return int(str(text))


def _find(sample: Sample, column: str, contents: dict[str, object]) -> object:
    """Finds a field, or else a value in JSON, which is parsed once a sample.

    Raises:
        ImageError: If it is no text, or no JSON.
    """
    inside = _in_json(column)
    if inside is None or column in sample.texts:
        return sample.text(column)
    if inside.field not in contents:
        text = sample.text(inside.field)
        try:
            contents[inside.field] = None if text is None else parse_json(text)
        except CorruptRecordError as error:
            raise CorruptRecordError(f"its {inside.field} is {error}") from error
    return find_value(contents[inside.field], inside.name)


class FieldTypes:
    """Finds out what columns there are in a file, and their types, by its first samples."""

    def __init__(self, uri: str, columns: Collection[str]) -> None:
        self._seen: set[str] = set()
        self._uri = uri
        self._texts: dict[str, str] = {}
        self._in_json = {column for column in columns if _in_json(column)}
        self._fields = set(columns) - self._in_json
        self._counts = {column: collections.Counter[pa.DataType]() for column in self._in_json}
        self._faults: dict[str, list[str]] = {column: [] for column in self._in_json}
        self._samples = 0

    def add(self, sample: Sample) -> None:
        """Looks at a sample.

        Raises:
            InputError: If a field that is wanted as text is none.
        """
        self._samples += 1
        self._seen.update(sample.fields)
        for field in (self._fields & sample.texts.keys()) - self._texts.keys():
            try:
                self._texts[field] = sample.text(field) or ""
            except ImageError as error:
                raise InputError(
                    f"{self._uri}: sample {sample.index}: {error}, and cannot be carried"
                ) from error
        contents: dict[str, object] = {}
        for column, counts in self._counts.items():
            try:
                found = _find(sample, column, contents)
            except ImageError as error:  # Reading the sample will say so.
                self._faults[column].append(str(error))
                continue
            known = type_of(found)
            if known is not None:
                counts[known] += 1
            else:
                self._faults[column].append(_told(found))
        for field, content in contents.items():
            if isinstance(content, dict):
                self._seen.update(f"{field}.{name}" for name in content)

    @property
    def _types(self) -> dict[str, pa.DataType]:
        return {column: type_of_most(counts) for column, counts in self._counts.items()}

    @property
    def missing(self) -> set[str]:
        """Columns that no sample has."""
        absent = {column for column, known in self._types.items() if pa.types.is_null(known)}
        return absent | (self._fields - self._texts.keys())

    @property
    def has_samples(self) -> bool:
        """Whether there was any."""
        return bool(self._seen)

    def tell_missing(self) -> list[str]:
        """Says which columns no sample has, and what there is in their place."""
        told = []
        for column in sorted(self.missing):
            faults = self._faults.get(column, [])
            is_null = not faults and column in self._seen
            why = f" ({len(faults)} of {self._samples}: {faults[0]})" if faults else ""
            told.append(f"{column} (it is null)" if is_null else column + why)
        return told

    def tell_seen(self) -> str:
        """Says what samples have, the first of it: fields, and names in their JSON."""
        names = [name if name.isprintable() else ascii(name) for name in sorted(self._seen)]
        more = len(names) - _NAMES_TOLD
        names = [name[:_CHARACTERS_TOLD] for name in names[:_NAMES_TOLD]]
        return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")

    @property
    def are_found(self) -> bool:
        """Whether more samples are not needed."""
        if self._in_json and self._samples < LEAST_SAMPLES:
            return False
        have_fields = self._fields <= self._texts.keys()
        return have_fields and not any(map(is_open, self._types.values()))

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """Returns the types of columns that are not missing."""
        is_number = _WHOLE_NUMBER.fullmatch(self._texts.get(CLASS_FIELD, "").strip())
        text = {CLASS_FIELD: pa.int64()} if is_number else {}
        known = self._types | text
        return pa.schema((column, known.get(column, pa.string())) for column in columns)


def _told(value: object) -> str:
    """Says what a value is that has no type."""
    if isinstance(value, dict):
        return "it is an object, of which a value has one name more"
    return "it is a list of objects, of values that differ, or of too many lists"


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
