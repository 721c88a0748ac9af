"""The map of vectors, and the ones that stand for the rest."""

import numpy as np
import numpy.typing as npt
import pytest

from transforms.vectors.map import draw_map, find_typical


def two_clusters(rows: int) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(3)
    vectors = 0.1 * random.standard_normal((rows, 20))
    vectors[:, 0] += np.where(np.arange(rows) < rows // 2, 1, -1)
    return vectors.astype(np.float32)


def test_neighbours_are_neighbours_on_the_map_and_it_is_the_same_every_time() -> None:
    vectors = two_clusters(120)
    drawn = draw_map(vectors)
    left, right = drawn.places[:60], drawn.places[60:]
    between = np.linalg.norm(left.mean(0) - right.mean(0))
    assert between > 2 * max(left.std(), right.std())
    assert 0.8 < drawn.trustworthiness <= 1
    assert (draw_map(vectors).places == drawn.places).all()


@pytest.mark.parametrize("rows", [0, 1, 7, 40])
def test_what_cannot_be_laid_out_is_at_one_place(rows: int) -> None:
    drawn = draw_map(np.ones((rows, 5), np.float32))
    assert drawn.places.shape == (rows, 2)
    assert not drawn.places.any()
    assert np.isnan(drawn.trustworthiness)


@pytest.mark.parametrize("dim", [1, 2])
def test_few_dimensions_can_be_laid_out(dim: int) -> None:
    places = draw_map(two_clusters(30)[:, :dim]).places
    assert places.shape == (30, 2)
    assert np.isfinite(places).all()


def test_typical_vectors_are_near_the_centres_of_clusters_the_largest_first() -> None:
    vectors = np.array([[0, 0], [0, 2], [0, 1], [9, 9], [9, 9.2], [0, 1.1]], np.float32)
    assert find_typical(vectors, 2).tolist() in ([2, 3], [2, 4])
    assert len(find_typical(np.ones((5, 2), np.float32), 3)) == 1
