"""Neighbours found a part at a time, and what two sets of them share."""

import numpy as np
import pytest

from transforms.vectors.neighbour_overlap import NeighbourSearch, overlap_at_k
from transforms.vectors.neighbours import normalize


@pytest.mark.parametrize("part", [1, 7, 100, 1000])
def test_parts_give_what_the_whole_gives(part: int) -> None:
    random = np.random.default_rng(1)
    vectors = normalize(random.normal(size=(300, 16)).astype(np.float32))
    numbers = random.permutation(1000)[:300].astype(np.int64)
    queries = np.array([5, 0, 299, 40])
    search = NeighbourSearch(numbers[queries], vectors[queries], 6)
    for start in range(0, 300, part):
        search.add(numbers[start : start + part], vectors[start : start + part])
    cosines = vectors[queries] @ vectors.T
    cosines[np.arange(4), queries] = -2
    assert search.rows.tolist() == numbers[np.argsort(-cosines, axis=1)[:, :6]].tolist()


def test_a_copy_is_a_neighbour_and_itself_is_not() -> None:
    vectors = normalize(np.array([[1, 0], [1, 0], [0, 1]], np.float32))
    search = NeighbourSearch(np.array([0]), vectors[:1], 3)
    search.add(np.arange(3), vectors)
    search.add(np.arange(0), vectors[:0])
    assert search.rows.tolist() == [[1, 2, -1]]


def test_overlap_is_the_share_in_common() -> None:
    first = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]])
    second = np.array([[4, 3, 2, 1], [4, 5, 6, 1], [5, 6, 7, 8]])
    assert overlap_at_k(first, second).tolist() == [1, 0.5, 0]
    assert overlap_at_k(first[:0], second[:0]).shape == (0,)
