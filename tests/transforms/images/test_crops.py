"""Crops of images: the pixels of a box are those of an image that holds nothing but the box."""

import functools
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import simplejpeg
import tensorflow as tf

from tests.support.images import STORE, encode, exif, photo, save
from transforms.boxes import ImageBox
from transforms.images import jpeg_batches
from transforms.images.careful_preprocessor import CarefulPreprocessor
from transforms.images.jpeg_decoder import decode_jpeg
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor, preprocess_together

SIZE = (24, 32)
UPRIGHT = STORE | {6: STORE[8], 8: STORE[6]}
"""To turn upright is to store, but for the quarter turns, which undo each other."""
BOX = ImageBox(13, 20, 90, 131, True)
"""Of an image of 120 x 160 pixels: rows 13 to 90, columns 20 to 131."""


@functools.cache
def preprocessor(**policy: Any) -> Preprocessor:  # noqa: ANN401
    return Preprocessor(Preprocessing(**{"image_size": SIZE, "box_margin": 0.0, **policy}))


def cut(pixels: npt.NDArray[Any], box: ImageBox) -> npt.NDArray[Any]:
    whole_height, whole_width = pixels.shape[:2]
    top, left, height, width = box.within(whole_height, whole_width, 0)
    return pixels[top : top + height, left : left + width]


def decode(file: bytes) -> npt.NDArray[Any]:
    if file[:2] == b"\xff\xd8":  # Pillow's JPEG pixels are a little off TensorFlow's.
        return tf.io.decode_jpeg(file, channels=3).numpy()
    return np.asarray(PIL.Image.open(io.BytesIO(file)).convert("RGB"))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("resize_mode", ["squash", "crop", "pad"])
def test_a_crop_equals_a_ready_crop(resize_mode: str, image_format: str) -> None:
    file = encode(photo(120, 160), image_format)
    whole = decode(file)
    others = [ImageBox(0, 0, 1, 1, False), ImageBox(0.1, 0.5, 0.35, 1, False), None]
    boxes = [BOX, *others]
    made = preprocessor(resize_mode=resize_mode)([file] * 4, boxes)
    assert made.errors == {}
    ready = [encode(cut(whole, box) if box else whole) for box in boxes]
    expected = preprocessor(resize_mode=resize_mode)(ready)
    assert abs(made.pixels - expected.pixels).max() < 1e-6
    assert made.heights.tolist() == [120] * 4
    assert made.widths.tolist() == [160] * 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_boxes_lie_in_the_image_as_it_is_shown(image_format: str, orientation: int) -> None:
    stored = np.ascontiguousarray(STORE[orientation](photo(120, 160)))
    file = save(PIL.Image.fromarray(stored), image_format, exif=exif(orientation))
    stored = decode(file)
    upright = UPRIGHT[orientation](stored)
    corner = ImageBox(0.5, 0, 1, 0.25, False)
    made = preprocessor()([file, file], [BOX, corner])
    expected = preprocessor()([encode(cut(upright, box)) for box in (BOX, corner)])
    assert abs(made.pixels - expected.pixels).max() < 1e-6
    ignoring = preprocessor(exif="ignore")([file], [BOX])
    as_stored = preprocessor()([encode(cut(stored, BOX))])
    assert abs(ignoring.pixels - as_stored.pixels).max() < 1e-6


