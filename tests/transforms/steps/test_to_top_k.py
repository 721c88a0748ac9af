"""Logits to the best classes."""

import numpy as np
import pytest

from transforms.steps.to_top_k import activate, to_class_columns, top_k_classes

LOGITS = np.array([[0, 1, 2], [5, -1000, 1000]], dtype=np.float32)


def test_softmax_of_known_logits() -> None:
    exponentials = np.exp([0.0, 1, 2])
    expected = exponentials / exponentials.sum()
    np.testing.assert_allclose(activate(LOGITS, "softmax")[0], expected, rtol=1e-7)


def test_softmax_of_extreme_logits_does_not_overflow() -> None:
    np.testing.assert_array_equal(activate(LOGITS, "softmax")[1], [0, 0, 1])


def test_sigmoid_of_known_and_extreme_logits() -> None:
    scores = activate(LOGITS, "sigmoid")
    np.testing.assert_allclose(scores[0], 1 / (1 + np.exp([-0.0, -1, -2])), rtol=1e-6)
    np.testing.assert_array_equal(scores[1, 1:], [0, 1])


def test_no_activation_leaves_scores_as_they_are() -> None:
    np.testing.assert_array_equal(activate(LOGITS, "none"), LOGITS)


def test_ties_go_to_the_lower_class_index() -> None:
    scores = np.array([[0.2, 0.4, 0.4, 0.4, 0.1]], dtype=np.float32)
    np.testing.assert_array_equal(top_k_classes(scores, 3), [[1, 2, 3]])


def test_rank_is_by_logit_even_where_scores_round_to_the_same() -> None:
    logits = np.array([[100.0, 101.0, 300.0, 301.0]], dtype=np.float32)
    columns = to_class_columns(logits, activation="sigmoid", k=2, labels=None)
    assert columns["class_index"].to_pylist() == [[3, 2]]
    assert columns["score"].to_pylist() == [[1.0, 1.0]]


@pytest.mark.parametrize("k", [3, 10])
def test_at_most_all_classes_are_kept(k: int) -> None:
    columns = to_class_columns(LOGITS, activation="none", k=k, labels=("a", "b", "c"))
    assert columns["class_index"].to_pylist() == [[2, 1, 0], [2, 0, 1]]
    assert columns["class_label"].to_pylist() == [["c", "b", "a"], ["c", "a", "b"]]
    assert columns["score"].to_pylist() == [[2, 1, 0], [1000, 5, -1000]]


def test_without_labels_the_label_column_holds_nulls() -> None:
    columns = to_class_columns(LOGITS[:1], activation="none", k=1, labels=None)
    assert columns["class_label"].to_pylist() == [[None]]


def test_an_empty_batch_gives_empty_columns() -> None:
    columns = to_class_columns(LOGITS[:0], activation="softmax", k=2, labels=None)
    assert {name: len(column) for name, column in columns.items()} == {
        "class_index": 0,
        "class_label": 0,
        "score": 0,
    }
