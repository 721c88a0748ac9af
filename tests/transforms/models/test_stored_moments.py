"""What the stored moments of a first normalization say of the range of pixels."""

import functools
import importlib
import pathlib
import threading
import types
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from tests.support.images import photo
from transforms.images.pixel_range import from_unit_range, to_unit_range
from transforms.images.policy import INPUT_RANGES
from transforms.models.engine_settings import EngineSettings
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.stored_moments import Divergence, doubt_range

SIZE = (48, 48)
CHANNELS = 16
KERNEL = np.random.default_rng(0).normal(size=(3, 3, 3, CHANNELS)).astype(np.float32)
BIAS = np.random.default_rng(1).normal(size=CHANNELS).astype(np.float32)


def photos(input_range: str, count: int = 16, first: int = 0) -> npt.NDArray[np.float32]:
    levels = np.stack([photo(*SIZE, seed=seed) for seed in range(first, first + count)])
    unit = to_unit_range(tf.cast(levels, tf.float32))
    return from_unit_range(unit, input_range, "float32").numpy()


@functools.cache
def moments(input_range: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Returns what training on such pixels would store, of other photos than those looked at."""
    with tf.init_scope():  # Not part of a model that is being traced.
        outputs = tf.nn.conv2d(photos(input_range, 48, first=100), KERNEL, 2, "SAME") + BIAS
        mean, variance = tf.nn.moments(outputs, [0, 1, 2])
        return mean.numpy(), variance.numpy()


def keras_model(keras: types.ModuleType, trained_on: str | None, **options: Any) -> Any:  # noqa: ANN401
    """A convolution, a normalization, a mean; untrained of None."""
    convolution = keras.layers.Conv2D(CHANNELS, 3, strides=2, padding="same")
    normalization = keras.layers.BatchNormalization(**options)
    model = keras.Sequential(
        [
            keras.Input((*SIZE, 3)),
            convolution,
            normalization,
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    convolution.set_weights([KERNEL, BIAS])
    if trained_on is not None:
        own = normalization.get_weights()
        normalization.set_weights([*own[:-2], *moments(trained_on)])
    return model


def export(directory: pathlib.Path, trained_on: str | None, kind: str = "keras") -> str:
    """Writes it as one of the exporters does."""
    model = keras_model(importlib.import_module(kind), trained_on)
    if kind == "keras":
        model.export(directory, verbose=False)
    else:
        model.save(directory)
    return str(directory)


def signature(directory: pathlib.Path, call: Any, dtype: tf.DType = tf.float32) -> str:  # noqa: ANN401
    module = tf.Module()
    spec = tf.TensorSpec([None, *SIZE, 3], dtype)
    module.serve = tf.function(lambda images: {"vectors": call(images)}, input_signature=[spec])
    tf.saved_model.save(module, str(directory), signatures=module.serve)
    return str(directory)


def fused(images: tf.Tensor, trained_on: str = "imagenet") -> tf.Tensor:
    """A TF2 function whose normalization is fused."""
    outputs = tf.nn.bias_add(tf.nn.conv2d(images, KERNEL, 2, "SAME"), BIAS)
    ones = np.ones(CHANNELS, np.float32)
    normal, *_ = tf.compat.v1.nn.fused_batch_norm(
        outputs, ones, ones, *moments(trained_on), is_training=False
    )
    return tf.reduce_mean(normal, axis=[1, 2])


def load(model_dir: str, used: str, **settings: Any) -> ImageModel:  # noqa: ANN401
    return ImageModel(
        model_dir,
        inspect_saved_model(model_dir),
        image_size=SIZE,
        settings=EngineSettings(input_range=used, **settings),
    )


def sentence(model_dir: str, used: str, count: int = 16) -> str:
    model = load(model_dir, used)
    model.range_doubt.look_at(photos(used, count))
    return model.range_doubt.sentence


@pytest.mark.parametrize("trained_on", INPUT_RANGES)
def test_every_other_range_is_doubted_and_the_right_one_is_not(
    tmp_path: pathlib.Path, trained_on: str
) -> None:
    model_dir = export(tmp_path / "model", trained_on)
    for used in INPUT_RANGES:
        found = sentence(model_dir, used)
        if used == trained_on:
            assert found == ""
        elif {used, trained_on} != {"0,255", "caffe"}:  # Neighbours, which may not be told apart.
            assert f"--input_range {used} looks wrong" in found
            assert f"--input_range {trained_on} (0.0" in found


@pytest.mark.parametrize("kind", ["keras", "tf_keras", "signature"])
def test_models_as_every_exporter_writes_them(tmp_path: pathlib.Path, kind: str) -> None:
    if kind == "signature":
        model_dir = signature(tmp_path / "model", fused)
    else:
        pytest.importorskip(kind)
        model_dir = export(tmp_path / "model", "imagenet", kind)
    assert "--input_range imagenet (0.0" in sentence(model_dir, "0,1")
    assert sentence(model_dir, "imagenet") == ""


def test_a_normalization_that_is_not_fused_and_has_no_gamma(tmp_path: pathlib.Path) -> None:
    mean, variance = moments("-1,1")

    def call(images: tf.Tensor) -> tf.Tensor:
        outputs = tf.nn.conv2d(images, KERNEL, 2, "SAME") + BIAS
        normal = tf.nn.batch_normalization(outputs, mean, variance, BIAS, None, 1e-3)
        return tf.reduce_mean(normal, axis=[1, 2])

    assert "--input_range -1,1 (0.0" in sentence(signature(tmp_path / "model", call), "0,1")


def test_half_precision(tmp_path: pathlib.Path) -> None:
    def call(images: tf.Tensor) -> tf.Tensor:
        return fused(tf.cast(images, tf.float32), "0,1")

    model_dir = signature(tmp_path / "model", call, tf.float16)
    model = load(model_dir, "imagenet")
    model.range_doubt.look_at(photos("imagenet").astype(np.float16))
    assert "--input_range 0,1 (0.0" in model.range_doubt.sentence


def test_images_are_counted_over_batches_and_looked_at_once(tmp_path: pathlib.Path) -> None:
    model = load(export(tmp_path / "model", "imagenet"), "0,1")
    pixels = photos("0,1")
    model.range_doubt.look_at(pixels[:0])
    model.range_doubt.look_at(pixels[:7])
    assert model.range_doubt.sentence == ""
    model.range_doubt.look_at(pixels[7:8])
    found = model.range_doubt.sentence
    assert "imagenet" in found
    model.range_doubt.look_at(np.zeros_like(pixels))
    assert model.range_doubt.sentence == found


def test_threads_look_at_the_same_time(tmp_path: pathlib.Path) -> None:
    model = load(export(tmp_path / "model", "imagenet"), "0,1")
    pixels = photos("0,1")
    threads = [threading.Thread(target=model.range_doubt.look_at, args=(pixels,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "imagenet" in model.range_doubt.sentence


def test_an_engine_that_lets_go_of_the_model_leaves_what_is_needed(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("openvino")
    model = load(export(tmp_path / "model", "imagenet"), "0,1", engine="openvino")
    model.range_doubt.look_at(photos("0,1"))
    assert "imagenet" in model.range_doubt.sentence


def test_answers_stay_the_same_to_the_bit(tmp_path: pathlib.Path) -> None:
    model_dir, pixels = export(tmp_path / "model", "imagenet"), photos("0,1")
    looked, plain = (
        load(model_dir, "0,1"),
        ImageModel(model_dir, inspect_saved_model(model_dir), image_size=SIZE),
    )
    looked.range_doubt.look_at(pixels)
    np.testing.assert_array_equal(looked(pixels), plain(pixels))
    plain.range_doubt.look_at(pixels)
    assert plain.range_doubt.sentence == ""


def test_dark_and_flat_images_say_nothing(tmp_path: pathlib.Path) -> None:
    model_dir = export(tmp_path / "model", "imagenet")
    for images in (photos("0,1") * 0.1, photos("0,1") * 0 + 0.5, photos("0,1") * 0):
        model = load(model_dir, "0,1")
        model.range_doubt.look_at(images)
        assert model.range_doubt.sentence == ""


def test_moments_that_no_training_has_touched_say_nothing(tmp_path: pathlib.Path) -> None:
    model_dir = export(tmp_path / "model", None)
    assert all(sentence(model_dir, used) == "" for used in INPUT_RANGES)
    # Such that one range would fit these: 0 and 1 are the moments of its outputs.
    mean, variance = moments("imagenet")

    def call(images: tf.Tensor) -> tf.Tensor:
        kernel = KERNEL / np.sqrt(variance)
        outputs = tf.nn.conv2d(images, kernel, 2, "SAME") + (BIAS - mean) / np.sqrt(variance)
        zeros, ones = np.zeros(CHANNELS, np.float32), np.ones(CHANNELS, np.float32)
        normal, *_ = tf.compat.v1.nn.fused_batch_norm(
            outputs, ones, zeros, zeros, ones, is_training=False
        )
        return tf.reduce_mean(normal, axis=[1, 2])

    assert sentence(signature(tmp_path / "signature", call), "0,1") == ""


def unnormalized(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(images, KERNEL, 2, "SAME")), axis=[1, 2])


def normalized_by_itself(images: tf.Tensor) -> tf.Tensor:
    """As batch normalization in training, but of each image: such a model loads."""
    outputs = tf.nn.conv2d(images, KERNEL, 2, "SAME")
    mean, variance = tf.nn.moments(outputs, [1, 2], keepdims=True)
    normal = tf.nn.batch_normalization(outputs, mean, variance, BIAS, BIAS, 1e-3)
    return tf.reduce_mean(tf.nn.relu(normal), axis=[1, 2])


def scaled_inside(images: tf.Tensor) -> tf.Tensor:
    return fused(images / 127.5 - 1, "-1,1")


def after_another_layer(images: tf.Tensor) -> tf.Tensor:
    return fused(tf.nn.relu(tf.nn.conv2d(images, KERNEL[..., :3], 1, "SAME")))


def of_few_channels(images: tf.Tensor) -> tf.Tensor:
    mean, variance = moments("imagenet")
    outputs = (tf.nn.conv2d(images, KERNEL, 2, "SAME") + BIAS)[..., :8]
    ones = np.ones(8, np.float32)
    normal, *_ = tf.compat.v1.nn.fused_batch_norm(
        outputs, ones, ones, mean[:8], variance[:8], is_training=False
    )
    return tf.reduce_mean(normal, axis=[1, 2])


@pytest.mark.parametrize(
    "call",
    [unnormalized, normalized_by_itself, scaled_inside, after_another_layer, of_few_channels],
)
def test_models_that_say_nothing(tmp_path: pathlib.Path, call: Any) -> None:  # noqa: ANN401
    model_dir = signature(tmp_path / "model", call)
    assert all(sentence(model_dir, used) == "" for used in INPUT_RANGES)


def test_models_of_uint8_images_have_one_range(tmp_path: pathlib.Path) -> None:
    def call(images: tf.Tensor) -> tf.Tensor:
        return fused(tf.cast(images, tf.float32), "-1,1")

    model = load(signature(tmp_path / "model", call, tf.uint8), "0,255")
    model.range_doubt.look_at(photos("0,255").astype(np.uint8))
    assert model.range_doubt.sentence == ""


def fits(median: float, decile: float = 0.15) -> Divergence:
    return Divergence(median, decile)


FAR = {"0,255": fits(9e3, 9e4), "imagenet": fits(2.0, 9.0), "caffe": fits(5e3, 9e4)}


@pytest.mark.parametrize(
    ("used", "best", "is_doubted"),
    [
        (fits(0.9, 4), fits(0.02), True),
        (fits(0.9, 4), fits(0.02, 0.3), False),  # A tenth of the channels does not fit.
        (fits(0.9, 4), fits(0.12), False),  # Nothing fits.
        (fits(0.4, 4), fits(0.09), False),  # The margin is too small.
        (fits(0.09), fits(0.01), False),  # Both fit.
    ],
)
def test_the_rule(used: Divergence, best: Divergence, is_doubted: bool) -> None:
    assert bool(doubt_range({**FAR, "0,1": used, "-1,1": best}, "0,1")) == is_doubted


def test_neighbours_that_fit_too_are_named() -> None:
    found = {**FAR, "0,1": fits(5.2, 9), "caffe": fits(0.02), "0,255": fits(0.11, 0.3)}
    assert "caffe (0.02) makes" in doubt_range(found, "0,1")
    close = {**found, "0,255": fits(0.09, 0.3)}
    assert "caffe (0.02) or 0,255 (0.09) makes" in doubt_range(close, "0,1")
