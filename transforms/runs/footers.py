"""Footers of data files: what they say of their making, against what _run.json says.

A format without a footer, as TFRecord, says nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from transforms.runs.finding import Finding
from transforms.schemas import EMBEDDING

FOOTER = {
    "model_fingerprint": "model.fingerprint",
    "preprocessing_fingerprint": "preprocessing.fingerprint",
}
"""What a footer must say, and where _run.json says it."""


def dimension_of(schema: pa.Schema) -> int | None:
    """Returns the length of the vectors, where the schema says it."""
    if EMBEDDING not in schema.names:
        return None
    column = schema.field(EMBEDDING).type
    return column.list_size if pa.types.is_fixed_size_list(column) else None


def check_footer(name: str, schema: pa.Schema, record: Mapping[str, Any]) -> Iterator[Finding]:
    """Checks that a data file says that it was made as _run.json says."""
    footer = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    for key, place in FOOTER.items():
        found, wanted = footer.get(key, "none"), value_at(record, place)
        if found != wanted:
            yield Finding(name, f"{key} in the footer", found, f"{wanted}, _run.json's {place}")


def value_at(record: Mapping[str, Any], dotted: str) -> Any:  # noqa: ANN401 - of JSON
    """Returns a value of JSON by its dotted name, or None."""
    value: Any = record
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
