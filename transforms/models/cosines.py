"""The cosine of two models' answers."""

import numpy as np
import numpy.typing as npt

from transforms.vectors.one_number import with_scale


def cosines(
    first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Returns the cosine of each pair of rows; 1 for two that are both zero, 0 if only one is.

    Answers of one number get the largest of all of them beside them; see with_scale.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    scale = max(np.abs(rows).max(initial=0) for rows in (first, second))
    first, second = with_scale(first, scale), with_scale(second, scale)
    norms = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    product = norms[0] * norms[1]
    both_zero = (norms[0] == 0) & (norms[1] == 0)
    dots = (first * second).sum(axis=1)
    return np.where(product > 0, dots / np.where(product > 0, product, 1), both_zero)
