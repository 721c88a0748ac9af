"""From published runs to what a head is trained on: labelled, split, and in files."""

import shutil
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.errors import InputError, OutputError
from transforms.runs.embedding_runs import EmbeddingRuns
from transforms.training.class_labels import ClassLabels
from transforms.training.vector_file import LabelledVectors, VectorFile
from transforms.vectors.standardization import Moments, Standardization


class TrainingRows(NamedTuple):
    """What a head is trained on.

    Attributes:
        training: Rows to fit.
        validation: Rows that say when to stop, and how good it is.
        standardization: Mean and deviation of the training rows.
    """

    training: LabelledVectors
    validation: LabelledVectors
    standardization: Standardization


def gather_rows(
    runs: EmbeddingRuns,
    labels: ClassLabels,
    is_validation: npt.NDArray[np.bool_],
    directory: str,
    on_rows: Callable[[int], None],
) -> TrainingRows:
    """Reads every vector once, into nameless files.

    Args:
        runs: Runs that hold the vectors.
        labels: Classes of the vectors, one row a vector.
        is_validation: bool [rows].
        directory: Directory of the files, on a disk with room for them.
        on_rows: Callback, told how many rows more have been read.

    Raises:
        InputError: If a vector cannot be read, or the runs do not hold as many as there are labels.
        OutputError: If the disk has no room.
    """
    parts = {
        True: labels.is_labelled & is_validation,
        False: labels.is_labelled & ~is_validation,
    }
    with VectorFile(directory) as to_train, VectorFile(directory) as to_validate:
        files = {True: to_validate, False: to_train}
        moments, dim, start = None, 0, 0
        for vectors in runs.vectors():
            if moments is None:
                dim = vectors.shape[1]
                moments = Moments(dim)
                _check_room(directory, 4 * dim * int(labels.is_labelled.sum()))
            stop = start + len(vectors)
            for side, mask in parts.items():
                some = vectors[mask[start:stop]]
                try:
                    files[side].append(some)
                except OSError as error:
                    raise OutputError(f"cannot write vectors to {directory}: {error}") from error
                if not side:
                    moments.add(some)
            on_rows(len(vectors))
            start = stop
        if moments is None or start != len(is_validation):
            raise InputError(f"the runs hold {start} vectors, wanted {len(is_validation)}")
        training, validation = (
            files[side].read(dim, labels.select(parts[side])) for side in (False, True)
        )
    return TrainingRows(training, validation, moments.standardization())


def _check_room(directory: str, size_bytes: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size_bytes:
        raise OutputError(
            f"{directory} has {free / 1e9:.1f} GB free; the vectors need {size_bytes / 1e9:.1f} GB "
            "while training goes on"
        )
