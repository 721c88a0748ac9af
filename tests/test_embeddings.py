"""Outputs to embedding columns."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from transforms.embeddings import normalize_l2, to_embedding_column

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


def test_a_value_that_overflows_float16_is_refused_with_the_cure() -> None:
    with pytest.raises(OverflowError, match=r"70000 does not fit float16.*--embedding_dtype"):
        to_embedding_column(np.array([[70_000.0]], np.float32), pa.list_(pa.float16(), 1))


def test_an_empty_batch_gives_an_empty_column_of_the_right_type() -> None:
    vector_type = pa.list_(pa.float32(), 2)
    column = to_embedding_column(VECTORS[:0], vector_type)
    assert len(column) == 0
    assert column.type == vector_type
