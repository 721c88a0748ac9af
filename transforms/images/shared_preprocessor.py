"""Turns encoded images into the pixels of several policies; what is common to them is done once."""

from collections.abc import Sequence
from typing import Any

from transforms.images.jpeg_batches import JpegBatches
from transforms.images.policy import LIMITS, Preprocessing
from transforms.images.preprocessor import Preprocessed, Preprocessor, preprocess_together
from transforms.images.read_image import Boxes

_WAY_OF_READING = (*LIMITS, "max_image_seconds", "color_profile")
"""Fields of policies that decide what is read of a file; the rest says what is made of it."""
_WAY_OF_BOXES = (*_WAY_OF_READING, "exif")
"""The same where boxes are cut: boxes lie in the image as it is shown."""


class SharedPreprocessor:
    """Several Preprocessors in one, each with the pixels that it would make alone.

    Made once a process; threads may call it at the same time.
    """

    def __init__(self, policies: Sequence[Preprocessing]) -> None:
        """Traces the graphs; nothing is traced later.

        Args:
            policies: Policies, each once.
        """
        jpegs = JpegBatches()
        self._preprocessors = {policy: Preprocessor(policy, jpegs) for policy in policies}

    def __call__(
        self,
        encoded: Sequence[bytes],
        policies: Sequence[Preprocessing],
        boxes: Boxes | None = None,
    ) -> list[Preprocessed]:
        """Preprocesses a batch by some of the policies; a bad image costs only itself.

        Args:
            encoded: Image files, whole, of any mix of formats.
            policies: Policies to follow, of those that it was made of.
            boxes: The box of each image that is wanted; None of whole images.
        """
        alike: dict[tuple[Any, ...], list[Preprocessing]] = {}
        deciding = _WAY_OF_READING if boxes is None else _WAY_OF_BOXES
        for policy in policies:
            way = tuple(getattr(policy, name) for name in deciding)
            alike.setdefault(way, []).append(policy)
        made: dict[Preprocessing, Preprocessed] = {}
        for group in alike.values():
            ways = [self._preprocessors[policy] for policy in group]
            made |= zip(group, preprocess_together(ways, encoded, boxes), strict=True)
        return [made[policy] for policy in policies]
