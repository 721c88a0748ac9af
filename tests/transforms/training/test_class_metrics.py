import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from transforms.training.class_metrics import measure

NAMES = ("a", "b", "c")


def batches(logits: np.ndarray, targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(logits[i : i + 7], targets[i : i + 7]) for i in range(0, len(logits), 7)]


def test_they_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 200)
    logits = (np.eye(3)[labels] * 1.5 + random.normal(size=(200, 3))).astype(np.float32)
    found = measure(NAMES, batches(logits, np.eye(3, dtype=np.float32)[labels]), "softmax")
    best = logits.argmax(axis=1)
    wanted = confusion_matrix(labels, best)
    np.testing.assert_array_equal(found.confusion, wanted)
    assert (found.rows, found.right) == (200, int((best == labels).sum()))
    assert found.accuracy == found.right / 200
    precision, recall, _, support = precision_recall_fscore_support(labels, best)
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.recall, recall)
    np.testing.assert_array_equal(found.labelled, support)


def test_of_equal_logits_the_first_class_is_predicted() -> None:
    found = measure(
        NAMES, [(np.zeros((1, 3), np.float32), np.eye(3, dtype=np.float32)[1:2])], "softmax"
    )
    assert found.confusion.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_sigmoid_predicts_every_class_over_a_half() -> None:
    logits = np.array([[1, 1, -1], [-1, -1, -1], [2, -1, 0]], np.float32)
    targets = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]], np.float32)
    found = measure(NAMES, batches(logits, targets), "sigmoid")
    assert found.right == 2  # All classes, or none, as labelled.
    assert found.predicted.tolist() == [2, 1, 0]
    assert found.labelled.tolist() == [1, 1, 1]
    assert found.precision.tolist() == [0.5, 1, 0]
    assert found.recall.tolist() == [1, 1, 0]
    assert found.confusion.tolist() == [[1, 1, 0], [1, 1, 0], [1, 0, 0]]


def test_a_class_without_rows_or_predictions_divides_by_nothing() -> None:
    logits, targets = np.array([[1, 0, 0]], np.float32), np.array([[1, 0, 0]], np.float32)
    entry = measure(NAMES, [(logits, targets)], "softmax").to_dict()["classes"][2]
    wanted = {"name": "c", "rows": 0, "predicted": 0, "precision": 0.0, "recall": 0.0}
    assert entry == pytest.approx(wanted)
