"""Images each in another process: the same pixels, and what crashes or hangs costs itself."""

import numpy as np

from tests.support.images import encode, photo
from transforms.errors import CorruptImageError, DecodeTimeoutError, UnsupportedFormatError
from transforms.images.careful_preprocessor import CarefulPreprocessor
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor

POLICY = Preprocessing(image_size=(24, 32), resize_mode="crop")
JPEG, PNG, WEBP = (encode(photo(60, 80, 1), format) for format in ("JPEG", "PNG", "WEBP"))


def test_a_batch_has_the_same_pixels_sizes_and_errors() -> None:
    batch = [JPEG, b"no image", PNG, JPEG[: len(JPEG) // 2], WEBP]
    usual, careful = Preprocessor(POLICY)(batch), CarefulPreprocessor(POLICY)(batch)
    assert careful.pixels.dtype == usual.pixels.dtype
    for number in range(3):
        np.testing.assert_array_equal(careful[number], usual[number])
    assert {n: type(e) for n, e in careful.errors.items()} == {
        1: UnsupportedFormatError,
        3: CorruptImageError,
    }
    assert {n: str(e) for n, e in careful.errors.items()} == {
        n: str(e) for n, e in usual.errors.items()
    }
    nothing = CarefulPreprocessor(POLICY)([])
    assert (nothing.pixels.shape, nothing.errors) == ((0, 24, 32, 3), {})


def test_a_png_that_takes_too_long_costs_itself() -> None:
    quick = Preprocessing(image_size=(24, 32), max_image_seconds=0.5)
    batch = [JPEG, encode(np.zeros((10_000, 10_000, 3), np.uint8), "PNG")]
    result = CarefulPreprocessor(quick)(batch)
    assert {n: type(e) for n, e in result.errors.items()} == {1: DecodeTimeoutError}
