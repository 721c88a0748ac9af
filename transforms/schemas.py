"""The output tables: column names, types, and what the footer says about their making."""

from collections.abc import Mapping

import pyarrow as pa

IMAGE_ID = "image_id"
URI = "uri"
EMBEDDING = "embedding"
CLASS_INDEX = "class_index"
CLASS_LABEL = "class_label"
SCORE = "score"
WIDTH = "width"
HEIGHT = "height"
CONTENT_SHA256 = "content_sha256"

BRIGHTNESS = "brightness"
SHARPNESS = "sharpness"
FORMAT = "format"
MODE = "mode"
COLOR_PROFILE = "color_profile"

READ_FIELDS = (
    pa.field(IMAGE_ID, pa.string(), nullable=False),
    pa.field(URI, pa.string(), nullable=False),
    pa.field(CONTENT_SHA256, pa.string(), nullable=False),
)
"""What a reader gives for every image, before the carried columns."""

SIZE_FIELDS = (
    pa.field(WIDTH, pa.int32(), nullable=False),
    pa.field(HEIGHT, pa.int32(), nullable=False),
)
"""What the decoder finds out of every image."""

STATISTICS_FIELDS = (
    pa.field(BRIGHTNESS, pa.float32(), nullable=False),
    pa.field(SHARPNESS, pa.float32(), nullable=False),
    pa.field(FORMAT, pa.string(), nullable=False),
    pa.field(MODE, pa.string(), nullable=False),
    pa.field(COLOR_PROFILE, pa.string(), nullable=False),
)
"""What is measured of every image on request."""

STATISTICS = frozenset(field.name for field in STATISTICS_FIELDS)

MODEL_COLUMNS = {
    "embeddings": (EMBEDDING,),
    "classifications": (CLASS_INDEX, CLASS_LABEL, SCORE),
}
"""What the model's outputs become, by what a data file holds."""

RESERVED = frozenset(
    {IMAGE_ID, URI, EMBEDDING, CLASS_INDEX, CLASS_LABEL, SCORE, WIDTH, HEIGHT, CONTENT_SHA256}
)
"""Names that a carried column may not have."""


def computed_columns(stem: str, *, statistics: bool = False) -> tuple[str, ...]:
    """Names the output's columns that take work: all but those of a batch as read.

    A refresh takes these from the run before for an image that is unchanged, and the others from
    the listing of now: the output has no third kind. A new column of the output is named here.

    Args:
        stem: Word for the content of the data files: "embeddings" or "classifications".
        statistics: Whether there are those of STATISTICS_FIELDS.
    """
    measured = STATISTICS_FIELDS if statistics else ()
    return (*(field.name for field in (*SIZE_FIELDS, *measured)), *MODEL_COLUMNS[stem])


def read_schema(carried: pa.Schema) -> pa.Schema:
    """Returns the schema of a batch as read: the read fields, then the carried columns."""
    return pa.schema([*READ_FIELDS, *carried])


def embedding_schema(
    embedding_dim: int,
    dtype: str,
    carried: pa.Schema,
    metadata: Mapping[str, str],
    *,
    statistics: bool = False,
) -> pa.Schema:
    """Returns the schema of an embeddings table.

    Args:
        embedding_dim: Width of every vector.
        dtype: "float32" or "float16".
        carried: The carried columns, written last and untouched.
        metadata: Entries of the footer: model, preprocessing, versions.
        statistics: Whether there are the columns of STATISTICS_FIELDS.
    """
    values = {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    vector = pa.list_(pa.field("element", values, nullable=False), embedding_dim)
    columns = [pa.field(EMBEDDING, vector, nullable=False)]
    return _output_schema(columns, carried, metadata, statistics=statistics)


def classification_schema(
    carried: pa.Schema, metadata: Mapping[str, str], *, statistics: bool = False
) -> pa.Schema:
    """Returns the schema of a classification table: top_k classes a row, best first."""
    columns = [
        pa.field(name, pa.list_(pa.field("element", values)), nullable=False)
        for name, values in (
            (CLASS_INDEX, pa.int32()),
            (CLASS_LABEL, pa.string()),
            (SCORE, pa.float32()),
        )
    ]
    return _output_schema(columns, carried, metadata, statistics=statistics)


def _output_schema(
    columns: list[pa.Field],
    carried: pa.Schema,
    metadata: Mapping[str, str],
    *,
    statistics: bool,
) -> pa.Schema:
    image_id, uri, content_sha256 = READ_FIELDS
    measured = STATISTICS_FIELDS if statistics else ()
    fields = [image_id, uri, *columns, *SIZE_FIELDS, *measured, content_sha256, *carried]
    return pa.schema(fields, metadata=dict(metadata))
