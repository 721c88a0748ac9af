"""Model outputs to embedding columns."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.errors import EmbeddingOverflowError


def normalize_l2(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scales each vector to length 1; a zero vector stays zero.

    Args:
        vectors: float32 [batch, embedding_dim].

    Returns:
        float32 [batch, embedding_dim].
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)


def find_overflow(
    vectors: npt.NDArray[np.float32], vector_type: pa.DataType
) -> dict[int, EmbeddingOverflowError]:
    """Finds the vectors that do not fit the written type.

    Args:
        vectors: float32 [batch, embedding_dim], finite.
        vector_type: fixed_size_list<float32 | float16>[embedding_dim].

    Returns:
        What is wrong, by row number.
    """
    dtype = np.dtype(vector_type.value_type.to_pandas_dtype())
    limit = float(np.finfo(dtype).max)
    largest = np.abs(vectors).max(axis=1, initial=0)
    return {
        int(row): EmbeddingOverflowError(
            f"value {largest[row]:.6g} does not fit {dtype} (largest {limit:.6g}); use "
            "--embedding_dtype float32 or --normalize l2"
        )
        for row in np.flatnonzero(largest > limit)
    }


def to_embedding_column(vectors: npt.NDArray[np.float32], vector_type: pa.DataType) -> pa.Array:
    """Returns the vectors as one fixed-size-list column, without a copy for float32.

    Args:
        vectors: float32 [batch, embedding_dim], each fitting the type.
        vector_type: fixed_size_list<float32 | float16>[embedding_dim].
    """
    dtype = vector_type.value_type.to_pandas_dtype()
    values = np.ascontiguousarray(vectors).astype(dtype, copy=False)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=vector_type)
