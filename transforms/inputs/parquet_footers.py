"""What a Parquet file's footer tells of the images in it, before a row is read."""

import itertools
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.errors import CorruptRecordError, ImageError, InputError
from transforms.files.foreign_parquet import damage_reported, open_parquet, rows_of_groups
from transforms.files.uris import open_uri
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_column import check_image_type, has_bytes, may_be_text
from transforms.inputs.look import Look
from transforms.inputs.nested_columns import column_field, find_column
from transforms.inputs.place import Place
from transforms.records import InputFile

FOOTERS_AT_ONCE = 32
"""An object store takes its time for each, and takes many at once."""

IMAGE_KEY = "image"
"""The usual column with the encoded image."""

ID_KEY = "image_id"
"""The usual column with the image_id, used where there is one and it is not empty."""

_EXACT_IN_DOUBLE = 2**53


def peek_parquet_schema(
    uri: str, image_key: str | None, image_id_from: str | None, carry_columns: Sequence[str]
) -> pa.Schema | None:
    """Looks at a Parquet file's footer for the columns that a run wants.

    Returns:
        The carried columns, with their Arrow types; None if the file cannot be read, or has no
        rows: what wrote it chose types, and columns, without any value.

    Raises:
        InputError: If a column is missing, or the image column holds no bytes.
    """
    columns = FileColumns(image_key, image_id_from, pa.schema([]))
    try:
        with open_uri(uri) as handle, damage_reported():
            parquet = open_parquet(handle)
            schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
    except ImageError:  # Reading it will say so, of this file alone.
        return None
    if not rows:
        return None
    try:
        check_columns(schema, columns, carry_columns)
    except ImageError as error:
        raise InputError(f"Parquet input {uri}: {error}") from error
    fields = [column_field(schema, name) for name in carry_columns]
    # The next file's column may hold nulls, or other notes.
    return pa.schema([field.with_nullable(True).remove_metadata() for field in fields if field])


def check_exact(uri: str, names: Sequence[str]) -> None:
    """Checks, by a footer's statistics, that integers may become double: that none is rounded.

    Args:
        uri: The file.
        names: Columns of integers.

    Raises:
        InputError: If one holds a larger one than double tells from its neighbours.
        ImageError: If the footer cannot be read.
        OSError: If the storage fails.
    """
    with open_uri(uri) as handle, damage_reported():
        footer = open_parquet(handle).metadata
        groups = [footer.row_group(group) for group in range(footer.num_row_groups)]
        chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
        ranges = [
            (chunk.path_in_schema, chunk.statistics.min, chunk.statistics.max)
            for chunk in chunks
            if chunk.path_in_schema in names
            and chunk.statistics is not None
            and chunk.statistics.has_min_max
        ]
    for name, least, most in ranges:
        if max(-least, most) > _EXACT_IN_DOUBLE:
            raise InputError(
                f"--carry_columns {name}: {uri} has {max(least, most, key=abs)}, and another file "
                "double, which cannot hold so large an integer exactly; write the column as "
                "integers or as text in all files, or run them apart"
            )


def may_hold_images(uri: str) -> bool:
    """Tells by its footer whether a Parquet file has a column of bytes, at any depth.

    A column of the usual name that is all null counts: its rows are images that are missing.

    Raises:
        ImageError: If the footer cannot be read.
        OSError: If the storage fails.
    """
    with open_uri(uri) as handle, damage_reported():
        schema = open_parquet(handle).schema_arrow
    return any(
        has_bytes(field.type) or (field.name == IMAGE_KEY and _is_image(field.type))
        for field in schema
    )


def _is_image(stored: pa.DataType) -> bool:
    try:
        check_image_type(IMAGE_KEY, stored)
    except CorruptRecordError:
        return pa.types.is_null(stored)
    return True


def look_at_parquet(file: InputFile, columns: FileColumns) -> Look:
    """Reads how many rows a file says it has.

    Raises:
        ImageError: If its footer cannot be read.
        OSError: If the storage fails.
    """
    with open_uri(file.uri) as handle, damage_reported():
        rows: int = open_parquet(handle).metadata.num_rows
    # A footer may lie: no file holds more images than bytes. One failure is what is left of it.
    return Look(rows if 0 <= rows <= file.size_bytes else 1, file.size_bytes, is_whole=True)


def parquet_places(file: InputFile) -> Iterator[Place]:
    """Finds the row groups of a file, before each of which it may be cut.

    Raises:
        ImageError: If its footer cannot be read.
        OSError: If the storage fails.
    """
    with open_uri(file.uri) as handle, damage_reported():
        footer = open_parquet(handle).metadata
        rows = rows_of_groups(footer)
        sizes = [_stored_bytes(footer.row_group(group)) for group in range(len(rows))]
    if sum(rows) != footer.num_rows or not 0 < footer.num_rows <= file.size_bytes:
        return  # It lies; reading it says so.
    firsts = itertools.accumulate(rows, initial=0)
    offsets = itertools.accumulate(sizes, initial=0)
    for group, (first, offset, count) in enumerate(zip(firsts, offsets, rows, strict=False)):
        if count:
            yield Place(first, group, offset)


def _stored_bytes(group: pq.RowGroupMetaData) -> int:
    return sum(group.column(place).total_compressed_size for place in range(group.num_columns))


def check_columns(schema: pa.Schema, columns: FileColumns, carried: Sequence[str]) -> None:
    """Checks that the columns that a run wants are there, and fit to be what they are for.

    Raises:
        CorruptRecordError: If not.
    """
    image_key = columns.image_key or IMAGE_KEY
    wanted = {"--image_key": [image_key], "--carry_columns": carried}
    if columns.id_column is not None:
        wanted["--image_id_from"] = [columns.id_column]
    for flag, names in wanted.items():
        for name in names:
            if find_column(schema, name) is None:
                raise CorruptRecordError(
                    f"no column {name!r} ({flag}), or several; it has {', '.join(schema.names)}"
                )
    id_field = column_field(schema, id_column(columns) or "")
    if id_field is not None and not may_be_text(id_field.type):
        raise CorruptRecordError(
            f"column {id_field.name!r} is {id_field.type}; wanted a string or a number "
            "as image_id: name another column by --image_id_from, or say --image_id_from uri"
        )
    image_field = column_field(schema, image_key)
    assert image_field is not None, "it is one of the wanted"
    check_image_type(image_key, image_field.type)


def id_column(columns: FileColumns) -> str | None:
    """Returns the column that holds ids, which need not be there; None if none does."""
    return columns.id_column or (ID_KEY if columns.image_id_from is None else None)
