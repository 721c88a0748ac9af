"""Cosines of answers: of vectors, of zeros, and of one number."""

import numpy as np
import pytest

from transforms.models.cosines import cosines


def column(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)[:, None]


def test_of_vectors() -> None:
    first = np.array([[3, 4], [1, 0], [0, 0], [0, 0]], np.float32)
    second = np.array([[6, 8], [0, 1], [0, 0], [0, 1]], np.float32)
    assert cosines(first, second).tolist() == pytest.approx([1, 0, 1, 0])


def test_of_one_number_the_difference_counts_beside_the_largest() -> None:
    found = cosines(column(4, 4, 4, 0), column(4, 3, -4, 0))
    assert found.tolist() == pytest.approx([1, 28 / np.sqrt(32 * 25), 0, 1])
    # Far below the largest, a difference of its own size is none.
    assert cosines(column(4, 1e-4), column(4, 2e-4)).min() > 0.9999999
    assert cosines(column(1e-4, 1e-4), column(1e-4, 2e-4)).min() < 0.95
    assert cosines(column(0, 0), column(0, 0)).tolist() == [1, 1]


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_a_small_share_of_the_largest_number_is_little(offset: float) -> None:
    logits = np.random.default_rng(0).normal(offset, 2, (64, 1)).astype(np.float32)
    rounded = (logits * (1 + 2.0**-8)).astype(np.float32)
    assert 0.99999 < cosines(logits, rounded).min() < 1
    assert cosines(logits, logits + 0.1 * np.abs(logits).max()).min() < 0.999
