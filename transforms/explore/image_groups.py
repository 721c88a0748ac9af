"""What images have in common that is worth a colour: their directory, or a carried column."""

import collections
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.boxes import box_names
from transforms.runs.record import PublishedRun
from transforms.runs.row_labels import labels_of_directories
from transforms.runs.rows import take_rows
from transforms.schemas import URI

MAX_GROUPS = 20
_MAX_NAME_CHARS = 40


class ImageGroups(NamedTuple):
    """Which group each image is in: its directory, or its value in a column.

    Attributes:
        meaning: Sentence on what the groups are; empty if nothing tells images apart.
        names: Names of the groups, in order; empty likewise.
        group_of: The name of each image's group.
    """

    meaning: str
    names: tuple[str, ...]
    group_of: tuple[str, ...]


def group_images(run: PublishedRun, rows: npt.NDArray[np.int64]) -> ImageGroups:
    """Groups images by the directory that they are in, or else by the first column that can.

    Groups are what has 2 to 20 values.

    Args:
        run: The run.
        rows: int64 [count], numbers of rows.

    Raises:
        InputError: If a data file is damaged.
    """
    carried = list(run.record["columns"]["carry_columns"])
    carried = [name for name in carried if name not in box_names(carried)]
    table = take_rows(run, rows, [URI, *carried])
    columns = [("the directory of the image", labels_of_directories(table[URI]))]
    columns += [(f"the column {name}", table[name]) for name in carried]
    for meaning, column in columns:
        values = [_to_text(value) for value in column.to_pylist()]
        counts = collections.Counter(values)
        if 2 <= len(counts) <= MAX_GROUPS:
            return ImageGroups(meaning, tuple(sorted(counts)), tuple(values))
    return ImageGroups("", (), ("",) * len(rows))


def _to_text(value: object) -> str:
    if isinstance(value, list):  # A carried column of a TFRecord is one of lists.
        text = ", ".join(map(_to_text, value)) if value else "none"
    elif isinstance(value, bytes):
        text = value.decode(errors="replace")
    else:
        text = "none" if value is None else str(value)
    return text if len(text) <= _MAX_NAME_CHARS else f"{text[: _MAX_NAME_CHARS - 1]}…"
