"""The classes that a run of pipelines.classify gives its images, read back whole."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.errors import InputError
from transforms.runs.record import PublishedRun
from transforms.runs.rows import read_run
from transforms.schemas import CLASS_INDEX, CLASS_LABEL, SCORE

Classes = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]


class ClassAnswers(NamedTuple):
    """The classes that a run gives its images.

    Attributes:
        classes: int32 [rows, top_k], best first.
        scores: float32 [rows, top_k].
        labels: Texts by class, None where there is none.
    """

    classes: Classes
    scores: Scores
    labels: dict[int, str | None]

    @classmethod
    def read(cls, run: PublishedRun) -> "ClassAnswers":
        """Reads them.

        Args:
            run: A run of pipelines.classify with at least one row.

        Raises:
            InputError: If a file is damaged, or rows have different numbers of classes.
        """
        classes, scores = [], []
        labels: dict[int, str | None] = {}
        for rows in read_run(run, [CLASS_INDEX, CLASS_LABEL, SCORE]):
            index, label, score = rows.columns
            flat = index.flatten().to_numpy()
            if len(index.flatten()) != len(label.flatten()) or len(flat) != len(score.flatten()):
                raise InputError(
                    f"{run.directory} has rows whose classes and scores differ in number"
                )
            labels.update(_new_labels(flat, label.flatten(), labels))
            classes.append(_to_matrix(index, flat, run))
            scores.append(_to_matrix(score, score.flatten().to_numpy(), run))
        return cls(np.concatenate(classes), np.concatenate(scores), labels)


def _new_labels(
    classes: Classes, labels: pa.Array, known: dict[int, str | None]
) -> Iterator[tuple[int, str | None]]:
    found, first = np.unique(classes, return_index=True)
    for index, place in zip(found.tolist(), first.tolist(), strict=True):
        if index not in known:
            yield index, labels[place].as_py() or None  # "" in a TFRecord, which has no null.


def _to_matrix(
    lists: pa.Array, flat: npt.NDArray[np.generic], run: PublishedRun
) -> npt.NDArray[np.generic]:
    """Returns lists of one length as [rows, length]."""
    lengths = np.diff(lists.offsets.to_numpy())
    if not lengths[0] or (lengths != lengths[0]).any():
        raise InputError(f"{run.directory} has rows with different numbers of classes")
    return flat.reshape(len(lists), -1)
