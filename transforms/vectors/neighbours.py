"""Nearest neighbours by cosine: exact, by faiss."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.machine.extras import import_extra

_CANDIDATES = 8
"""Vectors that are looked at for each neighbour, since some of them are alike."""


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


def nearest_unlike(
    vectors: npt.NDArray[np.float32], places: npt.NDArray[np.int64], k: int, alike: float
) -> list[Neighbours]:
    """Finds the nearest vectors of some; of those that are alike, the nearest alone.

    Of a picture that is there six times, and of its copies, five neighbours say nothing:

        query 3, nearest to it 3, 8, 5, 6, and 8 is alike 3, 6 alike 5 --> 5

    Args:
        vectors: float32 [rows, dim], of length 1; at least one.
        places: int64 [queries], places among the vectors.
        k: Neighbours a query; fewer where most of the nearest are alike.
        alike: Cosine from which on two vectors count as one.

    Returns:
        For each query its neighbours, rows and cosines [at most k].
    """
    found = nearest(vectors, vectors[places], 1 + k * _CANDIDATES)
    return [
        _tell_apart(vectors, int(place), Neighbours(rows, cosines), k, alike)
        for place, rows, cosines in zip(places, *found, strict=True)
    ]


def _tell_apart(
    vectors: npt.NDArray[np.float32], place: int, found: Neighbours, k: int, alike: float
) -> Neighbours:
    kept, cosines = [place], [1.0]
    for row, cosine in zip(*(part.tolist() for part in found), strict=True):
        if len(kept) > k:
            break
        if row != place and (vectors[kept] @ vectors[row]).max() < alike:
            kept.append(row)
            cosines.append(cosine)
    return Neighbours(np.array(kept[1:], np.int64), np.array(cosines[1:], np.float32))
