"""Whether the same images are each other's nearest: comparable between any two models."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.vectors.neighbours import nearest

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class NeighbourOverlap(NamedTuple):
    """How many of the nearest neighbours are the same in two sets of vectors.

    Attributes:
        k: Neighbours an image.
        queries: int64 [queries], the images asked about.
        shares: float32 [queries], the share of the k nearest that both sets have, from 0 to 1.
    """

    k: int
    queries: Rows
    shares: Vectors

    @property
    def mean(self) -> float:
        """Mean share of all queries, from 0 to 1."""
        return float(self.shares.mean(dtype=np.float64))


class NeighbourSearch:
    """Finds the nearest neighbours of some vectors among others that come a part at a time.

    Queries are vectors of the same set, known by number: none is its own neighbour, and numbers
    may have gaps. With k = 2, queries 3 and 8:

        add([0, 3, 5], ...)    rows [[5, 0], [0, 3]]
        add([8, 9], ...)       rows [[5, 9], [9, 0]]

    Unlike `ExactSearch` it keeps faiss's choice of equally near vectors, which an overlap that was
    once measured depends on.
    """

    def __init__(self, queries: Rows, vectors: Vectors, k: int) -> None:
        """Knows no vector to look among yet.

        Args:
            queries: int64 [queries], their own numbers: none is its own neighbour.
            vectors: float32 [queries, dim], of length 1.
            k: Neighbours to find.
        """
        self._queries, self._vectors, self._k = queries, vectors, k
        self._rows = np.full((len(queries), k), -1, np.int64)
        self._cosines = np.full((len(queries), k), -np.inf, np.float32)

    def add(self, rows: Rows, vectors: Vectors) -> None:
        """Looks among more vectors.

        Args:
            rows: int64 [some], their numbers.
            vectors: float32 [some, dim], of length 1.
        """
        if not len(rows):
            return
        found = nearest(vectors, self._vectors, self._k + 1)
        numbers = rows[found.rows]
        is_itself = numbers == self._queries[:, None]
        cosines = np.hstack([self._cosines, np.where(is_itself, -np.inf, found.cosines)])
        numbers = np.hstack([self._rows, np.where(is_itself, -1, numbers)])
        best = np.argsort(-cosines, axis=1, kind="stable")[:, : self._k]
        self._cosines = np.take_along_axis(cosines, best, axis=1)
        self._rows = np.take_along_axis(numbers, best, axis=1)

    @property
    def rows(self) -> Rows:
        """The nearest of each, int64 [queries, k]; -1 where there were fewer."""
        return self._rows


def overlap_at_k(first: npt.NDArray[np.integer], second: npt.NDArray[np.integer]) -> Vectors:
    """Returns the share of k members that two sets have in common: overlap@k.

    Args:
        first: [sets, k], each number at most once a row.
        second: [sets, k] likewise, the sets to compare with.

    Returns:
        float32 [sets], from 0 to 1.

    Source:
        Webber, Moffat, Zobel: A similarity measure for indefinite rankings, ACM TOIS 28 (2010),
        section 2: the overlap of two rankings at depth k is the size of the intersection over k.
    """
    k = first.shape[1]
    return sum(
        ((first[:, [place]] == second).any(axis=1).astype(np.float32) for place in range(k)),
        np.zeros(len(first), np.float32),
    ) / np.float32(k)
