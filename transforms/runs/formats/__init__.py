"""The formats of data files: a module of its own here each, and a line below."""

FORMATS = (
    "parquet",
    "tfrecord",
)
"""Names of the formats: of their modules here, in --output_format, and at the end of file names."""
