"""Mean 0 and deviation 1 for every feature: measured in one pass, folded into a linear head."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MIN_RELATIVE_DEVIATION = 1e-3
"""Share of the median feature's deviation. Features that hardly vary, or never, count as varying
this much: a later image in which one does must not outweigh all others."""


class Standardization(NamedTuple):
    """What is taken from every feature, and what it is divided by.

    Attributes:
        mean: float64 [dim].
        deviation: float64 [dim], over 0.
    """

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]

    def apply(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Returns float32 [rows, dim] of mean 0 and deviation 1, over the rows measured."""
        scaled = vectors - self.mean.astype(np.float32)
        scaled *= (1 / self.deviation).astype(np.float32)
        return scaled

    def fold(
        self, kernel: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Makes a head for standardised vectors one for vectors as they are.

        Args:
            kernel: float32 [dim, classes].
            bias: float32 [classes].

        Returns:
            Kernel and bias that give the same logits.
        """
        wide = kernel / self.deviation[:, None]
        return wide.astype(np.float32), (bias - self.mean @ wide).astype(np.float32)

    def unfold(
        self, kernel: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Undoes `fold`: makes a head for vectors as they are one for standardised vectors."""
        wide = kernel.astype(np.float64)
        return (
            (wide * self.deviation[:, None]).astype(np.float32),
            (bias + self.mean @ wide).astype(np.float32),
        )


class Moments:
    """Mean and variance of rows that come a batch at a time.

    Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983): the sums
    of squares are about each batch's own mean, so that nothing large cancels.
    """

    def __init__(self, dim: int) -> None:
        self._count = 0
        self._mean = np.zeros(dim)
        self._squares = np.zeros(dim)

    def add(self, vectors: npt.NDArray[np.float32]) -> None:
        """Adds rows: float32 [rows, dim]."""
        if not len(vectors):
            return
        mean = vectors.mean(axis=0, dtype=np.float64)
        squares = np.square(vectors - mean).sum(axis=0)
        total = self._count + len(vectors)
        shift = mean - self._mean
        self._mean += shift * (len(vectors) / total)
        self._squares += squares + shift**2 * (self._count * len(vectors) / total)
        self._count = total

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """The rows' mean so far: float64 [dim]."""
        return self._mean

    @property
    def deviation(self) -> npt.NDArray[np.float64]:
        """The rows' standard deviation so far: float64 [dim], 0 where a feature never varies."""
        return np.sqrt(self._squares / max(self._count, 1))

    def standardization(self) -> Standardization:
        """Returns mean and deviation of the rows so far; deviation 1 if no feature ever varies."""
        deviation = self.deviation
        varying = deviation[deviation > 0]
        least = MIN_RELATIVE_DEVIATION * float(np.median(varying)) if len(varying) else 1.0
        return Standardization(self._mean, np.maximum(deviation, least))
