"""Whether vectors are fit to be compared: norms, dead dimensions, collapsed directions."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.vectors.standardization import Moments

DEAD_RELATIVE_DEVIATION = 1e-6
"""Share of the median dimension's deviation: what varies less holds nothing but rounding."""

SAME_CORRELATION = 0.9999
"""Two dimensions that correlate this much, or its negative, hold the same thing twice."""

SPECTRUM_ROWS = 20_000
"""Rows whose covariance is computed; far more than dimensions, and a second of work."""


class VectorNorms:
    """What is measured of all vectors, a batch at a time.

    Attributes:
        moments: Mean and deviation of every dimension.
        not_finite: Vectors with NaN or infinity; they are not in the moments, and their norm is 0.
    """

    def __init__(self, dim: int) -> None:
        self.moments = Moments(dim)
        self.not_finite = 0
        self._norms: list[npt.NDArray[np.float32]] = []

    def add(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Measures more vectors, and returns them at length 1.

        Args:
            vectors: float32 [rows, dim].

        Returns:
            float32 [rows, dim], of length 1; 0 throughout where they are that, or not finite.
        """
        # In float64 the square of no float32 overflows; only what is not finite has no norm.
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        finite = np.isfinite(norms)
        if not finite.all():
            self.not_finite += int((~finite).sum())
            vectors = np.where(finite[:, None], vectors, np.float32(0))
            norms = np.where(finite, norms, 0)
        self.moments.add(vectors[finite])
        self._norms.append(norms.astype(np.float32))
        return vectors / np.where(norms > 0, norms, 1).astype(np.float32)[:, None]

    def norms(self) -> npt.NDArray[np.float32]:
        """Returns the lengths of all vectors so far: float32 [rows]."""
        return np.concatenate(self._norms)


class Spectrum(NamedTuple):
    """How the directions of vectors are spread, of vectors of length 1.

    Attributes:
        shares: float64 [dim], share of the variance along each principal direction, the largest
            first.
        effective_dimensions: The participation ratio of the shares, 1 / sum(share ** 2): 1 if all
            variance is along one direction, dim if it is equal along all.
        mean_cosine: Mean cosine of two different vectors: 0 if they point everywhere alike, 1 if
            all point the same way.
        same_dimensions: Pairs of dimensions that hold the same thing, dead ones left out.
    """

    shares: npt.NDArray[np.float64]
    effective_dimensions: float
    mean_cosine: float
    same_dimensions: tuple[tuple[int, int], ...]


def find_dead(deviation: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Returns the dimensions that never vary, by the deviation of each."""
    varying = deviation[deviation > 0]
    least = DEAD_RELATIVE_DEVIATION * float(np.median(varying)) if len(varying) else 0.0
    return np.flatnonzero(deviation <= least)


def measure_spectrum(vectors: npt.NDArray[np.float32]) -> Spectrum:
    """Measures the spread of directions.

    Args:
        vectors: float32 [rows, dim], of length 1 or 0; at least two.

    Source:
        Participation ratio: Gao et al., "A theory of multineuronal dimensionality, dynamics and
        measurement" (2017), equation 4. Mean cosine: the anisotropy of Ethayarajh, "How contextual
        are contextualized word representations?" (2019), over all pairs by one sum.
    """
    vectors = vectors[np.any(vectors, axis=1)]
    rows, dim = vectors.shape
    if rows < 2:
        return Spectrum(np.zeros(dim), 0.0, 0.0, ())
    mean = vectors.mean(axis=0, dtype=np.float64)
    mean_cosine = (rows * float(mean @ mean) - 1) / (rows - 1)
    centred = vectors - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / rows
    variances = np.maximum(np.linalg.eigvalsh(covariance)[::-1], 0)
    total = variances.sum()
    shares = variances / total if total > 0 else variances
    squares = float(np.square(shares).sum())
    return Spectrum(
        shares, 1 / squares if squares else 0.0, mean_cosine, _find_same_dimensions(covariance)
    )


def _find_same_dimensions(
    covariance: npt.NDArray[np.float64],
) -> tuple[tuple[int, int], ...]:
    deviation = np.sqrt(covariance.diagonal())
    living = np.setdiff1d(np.arange(len(deviation)), find_dead(deviation))
    scale = deviation[living]
    correlation = covariance[np.ix_(living, living)] / np.outer(scale, scale)
    pairs = np.argwhere(np.triu(np.abs(correlation) >= SAME_CORRELATION, k=1))
    return tuple((int(living[one]), int(living[other])) for one, other in pairs)
