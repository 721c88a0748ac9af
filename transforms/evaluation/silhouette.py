"""How much nearer images are to their own class than to the next: the silhouette, by cosine.

It needs no distances between pairs. The mean cosine distance of a vector x of length 1 to a set is
1 less the product of x with the mean of the set. So sums of the classes' vectors are enough, and
all images count:

    sums      float64 [classes, dim]
    x of class A, of n_A images
    a         1 - x (sums[A] - x) / (n_A - 1)          mean distance to the others of A
    b         least of 1 - x sums[C] / n_C             of all other classes C
    value     (b - a) / max(a, b)                      0 where n_A is 1

Source: Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster
analysis" (1987).
"""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

_CLASSES_AT_ONCE = 4096
"""Of products or landmarks there are millions: distances to all of them would be gigabytes."""


class ClassSums:
    """The sum of the vectors of each class, which come some at a time.

    Attributes:
        sums: float64 [classes, dim].
        counts: int64 [classes], vectors of each.
    """

    def __init__(self, classes: int, dim: int) -> None:
        self.sums = np.zeros((classes, dim))
        self.counts = np.zeros(classes, np.int64)

    def add(self, vectors: Vectors, labels: Labels) -> None:
        """Adds vectors, at least one: float32 [some, dim] of length 1; classes: int32 [some]."""
        order = np.argsort(labels, kind="stable")
        present, starts = np.unique(labels[order], return_index=True)
        self.sums[present] += np.add.reduceat(vectors[order].astype(np.float64), starts, axis=0)
        self.counts += np.bincount(labels, minlength=len(self.counts))

    def silhouettes(self, vectors: Vectors, labels: Labels) -> npt.NDArray[np.float64]:
        """Returns the silhouette of vectors that were added: float64 [some], from -1 to 1.

        Args:
            vectors: float32 [some, dim], of length 1 or 0 throughout.
            labels: int32 [some], their classes; at least two classes have vectors.
        """
        wide = vectors.astype(np.float64)
        with_own = np.einsum("ij,ij->i", wide, self.sums[labels])
        with_itself = np.einsum("ij,ij->i", wide, wide)
        own = 1 - (with_own - with_itself) / np.maximum(self.counts[labels] - 1, 1)
        next_one = np.full(len(vectors), np.inf)
        for start in range(0, len(self.counts), _CLASSES_AT_ONCE):
            sums, counts = (it[start : start + _CLASSES_AT_ONCE] for it in (self.sums, self.counts))
            distances = 1 - wide @ sums.T / np.maximum(counts, 1)
            distances[:, counts == 0] = np.inf
            (rows,) = np.nonzero((labels >= start) & (labels < start + len(counts)))
            distances[rows, labels[rows] - start] = np.inf
            np.minimum(next_one, distances.min(axis=1), out=next_one)
        largest = np.maximum(own, next_one)
        values = np.divide(next_one - own, largest, out=np.zeros(len(own)), where=largest > 0)
        return np.where(self.counts[labels] > 1, values, 0.0)
