"""Model outputs to embedding columns."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.schemas import EMBEDDING


def normalize_l2(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scales each vector to length 1; a zero vector stays zero.

    Args:
        vectors: float32 [batch, embedding_dim].

    Returns:
        float32 [batch, embedding_dim].
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)


def to_embedding_column(vectors: npt.NDArray[np.float32], vector_type: pa.DataType) -> pa.Array:
    """Returns the vectors as one fixed-size-list column, without a copy for float32.

    Args:
        vectors: float32 [batch, embedding_dim].
        vector_type: fixed_size_list<float32 | float16>[embedding_dim].

    Raises:
        OverflowError: If a finite value is too large for float16.
    """
    dtype = vector_type.value_type.to_pandas_dtype()
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(vectors).astype(dtype, copy=False)
    if not np.isfinite(values).all():
        largest = float(np.abs(vectors).max())
        raise OverflowError(
            f"{EMBEDDING}: value {largest:.6g} does not fit {np.dtype(dtype)} (largest "
            f"{float(np.finfo(dtype).max):.6g}); use --embedding_dtype float32 or --normalize l2"
        )
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=vector_type)
