"""What must be known of a format of manifests, and a row of one."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa


class ManifestRow(NamedTuple):
    """A row of a manifest.

    Attributes:
        where: The file and line, or row, for messages.
        values: The columns that were asked for and are there; of JSON, all that are there.
    """

    where: str
    values: dict[str, object]


class ManifestFormat(NamedTuple):
    """A format of manifests.

    Attributes:
        schema: The peek at the columns' names and types, given a handle, its uri and the columns
            of which one should be there.
        rows: The reader of all rows, given a handle, its uri, the same columns, and the others that
            are wanted.
        names_are_in_rows: Whether each row names its columns, so that a list without rows has none.
    """

    schema: Callable[[io.BufferedReader, str, Sequence[str]], pa.Schema]
    rows: Callable[[io.BufferedReader, str, Sequence[str], Sequence[str]], Iterator[ManifestRow]]
    names_are_in_rows: bool = False
