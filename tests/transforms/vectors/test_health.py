"""What is measured of vectors, against what is known of them."""

import numpy as np
import numpy.typing as npt
import pytest

from transforms.vectors.health import VectorNorms, find_dead, measure_spectrum

Vectors = npt.NDArray[np.float32]


def normal(rows: int, dim: int) -> Vectors:
    return np.random.default_rng(1).standard_normal((rows, dim)).astype(np.float32)


def unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_norms_and_moments_are_those_of_all_batches() -> None:
    vectors = normal(1000, 7) + 3
    norms = VectorNorms(7)
    parts = [norms.add(part) for part in np.array_split(vectors, 13)]
    np.testing.assert_allclose(norms.norms(), np.linalg.norm(vectors, axis=1), rtol=1e-6)
    np.testing.assert_allclose(np.concatenate(parts), unit(vectors), rtol=1e-5)
    np.testing.assert_allclose(norms.moments.mean, vectors.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norms.moments.deviation, vectors.std(0), rtol=1e-5)


def test_what_is_not_finite_is_counted_and_spoils_nothing() -> None:
    vectors: Vectors = np.array([[3, 4], [np.nan, 1], [0, 0], [np.inf, -np.inf]], np.float32)
    norms = VectorNorms(2)
    assert norms.add(vectors).tolist() == [
        [np.float32(0.6), np.float32(0.8)],
        [0, 0],
        [0, 0],
        [0, 0],
    ]
    assert norms.norms().tolist() == [5, 0, 0, 0]
    assert norms.not_finite == 2
    assert norms.moments.mean.tolist() == [1.5, 2]


def test_huge_and_tiny_vectors_have_norms() -> None:
    norms = VectorNorms(2)
    unit_vectors = norms.add(np.array([[3e37, 4e37], [3e-30, 4e-30]], np.float32))
    np.testing.assert_allclose(norms.norms(), [5e37, 5e-30], rtol=1e-6)
    np.testing.assert_allclose(unit_vectors, [[0.6, 0.8]] * 2, rtol=1e-6)
    assert norms.not_finite == 0


def test_dead_dimensions_never_vary() -> None:
    vectors = normal(500, 6)
    vectors[:, 1] = 0
    vectors[:, 3] = 0.1
    vectors[:, 4] *= 1e-3  # Varies little, and varies.
    norms = VectorNorms(6)
    norms.add(vectors)
    assert find_dead(norms.moments.deviation).tolist() == [1, 3]


def test_of_equal_vectors_all_dimensions_are_dead() -> None:
    assert find_dead(np.zeros(3)).tolist() == [0, 1, 2]


def test_vectors_that_point_everywhere_use_all_dimensions() -> None:
    spectrum = measure_spectrum(unit(normal(20_000, 16)))
    assert spectrum.effective_dimensions == pytest.approx(16, abs=0.1)
    assert spectrum.mean_cosine == pytest.approx(0, abs=0.001)
    assert spectrum.shares.sum() == pytest.approx(1)
    assert (np.diff(spectrum.shares) <= 0).all()
    assert spectrum.same_dimensions == ()


def test_vectors_along_a_line_use_one_dimension() -> None:
    line = np.outer(normal(500, 1)[:, 0], np.ones(8)) * 0.1 + np.eye(8)[0]
    spectrum = measure_spectrum(line.astype(np.float32))
    assert spectrum.effective_dimensions == pytest.approx(1, abs=1e-3)
    assert spectrum.shares[0] == pytest.approx(1, abs=1e-4)


def test_the_mean_cosine_is_that_of_all_pairs() -> None:
    vectors = unit(normal(60, 5) + 1)
    cosines = vectors @ vectors.T
    expected = cosines[np.triu_indices(60, k=1)].mean()
    with_zero = np.vstack([vectors, np.zeros((3, 5), np.float32)])
    assert measure_spectrum(with_zero).mean_cosine == pytest.approx(expected, abs=1e-6)


def test_dimensions_that_hold_the_same_are_found() -> None:
    vectors = normal(2000, 6)
    vectors[:, 4] = -2 * vectors[:, 1]
    vectors[:, 5] = 0
    assert measure_spectrum(vectors).same_dimensions == ((1, 4),)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_vectors_have_no_directions(rows: int) -> None:
    spectrum = measure_spectrum(np.vstack([np.zeros((3, 4)), np.ones((rows, 4))]).astype("f4"))
    assert spectrum.effective_dimensions == 0
    assert not spectrum.shares.any()
    assert spectrum.same_dimensions == ()


def test_equal_vectors_have_no_directions_and_a_cosine_of_one() -> None:
    spectrum = measure_spectrum(unit(np.ones((50, 4), np.float32)))
    assert spectrum.mean_cosine == pytest.approx(1, abs=1e-5)
    assert spectrum.same_dimensions == ()
