"""Preprocesses images each in another process, for a shard that may hold one that ends its process.

Slower than a Preprocessor, with the same pixels. It needs TensorFlow in the other process.
"""

import functools
import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from transforms.errors import ImageError
from transforms.images.decoder_pool import DecoderPool
from transforms.images.policy import Preprocessing

if TYPE_CHECKING:
    from transforms.images.preprocessor import Preprocessed, Preprocessor

_POOL = DecoderPool()


class CarefulPreprocessor:
    """What a Preprocessor does, but that an image which crashes or hangs costs only itself."""

    def __init__(self, policy: Preprocessing) -> None:
        """Starts nothing yet.

        Args:
            policy: Size, range and dtype of the pixels, and the way there.
        """
        self._policy = policy

    def __call__(self, encoded: Sequence[bytes]) -> "Preprocessed":
        """Preprocesses a batch, one by one.

        Args:
            encoded: Image files, whole, of any mix of formats.
        """
        from transforms.images.preprocessor import Preprocessed

        policy = self._policy
        parts = [_nothing(policy)]
        errors: dict[int, ImageError] = {}
        for index, file in enumerate(encoded):
            buffer, seconds = pickle.PickleBuffer(file), policy.max_image_seconds
            try:
                part = _POOL.call(_run, _Traced(policy), buffer, seconds=seconds)
            except ImageError as error:
                errors[index] = error
            else:
                parts.append(part)
                errors.update((index, error) for error in part.errors.values())
        pixels, heights, widths, _ = zip(*parts, strict=True)
        return Preprocessed(
            np.concatenate(pixels), np.concatenate(heights), np.concatenate(widths), errors
        )


def _nothing(policy: Preprocessing) -> "Preprocessed":
    from transforms.images.preprocessor import Preprocessed

    pixels = np.empty((0, *policy.image_size, 3), policy.dtype)
    return Preprocessed(pixels, np.empty(0, np.int32), np.empty(0, np.int32), {})


class _Traced:
    """A policy, on whose arrival in the other process there is the Preprocessor of it.

    So TensorFlow is imported and the graphs are traced before the image's time begins.
    """

    def __init__(self, policy: Preprocessing) -> None:
        self._policy = policy

    def __reduce__(self) -> tuple[Any, ...]:
        return _preprocessor, (self._policy,)


@functools.cache
def _preprocessor(policy: Preprocessing) -> "Preprocessor":
    from transforms.images.preprocessor import Preprocessor

    return Preprocessor(policy)


def _run(preprocessor: Any, file: bytes) -> "Preprocessed":  # noqa: ANN401
    return preprocessor([file])
