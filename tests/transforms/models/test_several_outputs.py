"""SeveralOutputs: one call for all outputs, with the bits of a call each."""

import dataclasses
import pathlib

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from tests.support.models import save_output
from transforms.models.engine_settings import EngineSettings
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.isolation import predict_isolating
from transforms.models.several_outputs import SeveralOutputs

SIZE = (24, 24)
KEYS = ("features", "logits")


def network(images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Features, and logits of them; no logit is finite for an image that is all black."""
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8)).astype(np.float32)
    features = tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(images, kernel, 2, "SAME")), axis=[1, 2])
    weights = np.random.default_rng(1).normal(size=(8, 5)).astype(np.float32)
    dark = tf.cast(tf.reduce_max(images, axis=[1, 2, 3]) == 0, tf.float32)
    return {"features": features, "logits": tf.matmul(features, weights) / (1 - dark)[:, None]}


def counted(images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Logits fail for a batch that holds an image of negative pixels."""
    mean = tf.reduce_mean(images, axis=[1, 2])
    index = tf.cast(tf.reduce_min(images) < 0, tf.int32)
    return {"features": mean, "logits": 10 * mean * tf.gather(tf.ones([1]), index)}


def load(path: pathlib.Path, engine: str) -> tuple[SeveralOutputs, list[ImageModel]]:
    specs = [inspect_saved_model(str(path), output_key=key) for key in KEYS]
    settings = EngineSettings(engine=engine, batch_size=8)
    several = SeveralOutputs(str(path), specs, image_size=SIZE, settings=settings)
    alone = [ImageModel(str(path), spec, image_size=SIZE, settings=settings) for spec in specs]
    return several, alone


def images(count: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(2).random((count, *SIZE, 3), np.float32)


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_one_call_gives_every_output_as_it_is_alone(engine: str, tmp_path: pathlib.Path) -> None:
    save_output(tmp_path, network)
    several, alone = load(tmp_path, engine)
    assert several.is_run_once
    pixels = images(7)
    pixels[3] = 0  # Costs the logits of that image, and not its features.
    answers = several.predict(pixels, [0, 1])
    for model, (outputs, errors) in zip(alone, answers, strict=True):
        expected, wrong = predict_isolating(model, pixels)
        assert outputs.tobytes() == expected.tobytes()
        assert {row: str(error) for row, error in errors.items()} == {
            row: str(error) for row, error in wrong.items()
        }
    assert [list(errors) for _, errors in answers] == [[], [3]]
    ((only, _),) = several.predict(pixels, [1])
    assert only.tobytes() == answers[1][0].tobytes()


def test_a_call_that_fails_costs_the_output_that_it_fails(tmp_path: pathlib.Path) -> None:
    save_output(tmp_path, counted)
    several, _ = load(tmp_path, "tensorflow")
    assert several.is_run_once
    pixels = images(5)
    pixels[2] -= 2
    (features, fine), (logits, wrong) = several.predict(pixels, [0, 1])
    assert (len(features), len(logits), list(fine), list(wrong)) == (5, 4, [], [2])


def test_what_cannot_be_joined_is_called_for_each(tmp_path: pathlib.Path) -> None:
    save_output(tmp_path, network)
    specs = [inspect_saved_model(str(tmp_path), output_key=key) for key in KEYS]
    # The batch size is learned from calls of one output.
    settings = EngineSettings(batch_size=8, tunes_batch_size=True)
    several = SeveralOutputs(str(tmp_path), specs, image_size=SIZE, settings=settings)
    assert not several.is_run_once
    one = dataclasses.replace(settings, tunes_batch_size=False)
    pixels = images(3)
    for (outputs, _), spec in zip(several.predict(pixels, [0, 1]), specs, strict=True):
        alone = ImageModel(str(tmp_path), spec, image_size=SIZE, settings=one)
        np.testing.assert_allclose(outputs, alone(pixels), rtol=1e-5)
