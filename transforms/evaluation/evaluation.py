"""A run judged by labels, whichever program made it."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from transforms.evaluation.calibration import Calibration, are_probabilities, calibrate
from transforms.evaluation.class_accuracy import ClassAccuracy
from transforms.evaluation.named_answers import read_named_answers
from transforms.evaluation.paired_test import Outcomes
from transforms.evaluation.truth import Truth, without_copies
from transforms.evaluation.vector_accuracy import VectorAccuracy, measure_vectors
from transforms.runs.record import PublishedRun

TOP = 5
VOTES = (1, 5)
RECALLS = (5, 10)


class Measure(NamedTuple):
    """A number that says how good a run is.

    Attributes:
        name: Words for it.
        value: The number; larger is better, but of a calibration error.
        outcomes: What each image adds; None if it is no mean of images.
    """

    name: str
    value: float
    outcomes: Outcomes | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """How good the answers of a run are; one of `classes` and `vectors` is there.

    Attributes:
        run: The run.
        truth: What its images are; of vectors, without copies.
        classes: Answers of a classifier, or None.
        calibration: Whether its scores are what they say; None where they are no probabilities.
        vectors: Neighbours of vectors, or None.
    """

    run: PublishedRun
    truth: Truth
    classes: ClassAccuracy | None = None
    calibration: Calibration | None = None
    vectors: VectorAccuracy | None = None

    @property
    def accuracy(self) -> Measure:
        """The share of images whose best class, or whose nearest image's class, is right."""
        return self.measures()[0]

    @property
    def top(self) -> int:
        """Best classes among which the right one may be: 5, or fewer than the model has."""
        if self.classes is None:
            return 1
        width = self.run.record["model"]["output_dim"]
        return min(TOP, self.classes.k, width - 1 if width else TOP)

    def measures(self, top: int | None = None) -> list[Measure]:
        """Returns the numbers, the accuracy first.

        Args:
            top: Best classes among which the right one may be; None for `top`.
        """
        if self.vectors is not None:
            return _measures_of_vectors(self.vectors)
        assert self.classes is not None, "one of the two is there"
        measures = _measures_of_classes(self.classes, self.top if top is None else top)
        if self.calibration is not None:
            measures.append(Measure("calibration error", self.calibration.error))
        return measures


def evaluate(run: PublishedRun, truth: Truth, on_rows: Callable[[int], object]) -> Evaluation:
    """Judges a run.

    Args:
        run: The run.
        truth: What its images are; its rows are those of this run, in any order.
        on_rows: Callback, told how many rows more were read; of vectors each is read twice.

    Raises:
        InputError: If a file is damaged, or the labels do not fit the run.
    """
    if run.record["recipe"]["program"] == "embed":
        distinct = without_copies(run, truth)
        vectors = measure_vectors(run, distinct, on_rows)
        return Evaluation(run, distinct, vectors=vectors)
    answers = read_named_answers(run, truth)
    classes = ClassAccuracy(answers)
    calibration = None
    if are_probabilities(run, answers.scores):
        calibration = calibrate(answers.scores[:, 0], classes.is_right())
    return Evaluation(run, truth, classes=classes, calibration=calibration)


def _measures_of_classes(classes: ClassAccuracy, top: int) -> list[Measure]:
    measures = [Measure("accuracy", classes.accuracy(), classes.is_right())]
    if top > 1:
        measures.append(Measure(f"top {top}", classes.accuracy(top), classes.is_right(top)))
    return [
        *measures,
        Measure("balanced accuracy", classes.balanced_accuracy),
        Measure("macro F1", classes.macro_f1),
    ]


def _measures_of_vectors(vectors: VectorAccuracy) -> list[Measure]:
    measures = []
    for k in VOTES:
        if k <= vectors.k:
            is_right = vectors.neighbours.is_voted_right(k)
            name = "accuracy" if k == 1 else f"vote of {k}"
            measures.append(Measure(name, float(is_right.mean()), is_right))
    for k in RECALLS:
        if k <= vectors.k:
            is_recalled = vectors.neighbours.is_recalled(k)
            measures.append(Measure(f"recall@{k}", float(is_recalled.mean()), is_recalled))
    return [*measures, Measure("silhouette", vectors.mean_silhouette, vectors.silhouettes)]
