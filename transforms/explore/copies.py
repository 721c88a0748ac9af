"""Images that are there several times: a page shows one picture, and says how many there are."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


class Copies(NamedTuple):
    """Which rows of a run are of the same bytes.

    Attributes:
        first: int64 [rows], the first row of the same bytes.
        counts: int64 [rows], the number of rows of the same bytes, at least 1.
    """

    first: Rows
    counts: Rows

    @classmethod
    def of(cls, contents: npt.NDArray[np.uint64]) -> "Copies":
        """Finds copies.

        Args:
            contents: uint64 [rows], a digest of each image's content_sha256.
        """
        _, first, content_of, counts = np.unique(
            contents, return_index=True, return_inverse=True, return_counts=True
        )
        return cls(first[content_of], counts[content_of])

    def pick(self, rows: Rows, count: int) -> Rows:
        """Returns the first few of some rows, of copies the first alone.

        Args:
            rows: int64 [any], in the order of interest.
            count: Largest number of rows to return.
        """
        _, places = np.unique(self.first[rows], return_index=True)
        return rows[np.sort(places)[:count]]
