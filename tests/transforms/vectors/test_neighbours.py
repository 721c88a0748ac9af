"""Nearest neighbours against NumPy, and what is said where faiss is missing."""

import sys

import numpy as np
import pytest

from transforms.errors import FlagError
from transforms.machine.extras import import_extra
from transforms.vectors.neighbours import nearest, nearest_unlike, normalize


def test_finds_what_numpy_finds() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(500, 32)).astype(np.float32)
    cosines = vectors @ vectors[:20].T / np.linalg.norm(vectors, axis=1)[:, None]
    cosines /= np.linalg.norm(vectors[:20], axis=1)
    assert normalize(vectors) is vectors
    found = nearest(vectors, vectors[:20], 5)
    assert found.rows.tolist() == np.argsort(-cosines.T, axis=1)[:, :5].tolist()
    np.testing.assert_allclose(found.cosines, np.sort(cosines.T)[:, ::-1][:, :5], atol=1e-6)
    assert found.rows[:, 0].tolist() == list(range(20))


def test_few_vectors_and_zeros() -> None:
    vectors = normalize(np.array([[3, 4], [0, 0]], np.float32))
    assert vectors.ravel().tolist() == pytest.approx([0.6, 0.8, 0, 0])
    found = nearest(vectors, vectors[:1], 10)
    assert found.rows.tolist() == [[0, 1]]
    assert found.cosines[0].tolist() == pytest.approx([1, 0])


def test_those_that_are_alike_count_as_one() -> None:
    angles = np.radians([0, 0, 1, 20, 20.5, 40, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    alike = float(np.cos(np.radians(2)))
    first, last = nearest_unlike(vectors, np.array([0, 6]), 3, alike)
    # Of 1 and 2 degrees there is the query already, of 20.5 the nearer one at 20.
    assert first.rows.tolist() == [3, 5, 6]
    np.testing.assert_allclose(first.cosines, np.cos(np.radians([20, 40, 90])), atol=1e-6)
    assert last.rows.tolist()[:2] == [5, 4]
    assert len(last.rows) == 3
    (alone,) = nearest_unlike(np.ones((5, 1), np.float32), np.array([2]), 3, alike)
    assert len(alone.rows) == len(alone.cosines) == 0


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(FlagError, match=r"faiss is not installed.*pip install '\.\[explore\]'"):
        import_extra("faiss")
