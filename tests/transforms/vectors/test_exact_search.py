"""Exact search over vectors that come some at a time."""

import numpy as np

from transforms.vectors.exact_search import search_exactly
from transforms.vectors.neighbours import normalize


def test_finds_what_comparing_all_at_once_finds() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(500, 24)).astype(np.float32) * 7
    queries = normalize(random.normal(size=(5, 24)).astype(np.float32))
    kept = vectors.copy()
    parts = [vectors[:1], vectors[1:200], vectors[200:203], vectors[203:]]
    found = search_exactly(parts, queries, 12).best
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    cosines = queries.astype(np.float64) @ (vectors / lengths[:, None]).T
    wanted = np.argsort(-cosines, axis=1)[:, :12]
    np.testing.assert_array_equal(found.rows, wanted)
    np.testing.assert_allclose(found.cosines, np.take_along_axis(cosines, wanted, 1), atol=1e-6)
    np.testing.assert_array_equal(vectors, kept)


def test_equal_vectors_come_in_order_and_few_are_all_found() -> None:
    vectors = np.tile(np.array([[3, 4]], np.float32), (5, 1))
    queries = np.array([[0.6, 0.8]], np.float32)
    search = search_exactly([vectors[:2], vectors[2:]], queries, 9)
    assert search.best.rows.tolist() == [[0, 1, 2, 3, 4]]
    np.testing.assert_allclose(search.best.cosines, 1, atol=1e-6)
    assert search.seconds > 0
    one = search_exactly(
        [vectors[:2] * np.array([[1, 2]], np.float32), vectors[2:]], queries, 1
    ).best
    assert one.rows.shape == (1, 1)
    assert one.rows[0, 0] >= 2
