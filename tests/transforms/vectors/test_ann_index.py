"""An index finds nearly what comparing all finds, and says how nearly."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from transforms.vectors.ann_index import RECALL_AT, WANTED_RECALL, AnnIndex, build_index, plan_index
from transforms.vectors.exact_search import search_exactly
from transforms.vectors.neighbours import normalize


def clustered(rows: int, dim: int, seed: int = 0) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(60, dim))
    noise = random.normal(size=(rows, dim)) * 0.4
    return ((centres[random.integers(0, 60, rows)] + noise) * 5).astype(np.float32)


def build(vectors: npt.NDArray[np.float32]) -> AnnIndex:
    plan = plan_index(*vectors.shape)
    return build_index(plan, vectors[plan.sample], np.array_split(vectors, 7))


def test_recall_is_what_it_says() -> None:
    vectors = clustered(12_000, 24)
    kept = vectors.copy()
    index = build(vectors)
    np.testing.assert_array_equal(vectors, kept)
    assert index.kind.startswith("IVF")
    assert 1 <= index.probes < index.faiss_index.nlist
    assert index.recall >= WANTED_RECALL
    queries = normalize(clustered(300, 24) + np.float32(0.2))
    found = index.search(queries, RECALL_AT)
    exact = search_exactly([vectors], queries, RECALL_AT).best
    pairs = zip(found.rows, exact.rows, strict=True)
    recall = np.mean([len(set(one) & set(other)) / RECALL_AT for one, other in pairs])
    assert abs(recall - index.recall) < 0.03
    unit = normalize(vectors.copy())
    cosines = np.einsum("qd,qkd->qk", queries, unit[found.rows])
    np.testing.assert_allclose(found.cosines, cosines, atol=1e-3)


@pytest.mark.parametrize("k", [50, 300, 1000, 5000])
def test_more_neighbours_are_looked_for_in_more_lists(k: int) -> None:
    vectors = clustered(12_000, 24)
    index = build(vectors)
    queries = normalize(clustered(40, 24) + np.float32(0.2))
    found = index.search(queries, k)
    assert (found.rows >= 0).all()
    exact = search_exactly([vectors], queries, k).best
    pairs = zip(found.rows, exact.rows, strict=True)
    assert np.mean([len(set(one) & set(other)) / k for one, other in pairs]) > 0.9


def test_lists_that_hold_too_few_are_not_all_that_is_searched() -> None:
    """The smallest list has fewer vectors than are wanted."""
    vectors = clustered(12_000, 24)
    index = dataclasses.replace(build(vectors), probes=1)
    sizes = [index.faiss_index.get_list_size(place) for place in range(index.faiss_index.nlist)]
    k = RECALL_AT + 1
    assert min(sizes) < k
    queries = normalize(vectors[:3000].copy())
    assert (index.search(queries, k).rows >= 0).all()


def test_a_search_in_one_list_is_measured_as_worse() -> None:
    """The measure must be able to fail: hard vectors, one probe."""
    random = np.random.default_rng(5)
    vectors = random.normal(size=(12_000, 32)).astype(np.float32)
    index = build(vectors)
    assert index.probes > 16  # Vectors without clusters: their neighbours are all over the lists.
    queries = normalize(vectors[:200].copy())
    exact = search_exactly([vectors], queries, RECALL_AT).best
    index = dataclasses.replace(index, probes=1)
    pairs = zip(index.search(queries, RECALL_AT).rows, exact.rows, strict=True)
    assert np.mean([len(set(one) & set(other)) / RECALL_AT for one, other in pairs]) < 0.7


def test_few_vectors_are_compared_exactly() -> None:
    for rows in (1, 2, 150):
        vectors = clustered(rows, 8)
        index = build(vectors)
        assert (index.kind, index.probes, index.recall) == ("Flat", 0, 1.0)
        found = index.search(normalize(vectors[:1].copy()), 3)
        assert found.rows[0, 0] == 0
        assert (found.rows[0] >= 0).sum() == min(rows, 3)


def test_copies_of_one_vector_do_not_look_like_misses() -> None:
    vectors = np.tile(clustered(1, 16), (11_000, 1))
    assert build(vectors).recall == 1.0


def test_plans_are_repeated_and_bounded() -> None:
    plan = plan_index(1_000_000, 1280)
    assert plan.kind == "IVF2621,SQfp16"
    assert len(plan.sample) * 1280 * 4 <= 512 << 20
    assert len(np.unique(plan.sample)) == len(plan.sample)
    np.testing.assert_array_equal(plan.sample, plan_index(1_000_000, 1280).sample)
    assert plan_index(100_000, 1280).kind == "IVF1264,SQfp16"
