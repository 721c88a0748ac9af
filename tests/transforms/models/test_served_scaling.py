"""A model is not called past its own signature, if that is what scales pixels."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from transforms.errors import ModelError
from transforms.models.first_layer import AssumedRange
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model

SIZE = (24, 24)
Scale = Callable[[tf.Tensor], tf.Tensor]


def network() -> Any:  # noqa: ANN401 - of tf_keras
    layers = tf_keras.layers
    return tf_keras.Sequential(
        [
            layers.InputLayer((*SIZE, 3)),
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(),
        ]
    )


def save(directory: pathlib.Path, dtype: tf.DType, scale: Scale) -> str:
    """Writes a Keras model whose signature does something before it calls the model."""
    model = network()

    @tf.function(input_signature=[tf.TensorSpec([None, *SIZE, 3], dtype, "images")])
    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"vectors": model(scale(tf.cast(images, tf.float32)))}

    tf.saved_model.save(model, str(directory), signatures={"serving_default": serve})
    return str(directory)


def load(model_dir: str, assumed: str | None = "0,1", signature: str | None = None) -> ImageModel:
    spec = inspect_saved_model(model_dir, signature=signature)
    assumed_range = None if assumed is None else AssumedRange(assumed)
    return ImageModel(model_dir, spec, image_size=SIZE, assumed_range=assumed_range)


@pytest.mark.parametrize(
    ("dtype", "scale", "flags"),
    [
        (tf.uint8, lambda images: images / 127.5 - 1, "--signature serving_default,"),
        (tf.uint8, lambda images: images, "--signature serving_default,"),
        (
            tf.float32,
            lambda images: images / 255,
            "--signature serving_default --input_range 0,255",
        ),
    ],
    ids=["levels scaled", "levels as they are", "floats scaled"],
)
def test_a_signature_that_does_more_to_pixels_is_named(
    tmp_path: pathlib.Path, dtype: tf.DType, scale: Scale, flags: str
) -> None:
    model_dir = save(tmp_path, dtype, scale)
    with pytest.raises(ModelError, match=f"give {flags}"):
        load(model_dir)
    pixels = np.random.default_rng(0).random((2, *SIZE, 3), np.float32)
    called = load(model_dir, assumed=None)
    np.testing.assert_allclose(
        called(pixels), tf.saved_model.load(model_dir)(pixels, training=False), atol=1e-6
    )
    assert load(model_dir, None, "serving_default").output_dim == 4


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(tf.float32, lambda images: images), (tf.uint8, lambda images: images / 255)],
    ids=["nothing", "as the run does"],
)
def test_a_signature_that_does_no_more_is_let_pass(
    tmp_path: pathlib.Path, dtype: tf.DType, scale: Scale
) -> None:
    assert load(save(tmp_path, dtype, scale)).output_dim == 4


def test_a_signature_of_keras_own_is_let_pass(tmp_path: pathlib.Path) -> None:
    network().save(tmp_path / "model", save_format="tf")
    assert load(str(tmp_path / "model")).output_dim == 4
