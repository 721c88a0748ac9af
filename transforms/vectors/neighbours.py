"""Nearest neighbours by cosine: exact, by faiss."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.machine.extras import import_extra


class Neighbours(NamedTuple):
    """The nearest vectors of some queries, the nearest first.

    Attributes:
        rows: int64 [queries, k], places among the vectors.
        cosines: float32 [queries, k], from -1 to 1.
    """

    rows: npt.NDArray[np.int64]
    cosines: npt.NDArray[np.float32]


def normalize(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scales vectors to length 1, in place; what is 0 throughout stays so.

    Args:
        vectors: float32 [rows, dim], contiguous.

    Returns:
        The same array.
    """
    faiss = import_extra("faiss")
    faiss.normalize_L2(vectors)
    return vectors


def nearest(
    vectors: npt.NDArray[np.float32], queries: npt.NDArray[np.float32], k: int
) -> Neighbours:
    """Finds the nearest vectors of each query by comparing it with all of them.

    Args:
        vectors: float32 [rows, dim], of length 1; at least one.
        queries: float32 [queries, dim], of length 1. One that is among the vectors finds itself.
        k: Neighbours a query; if there are fewer vectors, all of them.
    """
    faiss = import_extra("faiss")
    cosines, rows = faiss.knn(
        queries, vectors, min(k, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT
    )
    return Neighbours(rows, cosines)
