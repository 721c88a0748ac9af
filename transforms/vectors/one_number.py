"""Vectors of one number: their direction is its sign, so their cosines are 1 or -1."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from transforms.errors import InputError

_Float = TypeVar("_Float", bound=np.floating)


def with_scale(vectors: npt.NDArray[_Float], scale: float) -> npt.NDArray[_Float]:
    """Puts a scale beside vectors of one number, so that their cosines tell how far they differ.

    Beside 4, the largest of all:

        vectors                    4         3         0.1         -4
        become                     (4, 4)    (3, 4)    (0.1, 4)    (-4, 4)
        cosine to the first was    1         1         1           -1
        and is                     1         0.990     0.725       0

    Args:
        vectors: float [rows, dim].
        scale: Largest absolute value of all numbers that are compared.

    Returns:
        [rows, 2] of vectors of one number, others as they are.
    """
    if vectors.shape[1] != 1:
        return vectors
    return np.hstack([vectors, np.full_like(vectors, scale)])


def refuse_one_number(dim: int, directory: str) -> None:
    """Refuses vectors of one number where they are looked for by direction.

    Args:
        dim: Numbers a vector.
        directory: Name of the run for the message.

    Raises:
        InputError: If it is one.
    """
    if dim == 1:
        raise InputError(
            f"{directory} has vectors of one number: by cosine each is like all others of its "
            "sign; wanted two numbers or more, as of a model's feature vector"
        )
