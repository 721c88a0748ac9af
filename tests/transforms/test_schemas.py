"""Schemas: every column of the output is one that is read, or one that is computed."""

import pyarrow as pa
import pytest

from transforms.schemas import (
    classification_schema,
    computed_columns,
    embedding_schema,
    read_schema,
)

CARRIED = pa.schema([pa.field("label", pa.string())])


@pytest.mark.parametrize(
    ("stem", "output"),
    [
        ("embeddings", embedding_schema(2, "float32", CARRIED, {})),
        ("classifications", classification_schema(CARRIED, {})),
    ],
)
def test_a_kept_row_and_a_listing_make_a_row_of_the_output(stem: str, output: pa.Schema) -> None:
    read, computed = read_schema(CARRIED).names, computed_columns(stem)
    assert sorted([*read, *computed]) == sorted(output.names)
