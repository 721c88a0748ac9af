"""Near-duplicates, against comparing everything with everything."""

import numpy as np
import numpy.typing as npt
import pytest

from transforms.vectors.near_duplicates import (
    Pairs,
    check_pairs,
    find_candidates,
    group_equal,
    group_pairs,
    make_sketcher,
)

LEAST = 0.99


def clustered(rows: int, dim: int) -> npt.NDArray[np.float32]:
    """Vectors of length 1 around some centres; row 2n is a near-duplicate of row 2n + 1."""
    random = np.random.default_rng(2)
    centres = random.standard_normal((50, dim))
    vectors = centres[random.integers(0, 50, rows)] + 0.7 * random.standard_normal((rows, dim))
    vectors[::2] = vectors[1::2] + 0.03 * random.standard_normal((rows // 2, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def pairs_of(pairs: Pairs) -> set[tuple[int, int]]:
    return {(int(one), int(other)) for one, other in pairs.rows}


@pytest.mark.parametrize("rows", [600, 6000])  # Compared throughout, and by parts of the space.
@pytest.mark.parametrize("dim", [48, 256])
def test_finds_what_comparing_everything_finds(rows: int, dim: int) -> None:
    vectors = clustered(rows, dim)
    candidates = find_candidates(vectors @ make_sketcher(dim), LEAST)
    found = check_pairs(candidates.rows, vectors, LEAST)
    expected = {(n, n + 1) for n in range(0, rows, 2)}
    exact = np.argwhere(np.triu(vectors @ vectors.T >= LEAST, k=1)).tolist()
    assert set(map(tuple, exact)) == expected
    assert pairs_of(found) <= expected
    assert len(found.rows) >= 0.99 * len(expected)
    for (one, other), cosine in zip(found.rows, found.cosines, strict=True):
        assert cosine == pytest.approx(vectors[one] @ vectors[other], abs=1e-6)


def test_a_candidate_that_is_none_does_not_pass() -> None:
    vectors = np.array([[1, 0], [0.995, 0.0998749], [0, 1]], np.float32)
    pairs = check_pairs(np.array([[0, 1], [0, 2], [1, 2]]), vectors, LEAST)
    assert pairs.rows.tolist() == [[0, 1]]


def test_sketches_keep_distances_about() -> None:
    vectors = clustered(400, 1024)
    sketches = vectors @ make_sketcher(1024)
    rows = np.arange(0, 400, 2)
    true = np.square(vectors[rows] - vectors[rows + 1]).sum(1)
    ratio = np.square(sketches[rows] - sketches[rows + 1]).sum(1) / true
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    assert ratio.max() < 2


def test_sketches_of_few_dimensions_are_the_vectors() -> None:
    assert (make_sketcher(3) == np.eye(3)).all()


def test_a_large_group_of_equal_vectors_is_one_group() -> None:
    vectors = clustered(5000, 32)
    vectors[:3000] = vectors[0]
    candidates = find_candidates(vectors, LEAST)
    groups = group_pairs(check_pairs(candidates.rows, vectors, LEAST))
    assert len(groups[0].rows) >= 2990
    assert set(groups[0].rows.tolist()) <= set(range(3000))


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_have_no_pairs(rows: int) -> None:
    candidates = find_candidates(np.ones((rows, 4), np.float32), LEAST)
    assert candidates.rows.shape == (0, 2)
    assert group_pairs(candidates) == []


def test_rows_linked_through_others_are_one_group() -> None:
    pairs = Pairs(
        np.array([[7, 9], [1, 2], [2, 30], [30, 40]]), np.array([1, 0.998, 0.991, 0.995], "f4")
    )
    largest, other = group_pairs(pairs)
    assert largest.rows.tolist() == [1, 2, 30, 40]
    assert largest.cosine == pytest.approx(0.991)
    assert (other.rows.tolist(), other.cosine) == ([7, 9], 1)


def test_equal_keys_are_groups_the_largest_first() -> None:
    groups = group_equal(np.array([5, 9, 5, 7, 9, 9, 2**63], np.uint64))
    assert [group.rows.tolist() for group in groups] == [[1, 4, 5], [0, 2]]
    assert group_equal(np.arange(4, dtype=np.uint64)) == []
