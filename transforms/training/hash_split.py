"""Which rows validate: by a hash, so that a row stays on its side whatever else comes or goes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.errors import InputError
from transforms.runs.image_ids import digest_ids

_RANGE = 2.0**64


def is_validation(keys: pa.ChunkedArray, fraction: float) -> npt.NDArray[np.bool_]:
    """Splits rows by the hash of a key: rows of one key are always on one side.

    A row validates if the blake2b digest of its key's text, 8 bytes as a little-endian number, is
    below `fraction` of the range. A larger fraction only moves rows from training to validation:

        key          digest                     of the range    fraction 0.2    fraction 0.5
        "fox_1.jpg"  df c1 92 99 80 89 e9 20    0.129           validates       validates
        "dog_2.jpg"  9b f9 f5 a4 1d 4e dc 42    0.261           trains          validates

    No random number and no order of rows takes part: an image that is embedded again next year,
    among others, is on the side where it was.

    Args:
        keys: Keys, one a row.
        fraction: Expected share of validation rows, in (0, 1).

    Returns:
        bool [rows], true for validation.

    Raises:
        InputError: If a key is null.
    """
    if keys.null_count:
        raise InputError(f"{keys.null_count:,} images have no key to split by; see --split_by")
    digests = b"".join(digest_ids(map(_text, chunk.to_pylist())) for chunk in keys.chunks)
    return np.frombuffer(digests, "<u8") < fraction * _RANGE


def check_split(
    names: Sequence[str],
    training: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
    fraction: float,
) -> None:
    """Checks that every class has rows to train with and to validate with.

    Args:
        names: The classes.
        training: int64 [classes], rows to train with.
        validation: int64 [classes], rows to validate with.
        fraction: The split's.

    Raises:
        InputError: If one has none; names it.
    """
    for what, counts, cure in (
        ("validation", validation, "larger"),
        ("training", training, "smaller"),
    ):
        without = [name for name, count in zip(names, counts, strict=True) if not count]
        if without:
            shown = ", ".join(without[:5]) + (", ..." if len(without) > 5 else "")
            raise InputError(
                f"{len(without)} of {len(names)} classes have no {what} images: {shown}; give them "
                f"more images, leave them out, or take a {cure} --validation_fraction than "
                f"{fraction:g}"
            )


def _text(key: object) -> str:
    """Returns a key as text; a carried tf.Example feature is a list."""
    if isinstance(key, list):
        return "\0".join(map(_text, key))
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)
