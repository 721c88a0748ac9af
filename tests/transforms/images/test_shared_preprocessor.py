"""SharedPreprocessor: several policies at once, each with the pixels that it makes alone."""

import functools
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.images import encode, exif, photo
from transforms.images.jpeg_batches import Finish, JpegBatch, JpegBatches
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessed, Preprocessor, preprocess_together
from transforms.images.read_image import ReadImage
from transforms.images.shared_preprocessor import SharedPreprocessor

POLICIES = {
    "small": Preprocessing(image_size=(24, 32)),
    "large": Preprocessing(image_size=(40, 40), resize_mode="crop", antialias=True),
    "turned": Preprocessing(image_size=(24, 32), exif="ignore", input_range="-1,1"),
    "bytes": Preprocessing(image_size=(30, 20), resize_mode="pad", dtype="uint8"),
    "fast": Preprocessing(image_size=(24, 32), decode="fast"),
    "larger": Preprocessing(image_size=(26, 30), decode="fast"),
    "largest": Preprocessing(image_size=(80, 90), decode="fast"),
    "strict": Preprocessing(image_size=(24, 32), max_image_pixels=20_000),
}


def files() -> list[bytes]:
    whole = encode(photo(200, 180, 3), "JPEG")
    return [
        whole,
        encode(photo(120, 90, 1), "JPEG", exif=exif(6)),
        encode(photo(30, 40, 2), "PNG"),
        whole[:900],
        b"no image",
        encode(photo(20, 20, 4), "GIF"),
        encode(photo(64, 64, 5)[..., 0], "JPEG"),
    ]


@functools.cache
def shared() -> SharedPreprocessor:
    return SharedPreprocessor(list(POLICIES.values()))


@functools.cache
def alone(name: str) -> Preprocessed:
    return Preprocessor(POLICIES[name])(files())


@pytest.mark.parametrize(
    "names",
    [
        ["small"],
        ["small", "large", "turned", "bytes"],
        ["fast", "larger"],
        ["fast", "largest", "larger"],
        list(POLICIES),
    ],
)
def test_each_policy_has_the_pixels_that_it_makes_alone(names: list[str]) -> None:
    found = shared()(files(), [POLICIES[name] for name in names])
    for name, mine in zip(names, found, strict=True):
        theirs = alone(name)
        np.testing.assert_array_equal(mine.pixels, theirs.pixels)
        np.testing.assert_array_equal(mine.heights, theirs.heights)
        np.testing.assert_array_equal(mine.widths, theirs.widths)
        errors = [{row: str(error) for row, error in one.errors.items()} for one in (mine, theirs)]
        assert errors[0] == errors[1]


class CountedBatches(JpegBatches):
    """Counts the batches that it decodes."""

    def __init__(self) -> None:
        super().__init__()
        self.decoded = 0

    def __call__(
        self, images: Sequence[ReadImage], finishes: Sequence[Finish], max_image_seconds: float
    ) -> JpegBatch:
        self.decoded += 1
        return super().__call__(images, finishes, max_image_seconds)


@pytest.mark.parametrize(
    ("names", "decoded"),
    [
        (["small", "large", "turned", "bytes"], 1),
        (["fast", "larger"], 1),
        (["fast", "largest"], 2),  # Decoded at 1/4 and at 1/2 of its size.
        (["fast", "largest", "larger"], 2),
        (["small", "fast", "large"], 2),
    ],
)
def test_jpeg_files_are_decoded_once_a_size(names: list[str], decoded: int) -> None:
    jpegs = CountedBatches()
    ways = [Preprocessor(POLICIES[name], jpegs) for name in names]
    preprocess_together(ways, files()[:2])
    assert jpegs.decoded == decoded


def test_what_is_too_small_to_shrink_is_decoded_once_for_fast_and_exact() -> None:
    jpegs = CountedBatches()
    ways = [Preprocessor(POLICIES[name], jpegs) for name in ("small", "fast")]
    exact, fast = preprocess_together(ways, [encode(photo(40, 50), "JPEG")])
    assert jpegs.decoded == 1
    np.testing.assert_array_equal(exact.pixels, fast.pixels)
