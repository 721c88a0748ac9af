"""Pixels in [0, 1], and the range and dtype that a model takes instead."""

import numpy as np
import tensorflow as tf

from transforms.images.range_scaling import (
    CAFFE_MEAN,
    IMAGENET_MEAN,
    IMAGENET_STANDARD_DEVIATION,
)

_LEVEL = float(np.float32(1 / 255))
"""What `tf.image.convert_image_dtype` multiplies 0..255 with."""

_TO_NEXT = 1 + 2**-24 * 1.01
"""Takes a float32 more than half of the way to the next one, wherever it is between powers of 2."""


def to_unit_range(images: tf.Tensor) -> tf.Tensor:
    """Returns float32 in [0, 1] of float32 from 0 to 255."""
    return images * _LEVEL


def from_unit_range(images: tf.Tensor, input_range: str, dtype: str) -> tf.Tensor:
    """Returns pixels as a model takes them.

    Casts to float64 and back keep TensorFlow from folding these constants into the first layer of
    a model, which would change its answers in the last bits.

    Args:
        images: float32 [..., height, width, 3] in [0, 1].
        input_range: Range that a model takes, one of INPUT_RANGES.
        dtype: NumPy name of its dtype, one of INPUT_DTYPES. "uint8" means 0..255, rounded, whatever
            input_range.
    """
    if dtype == "uint8":
        return tf.saturate_cast(tf.round(_to_levels(images)), tf.uint8)
    wide = tf.cast(images, tf.float64)
    match input_range:
        case "-1,1":
            images = tf.cast(wide * 2.0 - 1.0, tf.float32)
        case "0,255":
            images = _to_levels(images)
        case "imagenet":
            normal = (wide - IMAGENET_MEAN) / IMAGENET_STANDARD_DEVIATION
            images = tf.cast(normal, tf.float32)
        case "caffe":
            levels = tf.cast(_to_levels(images)[..., ::-1], tf.float64)
            images = tf.cast(levels - np.array(CAFFE_MEAN, np.float32).astype(float), tf.float32)
    return tf.cast(images, dtype)


def _to_levels(images: tf.Tensor) -> tf.Tensor:
    """Returns what to_unit_range was given: float32 from 0 to 255.

    A few pairs of neighbours share one value in [0, 1]. The larger comes back: 255 for 1.
    """
    levels = tf.cast(tf.cast(images, tf.float64) / _LEVEL, tf.float32)
    above = tf.cast(tf.cast(levels, tf.float64) * _TO_NEXT, tf.float32)
    return tf.where(to_unit_range(above) == images, above, levels)
