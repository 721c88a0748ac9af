"""Every kind of model in the tables of docs/models.md: how it runs, or why it does not."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from transforms.errors import ModelError
from transforms.models.engine_settings import ENGINES, EngineSettings
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.reusable_model import load_reusable

Inputs = Mapping[str, tuple[list[int | None], str]]

RGB: Inputs = {"images": ([None, 24, 24, 3], "float32")}


def save(directory: pathlib.Path, inputs: Inputs, answer: Callable[..., Any] | None = None) -> str:
    """Writes a signature of these inputs, that answers with a row of each's first three numbers."""

    def rows(**tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        if answer is not None:
            return answer(**tensors)
        flat = [tf.reshape(tf.cast(it, tf.float32), [-1, 1])[:3] for it in tensors.values()]
        return {"rows": tf.concat(flat, 0)}

    specs = {
        name: tf.TensorSpec(shape, dtype, name=name) for name, (shape, dtype) in inputs.items()
    }
    module = tf.Module()
    module.serve = tf.function(rows, autograph=False)
    signature = module.serve.get_concrete_function(**specs)
    tf.saved_model.save(module, str(directory), signatures=signature)
    return str(directory)


def channels(images: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"means": tf.reduce_mean(images, [1, 2])}


def planes(images: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"means": tf.reduce_mean(images, [2, 3])}


@pytest.mark.parametrize(
    ("shape", "answer", "expected"),
    [
        ([None, 24, 24, 3], channels, [0.2, 0.4, 0.6]),
        ([None, 24, 24, 1], channels, [0.2989 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6]),
        ([None, 3, 24, 24], planes, [0.2, 0.4, 0.6]),
        ([None, 3, None, None], planes, [0.2, 0.4, 0.6]),
        ([None, 1, 24, 24], planes, [0.2989 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6]),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_of_gray_images_or_of_channels_first_gets_what_it_takes(
    tmp_path: pathlib.Path,
    shape: list[int | None],
    answer: Callable[..., Any],
    expected: list[float],
    engine: str,
) -> None:
    directory = save(tmp_path, {"images": (shape, "float32")}, answer)
    spec = inspect_saved_model(directory)
    assert spec.image_size == (None if None in shape[1:] else (24, 24))
    model = ImageModel(directory, spec, image_size=(24, 24), settings=EngineSettings(engine=engine))
    pixels = np.full((2, 24, 24, 3), [0.2, 0.4, 0.6], np.float32)
    np.testing.assert_allclose(model(pixels), [expected] * 2, rtol=1e-5)
    reusable = load_reusable(directory, spec)
    np.testing.assert_allclose(reusable(pixels), [expected] * 2, rtol=1e-5)


def test_a_model_of_gray_bytes_gets_the_luma_that_tensorflow_makes(tmp_path: pathlib.Path) -> None:
    def mean(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return channels(tf.cast(images, tf.float32))

    directory = save(tmp_path, {"images": ([None, 24, 24, 1], "uint8")}, mean)
    model = ImageModel(directory, inspect_saved_model(directory), image_size=(24, 24))
    pixels = np.full((1, 24, 24, 3), [200, 40, 90], np.uint8)
    expected = tf.reduce_mean(tf.cast(tf.image.rgb_to_grayscale(pixels), tf.float32))
    assert model(pixels)[0, 0] == expected


def test_a_switch_beside_the_images_is_given_false(tmp_path: pathlib.Path) -> None:
    def answer(images: tf.Tensor, learning: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"means": tf.reduce_mean(images, [1, 2]) + tf.cast(learning, tf.float32)}

    directory = save(tmp_path, {**RGB, "learning": ([], "bool")}, answer)
    spec = inspect_saved_model(directory)
    assert spec.switches == ("learning",)
    model = ImageModel(directory, spec, image_size=(24, 24))
    pixels = np.full((2, 24, 24, 3), [0.2, 0.4, 0.6], np.float32)
    np.testing.assert_allclose(model(pixels), [[0.2, 0.4, 0.6]] * 2, rtol=1e-5)


def test_an_input_with_a_default_is_given_that(tmp_path: pathlib.Path) -> None:
    module = tf.Module()

    def answer(
        images: tf.Tensor,
        offset: tf.Tensor = tf.constant(2.0),  # noqa: B008 - as a signature declares a default
        negates: tf.Tensor = tf.constant(True),  # noqa: B008
    ) -> dict[str, tf.Tensor]:
        means = tf.reduce_mean(images, [1, 2]) + offset
        return {"means": tf.where(negates, -means, means)}

    specs = [
        tf.TensorSpec([None, 24, 24, 3], tf.float32, "images"),
        tf.TensorSpec([], tf.float32, "offset"),
        tf.TensorSpec([], tf.bool, "negates"),
    ]
    module.answer = tf.function(answer, input_signature=specs, autograph=False)
    directory = str(tmp_path / "model")
    tf.saved_model.save(module, directory, signatures=module.answer)
    spec = inspect_saved_model(directory, signature="serving_default")
    assert (spec.switches, spec.defaults) == ((), (("negates", True), ("offset", 2.0)))
    model = ImageModel(directory, spec, image_size=(24, 24))
    pixels = np.full((2, 24, 24, 3), [0.2, 0.4, 0.6], np.float32)
    np.testing.assert_allclose(model(pixels), [[-2.2, -2.4, -2.6]] * 2, rtol=1e-5)


@pytest.mark.parametrize(
    "others",
    [
        {"Prediction": tf.constant(["Apple"])},
        {"classes": tf.constant([[1, 2]], tf.int64), "maps": tf.zeros([1, 7, 7, 8])},
        {"score": tf.constant([0.5])},
    ],
)
def test_outputs_that_could_never_be_used_are_not_offered(
    tmp_path: pathlib.Path, others: dict[str, tf.Tensor]
) -> None:
    def answer(images: tf.Tensor) -> dict[str, tf.Tensor]:
        number = tf.shape(images)[0]
        repeated = {key: tf.repeat(value, number, 0) for key, value in others.items()}
        return {"Confidences": tf.nn.softmax(tf.reduce_mean(images, [1, 2])), **repeated}

    spec = inspect_saved_model(save(tmp_path, RGB, answer))
    assert (spec.output_key, spec.output_keys) == ("Confidences", ("Confidences",))


def boxes(images: tf.Tensor) -> dict[str, tf.Tensor]:
    mean = tf.reduce_mean(images, [1, 2])
    return {"detection_boxes": tf.zeros([1, 100, 4]), "detection_scores": mean}


def words(images: tf.Tensor) -> dict[str, tf.Tensor]:
    label = tf.fill([tf.shape(images)[0]], "cat")
    return {"label": label, "classes": tf.shape(images)}


@pytest.mark.parametrize(
    ("inputs", "answer", "message"),
    [
        (
            {**RGB, "meta": ([None, 4], "float32")},
            None,
            r"the model takes a second input, meta, float32 \[N, 4\]; this pipeline gives images",
        ),
        (
            {**RGB, "a": ([None, 4], "float32"), "b": ([None], "int64")},
            None,
            r"takes further inputs, a, float32 \[N, 4\] and b, int64 \[N\];",
        ),
        ({"x": ([None, 784], "float32")}, None, r"takes a table of numbers, x: float32 \[N, 784\]"),
        (
            {"waveform": ([None, 999], "float32")},
            None,
            r"takes audio, waveform: float32 \[N, 999\]",
        ),
        ({"x": ([None, 16000], "float32")}, None, r"takes audio, x: float32 \[N, 16000\]"),
        ({"x": ([None], "float32")}, None, r"takes audio, x: float32 \[N\]"),
        ({"ids": ([None, 128], "int32")}, None, r"takes tokens, ids: int32 \[N, 128\]"),
        (
            {"x": ([None, 16, 24, 24, 3], "float32")},
            None,
            r"takes volumes or films, x: float32 \[N, 16, 24, 24, 3\]",
        ),
        (
            {"x": ([None, 64, 64, 4], "float32")},
            None,
            r"takes images of 4 channels, x: float32 \[N, 64, 64, 4\]",
        ),
        (
            {"x": ([None, 4, 64, 64], "float32")},
            None,
            r"takes images of 4 channels, x: float32 \[N, 4, 64, 64\]",
        ),
        ({"x": ([None] * 4, "bool")}, None, r"takes images of \? channels, x: bool \[N, \?, \?"),
        (
            {"x": ([None, 28, 28], "float32")},
            None,
            r"takes images without channels, or sequences, x: float32 \[N, 28, 28\]",
        ),
        (RGB, boxes, r"answers with boxes, detection_boxes: float32 \[1, 100, 4\]"),
        (RGB, words, r"returns classes: int32 \[4\]; label: string \[N\], want one row"),
        (
            RGB,
            lambda images: {"mask": images},
            r"\[N, 24, 24, 3\], want one row of numbers an image, of a float type and the shape",
        ),
        (
            {"image_bytes": ([None], "string")},
            lambda image_bytes: {"x": image_bytes},
            "takes strings",
        ),
    ],
)
def test_what_stays_refused_is_told_in_its_own_words(
    tmp_path: pathlib.Path, inputs: Inputs, answer: Callable[..., Any] | None, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        inspect_saved_model(save(tmp_path, inputs, answer))
