"""How well classes are told apart: accuracy, precision and recall, and what is taken for what."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class ClassMetrics:
    """What a classifier did on some rows.

    Attributes:
        names: The classes.
        rows: Number of rows.
        right: Rows predicted right: all their classes and no other.
        confusion: int64 [classes, classes]; how many rows of class i were predicted to be of class
            j. If classes do not exclude each other, a row counts in several places.
        predicted: int64 [classes], rows predicted to be of the class.
        labelled: int64 [classes], rows of the class.
    """

    names: tuple[str, ...]
    rows: int
    right: int
    confusion: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    labelled: npt.NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of the rows that were predicted right."""
        return self.right / self.rows if self.rows else 0.0

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Share of what was predicted to be of a class and is; 0 for one never predicted."""
        return _share(self.confusion.diagonal(), self.predicted)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Share of what is of a class and was predicted to be."""
        return _share(self.confusion.diagonal(), self.labelled)

    def to_dict(self) -> dict[str, Any]:
        """Returns the numbers in JSON's types."""
        columns = zip(
            self.names,
            self.labelled.tolist(),
            self.predicted.tolist(),
            self.precision.tolist(),
            self.recall.tolist(),
            strict=True,
        )
        keys = ("name", "rows", "predicted", "precision", "recall")
        return {
            "accuracy": self.accuracy,
            "rows": self.rows,
            "right": self.right,
            "classes": [dict(zip(keys, values, strict=True)) for values in columns],
            "confusion": self.confusion.tolist(),
        }


def measure(
    names: tuple[str, ...],
    batches: Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]],
    activation: str,
) -> ClassMetrics:
    """Compares predictions with labels.

    Args:
        names: The classes.
        batches: Logits and targets, both float32 [rows, classes]; targets are 0 and 1.
        activation: "softmax": the class of the largest logit is predicted, of equal ones the
            first. "sigmoid": every class whose logit is over 0, a probability over a half.
    """
    classes = len(names)
    confusion = np.zeros((classes, classes), np.int64)
    predicted, labelled = np.zeros((2, classes), np.int64)
    rows = right = 0
    for logits, targets in batches:
        answers = predict(logits, activation)
        rows += len(logits)
        right += int((answers == targets).all(axis=1).sum())
        # In float64 counts are exact to 2**53; a product of integers is slow.
        confusion += (targets.T.astype(np.float64) @ answers).astype(np.int64)
        predicted += answers.sum(axis=0, dtype=np.int64)
        labelled += targets.sum(axis=0, dtype=np.float64).astype(np.int64)
    return ClassMetrics(names, rows, right, confusion, predicted, labelled)


def predict(logits: npt.NDArray[np.float32], activation: str) -> npt.NDArray[np.bool_]:
    """Returns bool [rows, classes], what is predicted; see measure."""
    if activation == "sigmoid":
        return logits > 0
    best = np.zeros(logits.shape, bool)
    best[np.arange(len(logits)), logits.argmax(axis=1)] = True
    return best


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return part / np.maximum(whole, 1)
