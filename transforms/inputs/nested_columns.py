"""Columns inside of columns, by dotted names: photo.thumb is the field thumb of the struct photo.

A column that has the very name, dots and all, goes before.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def find_column(fields: pa.Schema | pa.StructType, name: str) -> tuple[str, ...] | None:
    """Finds the names that lead to a column: ("photo", "thumb") of photo.thumb.

    Returns:
        The names; None if there is no such column, or several are called so.
    """
    if fields.get_field_index(name) >= 0:
        return (name,)
    parts = name.split(".")
    for count in range(1, len(parts)):
        head, rest = ".".join(parts[:count]), ".".join(parts[count:])
        place = fields.get_field_index(head)
        if place >= 0 and pa.types.is_struct(fields.field(place).type):
            inner = find_column(fields.field(place).type, rest)
            if inner is not None:
                return (head, *inner)
    return None


def column_field(schema: pa.Schema, name: str) -> pa.Field | None:
    """Returns the name and type of a column, under its dotted name; None if it is not there."""
    path = find_column(schema, name)
    if path is None:
        return None
    field = schema.field(path[0])
    for part in path[1:]:
        field = field.type.field(part)
    return field.with_name(name)


def with_nested(schema: pa.Schema) -> pa.Schema:
    """Adds the columns inside of columns to a schema, under their dotted names.

    Of photo: struct<path: string> it makes photo: struct<path: string>, photo.path: string.
    """
    fields = list(schema)
    for field in fields:  # It grows as it is gone through.
        if pa.types.is_struct(field.type):
            inner = (field.type.field(place) for place in range(field.type.num_fields))
            fields += [
                one.with_name(f"{field.name}.{one.name}")
                for one in inner
                if schema.get_field_index(f"{field.name}.{one.name}") < 0
            ]
    return pa.schema(fields)


def take_column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    """Takes a column out of rows, null where a struct around it is; None if it is not there."""
    path = find_column(batch.schema, name)
    if path is None:
        return None
    column = batch.column(path[0])
    for part in path[1:]:
        column = pc.struct_field(column, part)
    return column


def take_columns(batch: pa.RecordBatch, names: Sequence[str]) -> pa.Table:
    """Makes a table of columns by their dotted names, all of which must be there."""
    return pa.Table.from_arrays([take_column(batch, name) for name in names], names=list(names))
