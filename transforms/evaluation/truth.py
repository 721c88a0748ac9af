"""What the images of a run really are: by a file of labels, their directories, or a column.

Five rows of a run, and what labels.csv says: a.jpg is a cat, b.jpg a dog, e.jpg a cat, x.jpg a dog:

    rows      [0, 1, 4]
    labels    [0, 1, 0]     of names ("cat", "dog")
    notes     images without a label, not counted: 2: c.jpg, d.jpg
              labelled images that are not in the run: 1: x.jpg
"""

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import InputError, brief
from transforms.evaluation.label_file import FileLabels, read_label_file
from transforms.runs.embedding_runs import check_unique
from transforms.runs.failures import iter_failures
from transforms.runs.image_ids import digest_ids
from transforms.runs.record import PublishedRun
from transforms.runs.row_labels import labels_of_column, labels_of_directories
from transforms.runs.rows import DAMAGE, read_run
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, URI

_SHOWN = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """The right class of the images of a run that have one.

    Attributes:
        origin: Words for where the labels are from.
        names: The labels: in order of number if all are numbers, else of letter.
        rows: int64 [images], rows of the run, ascending.
        labels: int32 [images], places in `names`.
        notes: Sentences on images without a label, and on labels without an image.
    """

    origin: str
    names: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Returns the number of images that have a label."""
        return len(self.rows)

    def select(self, images: npt.NDArray[np.int64]) -> "Truth":
        """Returns the truth of some of its images, by their places."""
        return dataclasses.replace(self, rows=self.rows[images], labels=self.labels[images])


def read_truth(run: PublishedRun, label_file: str | None, label_column: str | None) -> Truth:
    """Reads what the images of a run are.

    Args:
        run: The run.
        label_file: Path or URI of a file of labels, or None.
        label_column: Name of a carried column; None for the file, or the images' directories.

    Raises:
        InputError: If there is no such column or file, an image has several labels, or no image
            has one.
    """
    if label_file is not None:
        labels = read_label_file(label_file)
        ids = _read_columns(run, list(dict.fromkeys([IMAGE_ID, labels.key])))
        found, note = _look_up(run, labels, ids[labels.key], label_file)
        return _to_truth(ids[IMAGE_ID], found, label_file, note)
    by_directory = label_column is None
    column = URI if label_column is None else label_column
    table = _read_columns(run, list(dict.fromkeys([IMAGE_ID, column])))
    lists = labels_of_directories(table[URI]) if by_directory else labels_of_column(table[column])
    origin = "the images' directories" if by_directory else f"the column {column}"
    return _to_truth(table[IMAGE_ID], _only(lists, table[IMAGE_ID], origin), origin, "")


def without_copies(run: PublishedRun, truth: Truth) -> Truth:
    """Keeps one image of those that have the same bytes: a copy would only find itself.

    Args:
        run: The run.
        truth: What its images are; its rows are those of this run, in any order.

    Raises:
        InputError: If a file is damaged.
    """
    parts = [digest_ids(batch.column(0).to_pylist()) for batch in read_run(run, [CONTENT_SHA256])]
    contents = np.frombuffer(b"".join(parts), np.uint64)[truth.rows]
    _, kept, group = np.unique(contents, return_index=True, return_inverse=True)
    if len(kept) == len(truth):
        return truth
    relabelled = int((truth.labels != truth.labels[kept[group]]).sum())
    otherwise = f", under another label: {relabelled:,}" if relabelled else ""
    note = (
        "images of the same bytes as another, which would find each other, not counted: "
        f"{len(truth) - len(kept):,}{otherwise}"
    )
    chosen = truth.select(np.sort(kept))
    return dataclasses.replace(chosen, notes=(*truth.notes, note))


def _read_columns(run: PublishedRun, names: list[str]) -> pa.Table:
    known = [IMAGE_ID, URI, *run.record["columns"]["carry_columns"]]
    for name in names:
        if name not in known:
            raise InputError(
                f"{run.directory} has no column {name}; it has {', '.join(known)}. "
                "--carry_columns of a run keeps more"
            )
    parts = [pa.Table.from_batches([batch]) for batch in read_run(run, names)]
    if not parts:
        raise InputError(f"{run.directory} holds no images: there is nothing to judge")
    table = pa.concat_tables(parts, promote_options="permissive").replace_schema_metadata()
    check_unique(table[IMAGE_ID])
    return table


def _look_up(
    run: PublishedRun, labels: FileLabels, keys: pa.ChunkedArray, uri: str
) -> tuple[list[str | None], str]:
    """Returns the label of each row, and a sentence on the labels that no row has."""
    names = keys.to_pylist()
    found = [labels.labels.get(name) for name in names]
    absent = sorted(labels.labels.keys() - set(names))
    if not absent:
        return found, ""
    shown = ", ".join(absent[:_SHOWN])
    if len(absent) == len(labels.labels):
        raise InputError(
            f"{uri}: none of its {len(absent):,} images is in {run.directory}, such as {shown}; "
            f"those are like {names[0]}"
        )
    try:
        failures = {it[labels.key] for it in iter_failures(run.failures_path) if it}
    except DAMAGE as error:
        raise InputError(f"{run.failures_path} cannot be read: {brief(error)}") from error
    failed = len(failures.intersection(absent))
    failing = f" ({failed:,} failed in it)" if failed else ""
    return found, f"labelled images that are not in the run: {len(absent):,}{failing}: {shown}"


def _only(lists: pa.ListArray, ids: pa.ChunkedArray, origin: str) -> list[str | None]:
    """Returns the one label of each row, None where there is none."""
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    if (counts > 1).any():
        row = int(np.flatnonzero(counts > 1)[0])
        raise InputError(
            f"{origin}: got {ids[row]} with the labels {', '.join(map(str, lists[row].as_py()))}, "
            f"and {int((counts > 1).sum()) - 1:,} more such images; wanted one label an image"
        )
    # A text for each class, not for each row.
    labels = lists.flatten().dictionary_encode()
    codes = np.full(len(lists), -1)
    codes[counts == 1] = labels.indices.fill_null(-1).to_numpy()
    texts = [*labels.dictionary.to_pylist(), None]
    return [texts[code] for code in codes.tolist()]


def _to_truth(
    ids: pa.ChunkedArray, found: list[str | None], origin: str, absent_note: str
) -> Truth:
    names = sorted({label for label in found if label})
    if not names:
        raise InputError(
            f"no image has a label by {origin}; name a file with --labels_csv, or a carried column "
            "with --label_from"
        )
    if all(map(str.isdecimal, names)):
        names.sort(key=int)
    places = {name: place for place, name in enumerate(names)}
    labels = np.array([places[label] if label else -1 for label in found], np.int32)
    notes = [absent_note] if absent_note else []
    if without := np.flatnonzero(labels < 0).tolist():
        shown = ", ".join(str(ids[row]) for row in without[:_SHOWN])
        notes.insert(0, f"images without a label, not counted: {len(without):,}: {shown}")
    rows = np.flatnonzero(labels >= 0)
    return Truth(origin, tuple(names), rows, labels[rows], tuple(notes))
