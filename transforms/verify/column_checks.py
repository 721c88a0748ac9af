"""Columns and footers of data files against what _run.json says of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from transforms.runs.finding import Finding
from transforms.runs.footers import dimension_of
from transforms.runs.recipe import has_statistics
from transforms.schemas import classification_schema, embedding_schema

_KEPT_TYPES = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "halffloat",
    "float", "double", "string", "large_string", "binary", "large_binary", "date32[day]",
}  # fmt: skip
"""Types that are the same in a Parquet file; others, such as timestamp[s], become another there."""

_NO_COLUMNS = pa.schema([])


def own_columns(record: Mapping[str, Any], embedding_dim: int = 1) -> pa.Schema:
    """Returns the columns that a run's data files have before the carried ones."""
    outputs = record["recipe"]["outputs"]
    statistics = has_statistics(record["recipe"])
    if record["recipe"]["program"] == "embed":
        dtype = outputs["embedding_dtype"]
        return embedding_schema(embedding_dim, dtype, _NO_COLUMNS, {}, statistics=statistics)
    return classification_schema(_NO_COLUMNS, {}, statistics=statistics)


def check_schema(
    name: str, schema: pa.Schema, record: Mapping[str, Any], first: pa.Schema | None
) -> Iterator[Finding]:
    """Checks a data file's columns, their order and types; not the length of its vectors.

    Args:
        name: The file's name within the run.
        schema: Schema of the data file.
        record: The content of _run.json.
        first: Schema of a file before, if there is one: all are to have the same carried types.
    """
    own = own_columns(record, dimension_of(schema) or 1)
    carried = record["columns"]["carry_columns"]
    columns = [*own.names, *carried]
    if schema.names != columns:
        yield Finding(name, "columns", ", ".join(schema.names), ", ".join(columns))
        return
    wanted = {column: kind for column, kind in carried.items() if kind in _KEPT_TYPES}
    if first is not None:
        wanted = {column: str(first.field(column).type) for column in carried} | wanted
    wanted |= {field.name: _describe(field) for field in own}
    for field in schema:
        found = _describe(field) if field.name in own.names else str(field.type)
        if found != wanted.get(field.name, found):
            yield Finding(name, f"type of {field.name}", found, wanted[field.name])


def check_names(name: str, found: set[str], record: Mapping[str, Any]) -> Iterator[Finding]:
    """Checks that a file of a format without a schema has the run's columns and no other.

    A record that lacks a carried one cannot be told from one in which it is null.

    Args:
        name: The file's name within the run.
        found: Names of the columns that some row has; none if it has no rows.
        record: The content of _run.json.
    """
    wanted = {*own_columns(record).names, *record["columns"]["carry_columns"]}
    if found and found != wanted:
        yield Finding(name, "features", ", ".join(sorted(found)), ", ".join(sorted(wanted)))


def _describe(field: pa.Field) -> str:
    return f"{field.type}" + ("" if field.nullable else " not null")
