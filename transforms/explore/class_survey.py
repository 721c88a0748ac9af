"""One pass over a run of pipelines.classify: the best class of every image, and its score."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import InputError, brief
from transforms.explore.class_answers import ClassAnswers
from transforms.explore.input_survey import COLUMNS, InputSurvey
from transforms.explore.one_output import are_shares, both_classes, has_one_output
from transforms.runs.image_ids import digest_ids
from transforms.runs.record import PublishedRun
from transforms.runs.rows import read_run
from transforms.schemas import CLASS_INDEX, CLASS_LABEL, CONTENT_SHA256, SCORE


class ClassSurvey(NamedTuple):
    """The best class of every image.

    Attributes:
        classes: int32 [rows]. Of a model with one output and probabilities there are two: its own
            from a score of a half on, and the other.
        scores: float32 [rows], of the best class.
        contents: uint64 [rows], a digest of each image's content_sha256.
        names: The name of each class that is some image's best.
        has_choice: Whether an image might be of another class; not if one output gives logits.
    """

    classes: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    contents: npt.NDArray[np.uint64]
    names: dict[int, str]
    has_choice: bool

    def frequencies(self) -> list[tuple[int, int]]:
        """Returns the classes and how many images each is best of, the most frequent first."""
        classes, counts = np.unique(self.classes, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return list(zip(classes[order].tolist(), counts[order].tolist(), strict=True))

    def lowest(self, count: int) -> npt.NDArray[np.int64]:
        """Returns the rows whose best score is lowest, the lowest first."""
        return np.argsort(self.scores, kind="stable")[:count]

    def highest(self, count: int) -> npt.NDArray[np.int64]:
        """Returns the rows whose best score is highest, the highest first."""
        return np.argsort(-self.scores, kind="stable")[:count]


def survey_classes(
    run: PublishedRun, inputs: InputSurvey, on_rows: Callable[[int], None]
) -> ClassSurvey:
    """Reads the best class of every image of a run.

    Args:
        run: A run of pipelines.classify with at least one row.
        inputs: Survey of the images, which is told of every row.
        on_rows: Callback, told how many rows more have been read.

    Raises:
        InputError: If a file is damaged, or a row has no class.
    """
    classes: list[npt.NDArray[np.int32]] = []
    scores: list[npt.NDArray[np.float32]] = []
    names: dict[int, str] = {}
    contents = bytearray()
    width = 0
    for batch in read_run(run, [CLASS_INDEX, CLASS_LABEL, SCORE, CONTENT_SHA256, *COLUMNS]):
        try:
            best, labels, score = (pc.list_element(column, 0) for column in batch.columns[:3])
        except pa.ArrowException as error:
            raise InputError(f"{run.directory} has a row without a class: {brief(error)}") from (
                error
            )
        classes.append(best.to_numpy(zero_copy_only=False).astype(np.int32))
        scores.append(score.to_numpy(zero_copy_only=False).astype(np.float32))
        for index, first in zip(*np.unique(classes[-1], return_index=True), strict=True):
            names.setdefault(int(index), labels[int(first)].as_py() or str(index))
        width = max(width, pc.max(pc.list_value_length(batch.column(0))).as_py() or 0)
        contents += digest_ids(batch.column(3).to_pylist())
        inputs.add(batch)
        on_rows(batch.num_rows)
    best = ClassAnswers(
        np.concatenate(classes)[:, None], np.concatenate(scores)[:, None], {**names}
    )
    is_one = has_one_output(run, width)
    is_told = is_one and are_shares(best.scores)
    if is_told:
        best = both_classes(best, run.directory)
    return ClassSurvey(
        best.classes[:, 0],
        best.scores[:, 0],
        np.frombuffer(contents, np.uint64),
        {index: label or str(index) for index, label in best.labels.items()},
        is_told or not is_one,
    )
