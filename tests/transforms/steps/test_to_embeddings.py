"""Outputs to embedding columns."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.steps.to_embeddings import find_overflow, normalize_l2, to_embedding_column

VECTORS: npt.NDArray[np.float32] = np.array([[3, 4], [0, 0], [1e-30, 0]], dtype=np.float32)


def test_normalized_vectors_have_length_one_and_zero_stays_zero() -> None:
    expected = np.array([[0.6, 0.8], [0, 0], [1, 0]])
    np.testing.assert_allclose(normalize_l2(VECTORS), expected, rtol=1e-7)


def test_float32_vectors_are_not_copied() -> None:
    column = to_embedding_column(VECTORS, pa.list_(pa.float32(), 2))
    assert column.to_pylist() == VECTORS.tolist()
    assert np.shares_memory(column.values.to_numpy(), VECTORS)


def test_float16_vectors_are_rounded() -> None:
    column = to_embedding_column(VECTORS[:1] / np.float32(7), pa.list_(pa.float16(), 2))
    assert column.values.to_numpy().tolist() == [np.float16(3 / 7), np.float16(4 / 7)]


def test_a_value_that_overflows_float16_is_found_and_the_limit_is_not() -> None:
    vectors = np.array([[1.0], [-70_000.0], [65_504.0]], np.float32)
    ((row, error),) = find_overflow(vectors, pa.list_(pa.float16(), 1)).items()
    assert row == 1
    assert str(error).startswith("value 70000 does not fit float16 (largest 65504); use --embed")
    assert find_overflow(vectors, pa.list_(pa.float32(), 1)) == {}


def test_an_empty_batch_gives_an_empty_column_of_the_right_type() -> None:
    vector_type = pa.list_(pa.float32(), 2)
    column = to_embedding_column(VECTORS[:0], vector_type)
    assert len(column) == 0
    assert column.type == vector_type