def test_a_margin_shows_what_is_around_and_ends_at_the_edge() -> None:
    image = photo(120, 160)
    file = encode(image)
    made = preprocessor(box_margin=0.5)([file], [ImageBox(20, 100, 60, 140, True)])
    expected = preprocessor()([encode(image[0:80, 80:160])])
    assert abs(made.pixels - expected.pixels).max() < 1e-6


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF"])
def test_a_bad_box_costs_only_itself_and_a_bad_image_all_of_its_boxes(image_format: str) -> None:
    good, bad = encode(photo(120, 160), image_format), encode(photo(90, 90), image_format)[:400]
    boxes = [BOX, ImageBox(5, 5, 5, 9, True), ImageBox(0, 160, 9, 170, True), None, BOX, BOX]
    made = preprocessor()([good] * 4 + [bad] * 2, boxes)
    reasons = {row: error.error_type for row, error in made.errors.items()}
    assert reasons.keys() == {1, 2, 4, 5}
    assert (reasons[1], reasons[2]) == ("EmptyBox", "BoxOutside")
    assert reasons[4] == reasons[5]
    alone = preprocessor()([good, good], [BOX, None])
    assert np.array_equal(made.pixels, alone.pixels)
    assert "rows 5 to 5" in str(made.errors[1])
    assert "120 x 160 pixels" in str(made.errors[2])


def test_an_image_is_decoded_once_for_all_its_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(encoded: bytes, *rest: Any) -> Any:  # noqa: ANN401
        calls.append(len(encoded))
        return decode_jpeg(encoded, *rest)

    monkeypatch.setattr(jpeg_batches, "decode_jpeg", counted)
    first, second = encode(photo(120, 160), "JPEG"), encode(photo(100, 90, 1), "JPEG")
    preprocessor()([first] * 5 + [second] * 2, [BOX] * 5 + [None] * 2)
    assert sorted(calls) == sorted([len(first), len(second)])


@pytest.mark.parametrize("antialias", [False, True])
def test_each_box_is_decoded_as_small_as_it_allows_whatever_the_others(antialias: bool) -> None:
    file = encode(photo(960, 1280), "JPEG", quality=95)
    small, large = ImageBox(100, 100, 160, 180, True), ImageBox(0, 0, 960, 1280, True)
    fast, exact = (preprocessor(decode=way, antialias=True) for way in ("fast", "exact"))
    made, expected = fast([file] * 2, [large, small]), exact([file] * 2, [large, small])
    assert abs(made.pixels - expected.pixels).mean() < 0.02
    make = preprocessor(decode="fast", antialias=antialias)
    boxes = [large, small, None, large, small]
    together, again = make([file] * 5, boxes), preprocess_together([make, make], [file] * 5, boxes)
    for box, pixels in zip(boxes, together.pixels, strict=True):
        assert np.array_equal(pixels, make([file], [box]).pixels[0])
    for made in again:
        assert np.array_equal(made.pixels, together.pixels)


def test_a_box_of_a_jpeg_that_simplejpeg_cannot_read_does_not_depend_on_the_others() -> None:
    inks = PIL.Image.fromarray(photo(600, 800)).convert("CMYK")
    file = save(inks, "JPEG", subsampling="4:2:0")
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg_header(file)
    boxes = [ImageBox(0, 0, 500, 500, True), ImageBox(50, 50, 550, 550, True)]
    make = preprocessor(decode="fast")
    for box, pixels in zip(boxes, make([file] * 2, boxes).pixels, strict=True):
        assert np.array_equal(pixels, make([file], [box]).pixels[0])


def test_in_another_process_the_pixels_are_the_same() -> None:
    files = [encode(photo(120, 160), "JPEG")] * 3 + [b"no image"] * 2
    boxes = [BOX, ImageBox(5, 5, 5, 9, True), None, BOX, None]
    policy = Preprocessing(image_size=SIZE, box_margin=0.25)
    careful, plain = CarefulPreprocessor(policy)(files, boxes), Preprocessor(policy)(files, boxes)
    assert np.array_equal(careful.pixels, plain.pixels)
    assert {row: str(error) for row, error in careful.errors.items()} == {
        row: str(error) for row, error in plain.errors.items()
    }


def test_the_margin_is_a_part_of_the_recipe_only_where_rows_are_boxes() -> None:
    whole, box = Preprocessing(image_size=SIZE), Preprocessing(image_size=SIZE, box_margin=0.0)
    assert "box_margin" not in whole.to_dict()
    assert whole.fingerprint() != box.fingerprint()
    assert box.fingerprint() != Preprocessing(image_size=SIZE, box_margin=0.1).fingerprint()
