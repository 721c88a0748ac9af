"""A frozen model gives the model's own answers, and holds no variable."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from transforms.models.freeze import freeze
from transforms.models.inspection import inspect_saved_model
from transforms.models.loaded_model import LoadedModel, load_saved_model

SavedModel = Callable[[str], str]

KINDS = [
    "mean_color",
    "training_required",
    "fixed_batch",
    "uint8",
    "dict_output",
    "signature_only",
    "keras_export",
    "keras_saved",
    "tf_keras_saved",
    "tf1_serving",
    "tf1_hub",
]


def images(count: int = 4) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).random((count, 24, 24, 3), np.float32))


def load(model_dir: str) -> LoadedModel:
    return load_saved_model(model_dir, inspect_saved_model(model_dir), (24, 24))


def answer(function: tf.types.experimental.ConcreteFunction, batch: tf.Tensor) -> Any:  # noqa: ANN401
    return tf.nest.flatten(function(batch))[0].numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_model_gives_the_same_answers(saved_model: SavedModel, kind: str) -> None:
    loaded = load(saved_model(kind))
    frozen = freeze(loaded)
    batch = tf.cast(images() * (255 if kind == "uint8" else 1), loaded.function.inputs[0].dtype)
    assert frozen.captured_inputs == []
    np.testing.assert_allclose(
        answer(frozen, batch), answer(loaded.function, batch), rtol=1e-6, atol=1e-7
    )


def save(directory: pathlib.Path, call: Callable[[Any, tf.Tensor], tf.Tensor]) -> LoadedModel:
    """Saves a model with two variables, and loads it."""
    model = tf.Module()
    model.weights = tf.Variable(np.arange(9, dtype=np.float32).reshape(3, 3), name="batch")
    model.offset = tf.Variable([0.5, 1.0, 2.0], name="Const")
    spec = tf.TensorSpec([None, 24, 24, 3], tf.float32, "images")
    model.__call__ = tf.function(lambda images: call(model, images), input_signature=[spec])
    tf.saved_model.save(model, str(directory))
    return load(str(directory))


def mean(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, axis=[1, 2])


def read_twice(model: Any, images: tf.Tensor) -> tf.Tensor:  # noqa: ANN401
    own = tf.constant([1.0, 2.0, 3.0], name="Const")
    return (mean(images) @ model.weights + model.offset * own) @ model.weights


def read_in_a_branch(model: Any, images: tf.Tensor) -> tf.Tensor:  # noqa: ANN401
    means = mean(images)
    # Rows are added up in the graph, so that TensorFlow cannot know the branch beforehand.
    is_bright = tf.reduce_sum(means) > 0
    return tf.cond(is_bright, lambda: means @ model.weights, lambda: means + model.offset)


def gather(model: Any, images: tf.Tensor) -> tf.Tensor:  # noqa: ANN401
    return mean(images) * tf.gather(model.offset, [2, 0, 1])


@pytest.mark.parametrize("call", [read_twice, read_in_a_branch, gather])
def test_whatever_reads_variables_is_frozen(
    tmp_path: pathlib.Path, call: Callable[[Any, tf.Tensor], tf.Tensor]
) -> None:
    loaded = save(tmp_path, call)
    frozen = freeze(loaded)
    assert frozen.captured_inputs == []
    assert frozen.structured_input_signature[0][0].shape.as_list() == [None, 24, 24, 3]
    np.testing.assert_allclose(
        answer(frozen, images()), answer(loaded.function, images()), rtol=1e-6
    )


def test_a_table_stays_where_it_is(saved_model: SavedModel) -> None:
    loaded = load(saved_model("loop_and_table"))
    assert freeze(loaded) is loaded.function


def test_what_is_frozen_lives_without_the_model(tmp_path: pathlib.Path) -> None:
    loaded = save(tmp_path, read_twice)
    frozen = freeze(loaded)
    loaded.owner.weights.assign(tf.zeros([3, 3]))
    assert np.abs(answer(frozen, images())).max() > 1
