import numpy as np

from transforms.vectors.standardization import Moments, Standardization


def moments_of(vectors: np.ndarray, batch: int) -> Moments:
    moments = Moments(vectors.shape[1])
    for start in range(0, len(vectors), batch):
        moments.add(vectors[start : start + batch])
    return moments


def test_mean_and_deviation_survive_a_mean_far_from_zero() -> None:
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(4001, 3)) * [1, 0.1, 10] + [1000, -50, 0]).astype(np.float32)
    found = moments_of(vectors, 7).standardization()
    wide = vectors.astype(np.float64)
    np.testing.assert_allclose(found.mean, wide.mean(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.deviation, wide.std(axis=0), rtol=1e-6)
    whole = found.apply(vectors)
    np.testing.assert_allclose(whole.std(axis=0), 1, rtol=1e-3)
    assert whole.dtype == np.float32


def test_dead_and_nearly_dead_features_stay_small() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(500, 4)).astype(np.float32)
    vectors[:, 1] = 3
    vectors[:, 2] *= 1e-9
    found = moments_of(vectors, 100).standardization()
    assert found.deviation[1] == found.deviation[2] > 5e-4
    assert (found.apply(vectors)[:, 1] == 0).all()
    kernel, bias = found.fold(np.ones((4, 2), np.float32), np.zeros(2, np.float32))
    assert np.isfinite(kernel).all()
    assert np.isfinite(bias).all()


def test_equal_vectors_are_left_alone() -> None:
    found = moments_of(np.full((5, 2), 7, np.float32), 2).standardization()
    assert found.deviation.tolist() == [1, 1]


def test_a_folded_head_gives_the_same_logits() -> None:
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(50, 6)) * 4 + 20).astype(np.float32)
    kernel = random.normal(size=(6, 3)).astype(np.float32)
    bias = random.normal(size=3).astype(np.float32)
    found = moments_of(vectors, 50).standardization()
    folded, shifted = found.fold(kernel, bias)
    assert folded.dtype == shifted.dtype == np.float32
    np.testing.assert_allclose(
        vectors @ folded + shifted, found.apply(vectors) @ kernel + bias, atol=1e-4
    )


def test_unfold_undoes_fold() -> None:
    random = np.random.default_rng(0)
    standardization = Standardization(random.normal(size=5), random.gamma(1, 1, size=5))
    kernel = random.normal(size=(5, 3)).astype(np.float32)
    bias = random.normal(size=3).astype(np.float32)
    for found, wanted in zip(
        standardization.unfold(*standardization.fold(kernel, bias)), (kernel, bias), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
