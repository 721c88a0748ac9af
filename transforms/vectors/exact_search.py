"""Exact search: every vector compared with every query, only the best so far kept."""

import time
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from transforms.vectors.neighbours import Neighbours, nearest, normalize


class ExactSearch:
    """Finds the nearest of vectors that come some at a time.

    Holds k neighbours a query, however many vectors come. Queries come from elsewhere: one that is
    among the vectors finds itself. Of equally near vectors the first rows are kept, however the
    vectors are divided. `NeighbourSearch` is for vectors that are asked about each other.

    Attributes:
        best: Nearest of the vectors so far; equal cosines in order of their rows.
        seconds: Time that comparing has taken.
    """

    def __init__(self, queries: npt.NDArray[np.float32], k: int) -> None:
        """Knows no vector yet.

        Args:
            queries: float32 [queries, dim], of length 1.
            k: Neighbours a query, at least 1.
        """
        self._queries = queries
        self._k = k
        self._seen = 0
        empty = (len(queries), 0)
        self.best = Neighbours(np.empty(empty, np.int64), np.empty(empty, np.float32))
        self.seconds = 0.0

    def add(self, vectors: npt.NDArray[np.float32]) -> None:
        """Compares the next vectors: float32 [some, dim], of length 1, at least one."""
        started = time.perf_counter()
        found = nearest(vectors, self._queries, self._k)
        rows = np.concatenate([self.best.rows, found.rows + self._seen], axis=1)
        cosines = np.concatenate([self.best.cosines, found.cosines], axis=1)
        order = np.lexsort((rows, -cosines), axis=1)[:, : self._k]
        self.best = Neighbours(
            np.take_along_axis(rows, order, axis=1), np.take_along_axis(cosines, order, axis=1)
        )
        self._seen += len(vectors)
        self.seconds += time.perf_counter() - started


def search_exactly(
    vectors: Iterable[npt.NDArray[np.float32]], queries: npt.NDArray[np.float32], k: int
) -> ExactSearch:
    """Compares all vectors with the queries.

    Args:
        vectors: float32 [some, dim] a time, of any length.
        queries: float32 [queries, dim], of length 1.
        k: Neighbours a query; if there are fewer vectors, all of them.
    """
    search = ExactSearch(queries, k)
    for part in vectors:
        started = time.perf_counter()
        unit = normalize(part.copy())
        search.seconds += time.perf_counter() - started
        search.add(unit)
    return search
