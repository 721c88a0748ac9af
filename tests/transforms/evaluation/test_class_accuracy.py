"""Accuracy, precision, recall and F1 by hand, and as scikit-learn has them."""

import numpy as np
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from transforms.evaluation.class_accuracy import ClassAccuracy, Confused
from transforms.evaluation.named_answers import NamedAnswers


def accuracy_of(
    classes: list[list[int]] | np.ndarray,
    truth: list[int] | np.ndarray,
    names: tuple[str, ...],
    scores: np.ndarray | None = None,
) -> ClassAccuracy:
    best = np.array(classes, np.int32)
    if scores is None:
        scores = np.zeros(best.shape, np.float32)
    return ClassAccuracy(
        NamedAnswers(names, best, scores, np.array(truth, np.int32), "class_label", (), ())
    )


def test_by_hand() -> None:
    """Cats: 3, of which 2 are right and 1 is taken for a dog. Dogs: 1, right. A hen, unknown."""
    found = accuracy_of(
        [[0, 1], [0, 1], [1, 0], [1, 2], [0, 1]], [0, 0, 0, 1, 3], ("cat", "dog", "cow", "hen")
    )
    assert found.ranks.tolist() == [0, 0, 1, 0, 2]
    assert found.accuracy() == 3 / 5
    assert found.accuracy(2) == 4 / 5
    assert found.labelled.tolist() == [3, 1, 0, 1]
    assert found.predicted.tolist() == [3, 2, 0, 0]
    assert found.shown.tolist() == [0, 1, 3]
    assert found.precision.tolist() == [2 / 3, 1 / 2, 0, 0]
    assert found.recall.tolist() == [2 / 3, 1, 0, 0]
    assert found.f1.tolist() == pytest.approx([2 / 3, 2 / 3, 0, 0])
    assert found.macro_f1 == pytest.approx(4 / 9)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.confused == [Confused(0, 1, 1), Confused(3, 0, 1)]


def test_they_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(5)
    truth = random.integers(0, 6, 400)
    scores = (np.eye(7)[truth] + random.normal(size=(400, 7))).astype(np.float32)
    order = np.argsort(-scores, axis=1)[:, :5]
    found = accuracy_of(order, truth, tuple("abcdefg"), np.take_along_axis(scores, order, axis=1))
    best = order[:, 0]
    assert found.accuracy() == top_k_accuracy_score(truth, scores, k=1, labels=range(7))
    assert found.accuracy(5) == top_k_accuracy_score(truth, scores, k=5, labels=range(7))
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, best, labels=range(7), zero_division=0
    )
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.recall, recall)
    np.testing.assert_allclose(found.f1, f1)
    np.testing.assert_array_equal(found.labelled, support)
    assert found.macro_f1 == pytest.approx(f1_score(truth, best, average="macro"))
    # scikit-learn warns of class g, which is predicted and has no image.
    known = best < 6
    assert found.balanced_accuracy == pytest.approx(
        balanced_accuracy_score(truth, np.where(known, best, (truth + 1) % 6))
    )
    wanted = confusion_matrix(truth, best, labels=range(7))
    np.testing.assert_array_equal(found.metrics(7).confusion, wanted)


def test_the_surest_mistakes_have_the_highest_score_of_a_wrong_class() -> None:
    scores = np.array([[0.9], [0.7], [0.8], [0.99]], np.float32)
    found = accuracy_of([[1], [1], [1], [0]], [0, 0, 0, 0], ("a", "b"), scores)
    assert found.surest_mistakes().tolist() == [0, 2, 1]


def test_a_picture_of_many_classes_has_those_that_are_mistaken_most() -> None:
    truth = np.repeat(np.arange(50), 2)
    best = truth.copy()
    best[[0, 1, 90]] = [7, 7, 46]
    found = accuracy_of(best[:, None], truth, tuple(map(str, range(50))))
    metrics = found.metrics(4)
    assert metrics.names == ("0", "7", "45", "46")
    assert metrics.confusion.tolist() == [[0, 2, 0, 0], [0, 2, 0, 0], [0, 0, 1, 1], [0, 0, 0, 2]]
    assert (metrics.rows, metrics.right) == (100, 97)
    assert metrics.predicted.tolist() == [0, 4, 1, 3]
