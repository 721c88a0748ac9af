"""Vectors and classes to train heads on."""

import numpy as np
import numpy.typing as npt

from transforms.training.class_labels import ClassLabels
from transforms.training.vector_file import LabelledVectors
from transforms.vectors.standardization import Moments, Standardization


def labels_from(classes: npt.NDArray[np.int64]) -> ClassLabels:
    """Returns labels of one class a row, named by their numbers."""
    names = tuple(str(number) for number in range(int(classes.max()) + 1))
    starts = np.arange(len(classes) + 1)
    return ClassLabels(names, starts, classes.astype(np.int32), np.ones(len(classes), bool))


def gaussians(
    rows: int, dim: int, classes: int, separation: float, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Returns vectors of overlapping classes behind a ReLU, on scales of their own; and classes."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, dim)) * separation
    labels = random.integers(0, classes, rows)
    mixing = random.normal(size=(dim, dim)) / dim**0.5
    noisy = (centres[labels] + random.normal(size=(rows, dim))) @ mixing
    scale = random.gamma(1, 1, size=dim)
    return np.maximum(noisy * 3 * scale + 0.5, 0).astype(np.float32), labels


def standardize(vectors: npt.NDArray[np.float32]) -> Standardization:
    """Measures vectors."""
    moments = Moments(vectors.shape[1])
    moments.add(vectors)
    return moments.standardization()


def labelled(vectors: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]) -> LabelledVectors:
    """Puts vectors and classes together, in memory."""
    return LabelledVectors(vectors, labels_from(classes))
