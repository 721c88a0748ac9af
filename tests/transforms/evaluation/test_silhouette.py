"""The silhouette from sums, by hand, and as scikit-learn has it from all pairs."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from transforms.evaluation import silhouette
from transforms.evaluation.silhouette import ClassSums


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_by_hand() -> None:
    """Right angles: the own class is at distance 0, the other at 1; and one of it at an angle."""
    vectors = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0.8, 0.6]], np.float32)
    labels = np.array([0, 0, 1, 1], np.int32)
    sums = ClassSums(3, 3)
    sums.add(vectors, labels)
    # To its own class the third has a distance of 1 - 0.8.
    assert sums.silhouettes(vectors, labels) == pytest.approx([1, 1, 0.8, 0.8])


@pytest.mark.parametrize("classes_at_once", [1, 2, 5, 4096])
def test_they_are_those_of_scikit_learn_in_parts_and_with_a_class_of_one(
    monkeypatch: pytest.MonkeyPatch, classes_at_once: int
) -> None:
    monkeypatch.setattr(silhouette, "_CLASSES_AT_ONCE", classes_at_once)
    random = np.random.default_rng(8)
    labels = np.array([*random.integers(0, 4, 199), 5], np.int32)
    vectors = unit(random.normal(size=(200, 9)) + np.eye(9)[labels] * 2)
    vectors[7] = 0
    sums = ClassSums(6, 9)
    for part in np.array_split(np.arange(200), 7):
        sums.add(vectors[part], labels[part])
    found = sums.silhouettes(vectors, labels)
    np.testing.assert_allclose(
        found, silhouette_samples(vectors, labels, metric="cosine"), atol=1e-6
    )
    assert found[199] == 0
