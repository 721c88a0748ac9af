from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from transforms.images.pixel_range import from_unit_range, to_unit_range
from transforms.images.policy import INPUT_DTYPES, INPUT_RANGES
from transforms.images.range_scaling import (
    IMAGENET_MEAN,
    IMAGENET_STANDARD_DEVIATION,
    scale_and_shift,
)

LEVELS = np.arange(256, dtype=np.float32)


def unit(levels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return to_unit_range(tf.constant(levels)).numpy()


def rescaled(
    images: npt.NDArray[np.float32], input_range: str, dtype: str = "float32"
) -> npt.NDArray[Any]:
    return from_unit_range(tf.constant(images), input_range, dtype).numpy()


def test_levels_become_what_tensorflow_makes_of_bytes() -> None:
    wanted = tf.image.convert_image_dtype(LEVELS.astype(np.uint8), tf.float32).numpy()
    np.testing.assert_array_equal(unit(LEVELS), wanted)


def test_bytes_come_back_whichever_way_they_were_scaled() -> None:
    for images in (unit(LEVELS), LEVELS / np.float32(255), (LEVELS / 255.0).astype(np.float32)):
        np.testing.assert_array_equal(rescaled(images, "0,1", "uint8"), LEVELS)
    np.testing.assert_array_equal(rescaled(unit(LEVELS), "0,255"), LEVELS)


def test_resized_levels_come_back_but_for_the_last_bit_of_a_few() -> None:
    levels = np.random.default_rng(0).uniform(0, 255, 1_000_000).astype(np.float32)
    back = rescaled(unit(levels), "0,255")
    np.testing.assert_array_max_ulp(back, levels, 1)
    assert (back == levels).mean() > 0.995
    halves = LEVELS[:-1] + np.float32(0.5)  # as resizing by two makes them
    np.testing.assert_array_equal(rescaled(unit(halves), "0,1", "uint8"), np.round(halves))


def test_pixels_outside_of_the_range_are_clipped_in_bytes() -> None:
    images = np.array([-0.1, 1.1], np.float32)
    np.testing.assert_array_equal(rescaled(images, "0,1", "uint8"), [0, 255])


def test_each_range_is_what_its_name_says() -> None:
    colour = np.array([[0.0, 0.5, 1.0]], np.float32)
    np.testing.assert_array_equal(rescaled(colour, "0,1"), colour)
    np.testing.assert_array_equal(rescaled(colour, "-1,1"), [[-1, 0, 1]])
    np.testing.assert_array_equal(rescaled(colour, "0,255"), [[0, 127.5, 255]])
    normal = (colour.astype(np.float64) - IMAGENET_MEAN) / IMAGENET_STANDARD_DEVIATION
    np.testing.assert_array_equal(rescaled(colour, "imagenet"), normal.astype(np.float32))


def test_caffe_is_what_keras_makes_of_levels() -> None:
    import keras

    colours = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.float32)
    colours[0, 0] = (255, 0, 0)
    wanted = keras.applications.imagenet_utils.preprocess_input(colours.copy(), mode="caffe")
    assert wanted[0, 0, 2] == np.float32(255) - np.float32(123.68)
    np.testing.assert_array_equal(rescaled(unit(colours), "caffe"), wanted)


@pytest.mark.parametrize("dtype", INPUT_DTYPES)
def test_the_dtype_is_the_models(dtype: str) -> None:
    for input_range in INPUT_RANGES:
        assert rescaled(unit(LEVELS)[:3], input_range, dtype).dtype == dtype


@pytest.mark.parametrize("input_range", INPUT_RANGES)
def test_a_range_is_a_scale_and_a_shift_of_each_channel(input_range: str) -> None:
    images = np.random.default_rng(0).random((2, 5, 7, 3)).astype(np.float32)
    scale, shift = map(np.array, scale_and_shift(input_range))
    own = images[..., ::-1] if input_range == "caffe" else images
    np.testing.assert_allclose(own * scale + shift, rescaled(images, input_range), atol=1e-4)
