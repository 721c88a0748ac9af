"""One type for a carried column that files of one table hold in several.

pandas and datasets write each file by what is in it: a column that is null throughout in one file
is text in the next, and int64 becomes double where one value is missing:

    00.parquet  note: null, label: int64
    01.parquet  note: string, label: double  ->  note: string, label: double

Views of text, which Polars writes, become text: Arrow cannot take rows of them.
"""

from collections.abc import Mapping

import pyarrow as pa

from transforms.errors import InputError

_PLAIN = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def unify_carried(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """Finds the types that hold what every file has.

    A type is widened (null to any, int32 to int64, integer to double, string to large_string, a
    time's unit to a finer one), inside of lists and structs, too. Dictionaries that are not alike
    become what they stand for, and views are plain. Numbers never become text, nor text numbers.

    Args:
        schemas: The carried columns by the file's uri, at least one; all have the same names, but
            for those without any, as of an empty list in JSON, which say nothing.

    Raises:
        InputError: If there is no such type; names two files and what they hold.
    """
    plain = {uri: _without_views(schema) for uri, schema in schemas.items()}
    telling = {uri: schema for uri, schema in plain.items() if schema.names} or plain
    (first_uri, unified), *others = telling.items()
    uri_of_type = {(field.name, field.type): first_uri for field in unified}
    for uri, schema in others:
        if schema.equals(unified):
            continue
        fields = []
        for before, now in zip(unified, schema, strict=True):
            wide = common_type(before.type, now.type)
            if wide is None:
                earlier = uri_of_type.get((before.name, before.type), first_uri)
                raise InputError(
                    f"--carry_columns {before.name}: {earlier} has {before.type}, {uri} has "
                    f"{now.type}, and no type holds both; write the column alike in all files, or "
                    "run them apart"
                )
            uri_of_type.setdefault((before.name, wide), uri)
            fields.append(pa.field(before.name, wide))
        unified = pa.schema(fields)
    return unified


def common_type(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    """Returns a type that holds what two hold; None if there is none."""
    if first.equals(second):
        return first
    pair = [_decoded(first), _decoded(second)]
    if _loses_values(pair):
        return None
    try:
        schemas = [pa.schema([("", values)]) for values in pair]
        wide = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        for values in (first, second):
            pa.nulls(1, values).cast(wide)
    except pa.ArrowException:
        return None
    return wide


def _without_views(schema: pa.Schema) -> pa.Schema:
    return pa.schema([_plain_field(field) for field in schema])


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain(field.type))


def _plain(values: pa.DataType) -> pa.DataType:
    """Returns a type without views, at any depth: list<string> of list<string_view>."""
    types = pa.types
    if types.is_struct(values):
        return pa.struct([_plain_field(field) for field in values])
    if types.is_map(values):
        key, item = _plain_field(values.key_field), _plain_field(values.item_field)
        return pa.map_(key, item, values.keys_sorted)
    if types.is_fixed_size_list(values):
        return pa.list_(_plain_field(values.value_field), values.list_size)
    if types.is_list(values):
        return pa.list_(_plain_field(values.value_field))
    if types.is_large_list(values):
        return pa.large_list(_plain_field(values.value_field))
    return _PLAIN.get(values, values)


def _decoded(values: pa.DataType) -> pa.DataType:
    return _plain(values.value_type) if pa.types.is_dictionary(values) else values


def _loses_values(pair: list[pa.DataType]) -> bool:
    """Whether Arrow's wider type is too narrow: int64 for uint64, double for decimals."""
    is_cut = pa.uint64() in pair and any(map(pa.types.is_signed_integer, pair))
    is_rounded = any(map(pa.types.is_decimal, pair)) and any(map(pa.types.is_floating, pair))
    return is_cut or is_rounded
