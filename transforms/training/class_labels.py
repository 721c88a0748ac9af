"""Which classes each image belongs to: from its directory, a column, or a csv."""

import csv
import dataclasses
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import InputError
from transforms.files.atomic_files import read_whole
from transforms.schemas import IMAGE_ID

LABEL = "label"

_SHOWN_IDS = 3


@dataclasses.dataclass(frozen=True)
class ClassLabels:
    """The classes of rows, one row's after the other's: rows need not have as many.

    Four rows, "cat", "dog" and "cat", no class, no label:

        names        ("cat", "dog")
        starts       [0, 1, 3, 3, 3]
        indices      [0, 1, 0]
        is_labelled  [true, true, true, false]

    Attributes:
        names: The classes, in order of their index: by number if all are numbers, else by letter.
        starts: int64 [rows + 1]; row i has the classes indices[starts[i] : starts[i + 1]].
        indices: int32, the classes of one row after the other's.
        is_labelled: bool [rows]; others take no part. A row may be labelled and have no class.
    """

    names: tuple[str, ...]
    starts: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    is_labelled: npt.NDArray[np.bool_]

    @property
    def per_row(self) -> npt.NDArray[np.int64]:
        """Number of classes of each row."""
        return np.diff(self.starts)

    def select(self, rows: npt.NDArray[np.bool_]) -> "ClassLabels":
        """Returns the classes of some rows.

        Args:
            rows: bool [rows], those to keep.
        """
        counts = self.per_row
        kept = self.indices[np.repeat(rows, counts)]
        starts = np.concatenate([[0], np.cumsum(counts[rows])])
        return ClassLabels(self.names, starts, kept, self.is_labelled[rows])

    def count(self) -> npt.NDArray[np.int64]:
        """Counts the rows of each class: int64 [classes]."""
        return np.bincount(self.indices, minlength=len(self.names))

    def targets(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Returns float32 [rows, classes], 1 where the row is of the class.

        Args:
            rows: Row numbers, any and in any order.
        """
        targets = np.zeros((len(rows), len(self.names)), np.float32)
        counts = self.per_row[rows]
        # For rows of 1, 2 and 0 classes: 0, 0, 1, the place of a class within its row.
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        found = self.indices[np.repeat(self.starts[rows], counts) + within]
        targets[np.repeat(np.arange(len(rows)), counts), found] = 1
        return targets


def labels_of_csv(uri: str, image_ids: pa.ChunkedArray) -> tuple[pa.ListArray, str]:
    """Reads labels from a csv with the columns image_id and label; several lines an image may be.

    Args:
        uri: The file; any scheme that file_systems knows.
        image_ids: The rows'.

    Returns:
        Each row's labels, null where the csv does not have it; and what in the csv has no row, or
        nothing.

    Raises:
        InputError: If it cannot be read, or none of its images is there.
    """
    ids, names = _read_csv(uri)
    wanted = pa.array(ids, pa.large_string())
    positions = pc.index_in(wanted, value_set=image_ids.cast(pa.large_string()))
    absent = pc.is_null(positions)
    unknown = wanted.filter(absent).unique()
    shown = ", ".join(unknown.slice(0, _SHOWN_IDS).to_pylist())
    if len(unknown) and pc.all(absent).as_py():
        raise InputError(
            f"{uri}: none of its {len(unknown):,} image_ids is among the vectors, such as {shown}; "
            f"those are like {image_ids[0]}"
        )
    rows = positions.drop_null().to_numpy()
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=len(image_ids))
    starts = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    values = pa.array(names, pa.large_string()).filter(pc.invert(absent)).take(pa.array(order))
    lists = pa.ListArray.from_arrays(starts, values, mask=pa.array(counts == 0))
    note = f"{len(unknown):,} image_ids of {uri} have no vector: {shown}" if len(unknown) else ""
    return lists, note


def encode_labels(lists: pa.ListArray, *, exclusive: bool) -> ClassLabels:
    """Turns names into classes.

    Args:
        lists: Labels of each row, as strings; null where it has none.
        exclusive: Whether a row is of exactly one class; one without then takes no part.

    Raises:
        InputError: If a row has several labels and they exclude each other, a label is empty or
            has several lines, or there are fewer than two classes.
    """
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    is_labelled = np.asarray(lists.is_valid())
    if exclusive:
        is_labelled = is_labelled & (counts > 0)
        if several := int((counts > 1).sum()):
            row = int(np.flatnonzero(counts > 1)[0])
            raise InputError(
                f"{several:,} images have several labels, such as {lists[row].as_py()}; train with "
                "--activation sigmoid, for which classes do not exclude each other"
            )
    values = lists.flatten()
    if values.null_count or pc.any(pc.equal(values, "")).as_py():
        raise InputError("an image has an empty label; leave the image out or name its class")
    names = sorted(values.unique().to_pylist())
    if broken := [name for name in names if len(name.splitlines()) > 1]:
        raise InputError(f"a label has a line break: {broken[0]!r}; it could not be in labels.txt")
    if all(map(str.isdecimal, names)):
        names.sort(key=int)
    if len(names) < 2:
        raise InputError(
            f"{len(names)} classes ({', '.join(names) or 'no image has a label'}), wanted at least "
            "2; see --label_from"
        )
    indices = (
        pc.index_in(values, value_set=pa.array(names, values.type)).to_numpy().astype(np.int32)
    )
    starts = np.concatenate([[0], np.cumsum(counts)])
    return ClassLabels(tuple(names), starts, indices, is_labelled)


def _read_csv(uri: str) -> tuple[Sequence[str], Sequence[str]]:
    try:
        text = read_whole(uri).decode("utf-8-sig")
    # Beam wraps a failed open in BeamIOError, an OSError; an unknown scheme is a ValueError.
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read labels {uri}: {error}") from error
    rows = csv.DictReader(io.StringIO(text), strict=True)
    try:
        if not {IMAGE_ID, LABEL} <= set(rows.fieldnames or ()):
            raise InputError(
                f"labels {uri} have the columns {rows.fieldnames}, wanted {IMAGE_ID} and {LABEL}"
            )
        pairs = [(row[IMAGE_ID], row[LABEL] or "") for row in rows]
    except csv.Error as error:
        raise InputError(f"labels {uri} are not CSV: {error}") from error
    if not pairs:
        raise InputError(f"labels {uri} have no rows")
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
