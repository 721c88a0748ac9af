"""Lists of images in tf.SequenceExamples, as videos are stored.

A SequenceExample is an Example whose features are called context, and lists of features beside
them:

    context        image/filename [b"cat.mp4"], label [3]
    feature_lists  image/encoded  [b"<JPEG>"], [b"<JPEG>"], ...

Read as an Example it gives its context. Source: example.proto of tensorflow/core/example (2.21).
"""

from collections.abc import Sequence
from typing import Any

from transforms.errors import CorruptRecordError
from transforms.files.protobuf_examples import parse_sequence

MAX_FRAMES = 100_000
"""Frames of a record: an hour of video has as many, and each takes memory however small it is."""


def list_names(record: bytes) -> list[str]:
    """Names the lists of features in a record; none of an Example, or of what is neither."""
    return sorted(_lists(record))


def read_frames(record: bytes, name: str) -> Sequence[bytes] | None:
    """Reads a list of images, each of which is the one value of its feature.

    Returns:
        The images in order; None if the record has no such list.

    Raises:
        CorruptRecordError: If a feature is not one value of bytes, or there are too many.
    """
    found = _lists(record).get(name)
    if found is None:
        return None
    if len(found.feature) > MAX_FRAMES:
        raise CorruptRecordError(
            f"its feature list {name!r} has {len(found.feature):,} features, more than "
            f"{MAX_FRAMES:,}; write it as several records"
        )
    frames = [feature.bytes_list.value for feature in found.feature]
    for place, values in enumerate(frames):
        if len(values) != 1:
            raise CorruptRecordError(
                f"feature {place} of its feature list {name!r} has {len(values)} values of bytes, "
                "wanted one image; --image_key names another list"
            )
    return [image for (image,) in frames]


def _lists(record: bytes) -> dict[str, Any]:
    try:
        return parse_sequence(record)
    except RuntimeError:  # Reading it as an Example says what is wrong.
        return {}
