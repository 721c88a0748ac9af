"""Images each in another process: the same pixels, and what crashes or hangs costs itself."""

import numpy as np

from tests.support.decoder_calls import EndlessBox
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


def test_an_image_that_takes_too_long_costs_itself() -> None:
    # The first image of a process may take a second on a busy machine.
    quick = Preprocessing(image_size=(24, 32), max_image_seconds=5)
    boxes = [None, EndlessBox(0, 0, 10, 10, in_pixels=True), None]
    result = CarefulPreprocessor(quick)([JPEG, PNG, JPEG], boxes)
    assert {n: type(e) for n, e in result.errors.items()} == {1: DecodeTimeoutError}
    assert len(result.pixels) == 2
