"""Votes of neighbours, by hand, and as scikit-learn has them."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from transforms.evaluation.neighbour_vote import NeighbourLabels, without_itself


def test_by_hand() -> None:
    labels = np.array(
        [[1, 0, 0, 1, 2], [0, 1, 1, 2, 2], [0, 1, 1, 1, 0], [2, 2, 2, 2, 2]], np.int32
    )
    truth = np.array([1, 1, 0, 0], np.int32)
    found = NeighbourLabels(truth, labels, np.zeros(labels.shape, np.float32))
    assert found.vote(1).tolist() == [1, 0, 0, 2]
    assert found.vote(2).tolist() == [1, 0, 0, 2]  # One each: the nearest decides.
    assert found.vote(5).tolist() == [1, 1, 1, 2]
    assert found.is_voted_right(5).tolist() == [True, True, False, False]
    assert found.is_recalled(1).tolist() == [True, False, True, False]
    assert found.is_recalled(2).tolist() == [True, True, True, False]


def test_the_vote_of_an_odd_number_of_two_classes_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(4)
    truth = random.integers(0, 2, 120).astype(np.int32)
    vectors = random.normal(size=(120, 5)) + truth[:, None]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    order = np.argsort(-cosines, axis=1)[:, :6]
    nearest, values = without_itself(
        order, np.take_along_axis(cosines, order, axis=1).astype(np.float32), np.arange(120)
    )
    found = NeighbourLabels(truth, truth[nearest], values)
    for k in (1, 3, 5):
        wanted = [
            KNeighborsClassifier(k, metric="cosine")
            .fit(np.delete(vectors, query, axis=0), np.delete(truth, query))
            .predict(vectors[query : query + 1])[0]
            for query in range(120)
        ]
        assert found.vote(k).tolist() == wanted


def test_an_image_that_its_copies_crowd_out_loses_the_last() -> None:
    found = np.array([[7, 3, 5], [1, 2, 0], [0, 1, 9]])
    cosines = np.array([[1, 0.9, 0.8], [1, 1, 1], [1, 1, 0.2]], np.float32)
    rows, values = without_itself(found, cosines, np.array([7, 0, 8]))
    assert rows.tolist() == [[3, 5], [1, 2], [0, 1]]
    np.testing.assert_array_equal(values, np.array([[0.9, 0.8], [1, 1], [1, 1]], np.float32))
