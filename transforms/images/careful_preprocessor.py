"""Preprocesses images each in another process, for a shard that may hold one that ends its process.

Slower than a Preprocessor, with the same pixels. It needs TensorFlow in the other process.
"""

import functools
import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from transforms.boxes import ImageBox, same_runs
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

    @property
    def policy(self) -> Preprocessing:
        """The policy by which it makes pixels of images."""
        return self._policy

    def __call__(
        self, encoded: Sequence[bytes], boxes: Sequence[ImageBox | None] | None = None
    ) -> "Preprocessed":
        """Preprocesses a batch, one file after the other.

        Args:
            encoded: Image files, whole, of any mix of formats.
            boxes: The box of each that is wanted; None, of one or all, stands for the whole image.
        """
        from transforms.images.preprocessor import Preprocessed

        policy = self._policy
        parts = [_nothing(policy)]
        errors: dict[int, ImageError] = {}
        for places in same_runs(encoded):
            own = [boxes[index] if boxes else None for index in places]
            buffer, seconds = pickle.PickleBuffer(encoded[places[0]]), policy.max_image_seconds
            try:
                part = _POOL.call(_run, _Traced(policy), buffer, own, seconds=seconds)
            except ImageError as error:
                errors |= dict.fromkeys(places, error)
            else:
                parts.append(part)
                errors |= {places[number]: error for number, error in part.errors.items()}
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


def _run(preprocessor: "Preprocessor", file: bytes, boxes: list[ImageBox | None]) -> "Preprocessed":
    return preprocessor([file] * len(boxes), boxes)
