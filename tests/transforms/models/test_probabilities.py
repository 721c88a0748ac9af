import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.models import save_output
from transforms.errors import ModelError
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.probabilities import last_operation

L = keras.layers


def mean(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, axis=[1, 2, 3])[:, None]


def colors(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, axis=[1, 2])


def load(model_dir: str) -> ImageModel:
    return ImageModel(model_dir, inspect_saved_model(model_dir), image_size=(24, 24))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda images: tf.sigmoid(8 * mean(images) - 4), True),
        (lambda images: 1 - tf.sigmoid(mean(images)), True),
        (lambda images: tf.clip_by_value(mean(images), 0, 1), True),
        (lambda images: 8 * mean(images) - 4, False),
        (lambda images: 3 * mean(images), False),
        (lambda images: tf.matmul(mean(images), [[0.5]]) + 0.25, False),  # in [0, 1] by chance
    ],
)
def test_one_output_is_told_by_its_range_and_by_what_computes_it(
    tmp_path: pathlib.Path, function: Callable[[Any], Any], expected: bool
) -> None:
    assert load(save_output(tmp_path, function)).outputs_are_probabilities is expected


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda images: tf.sigmoid(colors(images)), True),
        (lambda images: tf.cast(tf.sigmoid(colors(images)), tf.float16), True),
        (lambda images: tf.nn.softmax(colors(images)), True),
        (lambda images: colors(images), False),  # in [0, 1] by chance
        (lambda images: tf.sigmoid(colors(images)) * colors(images), False),
    ],
)
def test_several_outputs_are_told_by_their_sum_or_by_a_sigmoid(
    tmp_path: pathlib.Path, function: Callable[[Any], Any], expected: bool
) -> None:
    assert load(save_output(tmp_path, function)).outputs_are_probabilities is expected


def test_a_model_of_no_outputs_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ModelError, match=r"returns \[2, 0\] for 2 images"):
        load(save_output(tmp_path, lambda images: mean(images)[:, :0]))


@pytest.mark.parametrize(("activation", "last"), [("sigmoid", "Sigmoid"), (None, "AddV2")])
@pytest.mark.parametrize("how", ["export", "saved", "tf_keras"])
def test_a_head_of_keras_is_told_by_its_last_layer(
    tmp_path: pathlib.Path, how: str, activation: str | None, last: str
) -> None:
    import tf_keras

    layers = tf_keras.layers if how == "tf_keras" else L
    kinds = tf_keras if how == "tf_keras" else keras
    model = kinds.Sequential(
        [
            layers.InputLayer((24, 24, 3)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(
                1, activation=activation, kernel_initializer="ones", bias_initializer="zeros"
            ),
            layers.Reshape((1,)),
        ]
    )
    if how == "export":
        model.export(str(tmp_path), verbose=False)
    elif how == "saved":
        tf.saved_model.save(model, str(tmp_path))
    else:
        model.save(str(tmp_path), save_format="tf")
    spec = inspect_saved_model(str(tmp_path))
    assert spec.output_dim == 1
    assert load(str(tmp_path)).outputs_are_probabilities is (activation == "sigmoid")


def test_the_last_operation_is_found_through_calls_and_reshapes() -> None:
    inner = tf.function(lambda x: (x, tf.sigmoid(x)), autograph=False)
    outer = tf.function(
        lambda x: tf.reshape(tf.identity(inner(x)[1]), [-1, 1]),
        input_signature=[tf.TensorSpec([None])],
        autograph=False,
    )
    assert last_operation(outer.get_concrete_function()) == "Sigmoid"
    same = tf.function(lambda x: tf.identity(x), input_signature=[tf.TensorSpec([None])])
    assert last_operation(same.get_concrete_function()) == "Placeholder"


def test_several_outputs_are_told_by_their_sum(tmp_path: pathlib.Path) -> None:
    directory = save_output(
        tmp_path, lambda images: np.array([0.3, 0.3], np.float32) + 0 * mean(images)
    )
    assert not load(directory).outputs_are_probabilities
