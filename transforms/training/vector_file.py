"""Vectors in a file of their own, for epoch after epoch: the page cache is the memory."""

import tempfile
from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from transforms.training.class_labels import ClassLabels

BLOCK_ROWS = 256
"""Rows that stay together in a shuffle: some hundred kB to MB, which any disk reads at speed."""
WINDOW_ROWS = 65_536
"""Rows that are mixed with each other, from blocks of all over the file."""


class Batch(NamedTuple):
    """A batch of rows and the classes of each.

    Attributes:
        vectors: float32 [rows, dim].
        targets: float32 [rows, classes], 1 where the row is of the class.
    """

    vectors: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]


class VectorFile:
    """Takes vectors, a batch at a time; the file has no name, and is gone with the process.

    A context manager: it can be appended to and read inside.
    """

    def __init__(self, directory: str) -> None:
        """Makes an empty file without a name.

        Args:
            directory: Directory on a disk with room for all.

        Raises:
            OSError: If it cannot.
        """
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by __exit__.

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, vectors: npt.NDArray[np.float32]) -> None:
        """Appends rows: float32 [rows, dim].

        Raises:
            OSError: If the disk is full.
        """
        self._file.write(np.ascontiguousarray(vectors).data)

    def read(self, dim: int, labels: ClassLabels) -> "LabelledVectors":
        """Returns all rows; they outlive this.

        Args:
            dim: Numbers a vector.
            labels: Classes of the vectors, one row a vector, at least one.

        Raises:
            ValueError: If there are fewer vectors.
        """
        self._file.flush()
        vectors = np.memmap(self._file, np.float32, "r", shape=(len(labels.is_labelled), dim))
        return LabelledVectors(vectors, labels)


class LabelledVectors:
    """Vectors and the classes of each.

    Attributes:
        labels: The classes.
        rows: Number of vectors.
        dim: Numbers a vector.
    """

    def __init__(self, vectors: npt.NDArray[np.float32], labels: ClassLabels) -> None:
        """Reads nothing yet: vectors in a file stay there until a batch wants them.

        Args:
            vectors: float32 [rows, dim], in memory or in a file.
            labels: Classes of the vectors, one row a vector.
        """
        self._vectors = vectors
        self.labels = labels
        self.rows, self.dim = vectors.shape

    def batches(self, size: int) -> Iterator[Batch]:
        """Yields all rows in order."""
        return self._in_order(np.arange(self.rows), size)

    def shuffled(self, size: int, random: np.random.Generator) -> Iterator[Batch]:
        """Yields all rows in random order."""
        return self._in_order(shuffle_rows(self.rows, random), size)

    def _in_order(self, order: npt.NDArray[np.int64], size: int) -> Iterator[Batch]:
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield Batch(np.asarray(self._vectors[rows]), self.labels.targets(rows))


def shuffle_rows(count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Shuffles rows so that they can be read from a file larger than the memory.

    The blocks of the file are shuffled, and then the rows of each window of blocks. With at most
    WINDOW_ROWS rows every order is possible. Were blocks of 2 rows and windows of 4:

        rows 0 1 | 2 3 | 4 5 | 6 7    blocks 4 5 2 3 | 0 1 6 7    then 3 4 5 2 | 7 0 6 1

    Args:
        count: Rows in the file.
        random: The source of chance.

    Returns:
        int64 [count], every row once.
    """
    starts = random.permutation(np.arange(0, count, BLOCK_ROWS))
    blocks = [np.arange(start, min(start + BLOCK_ROWS, count)) for start in starts]
    order = np.concatenate([np.empty(0, np.int64), *blocks])
    for start in range(0, count, WINDOW_ROWS):
        random.shuffle(order[start : start + WINDOW_ROWS])
    return order
