import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from tests.support.images import encode, photo
from transforms.errors import ModelError, OutputError
from transforms.files.new_directory import check_new_directory
from transforms.images.policy import INPUT_RANGES, Preprocessing
from transforms.images.preprocessor import Preprocessor
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.reusable_model import (
    ReusableModel,
    images_of,
    load_reusable,
    save_reusable,
)
from transforms.models.spec import ModelSpec

SavedModel = Callable[[str], str]

SIZE = (24, 24)
PHOTOS = [encode(photo(61 + seed, 47, seed)) for seed in range(6)]


def answers(model_dir: str, spec: ModelSpec, input_range: str = "0,1") -> npt.NDArray[np.float32]:
    """What the pipeline gets of a model for a few photos."""
    policy = Preprocessing(image_size=SIZE, input_range=input_range, dtype=spec.dtype)
    return ImageModel(model_dir, spec, image_size=SIZE)(Preprocessor(policy)(PHOTOS).pixels)


def load(
    model_dir: str, *, input_range: str = "0,1", signature: str | None = None
) -> ReusableModel:
    spec = inspect_saved_model(model_dir, signature=signature)
    return load_reusable(model_dir, spec, input_range=input_range)


def gray(value: float, count: int = 2) -> tf.Tensor:
    return tf.fill([count, *SIZE, 3], value)


@pytest.mark.parametrize("input_range", INPUT_RANGES)
def test_answers_are_those_of_the_original_to_the_bit_once_saved(
    saved_model: SavedModel, tmp_path: pathlib.Path, input_range: str
) -> None:
    model_dir = saved_model("keras_export")
    spec = inspect_saved_model(model_dir)
    saved = str(tmp_path / "reusable")
    save_reusable(load(model_dir, input_range=input_range), saved, SIZE)
    found = inspect_saved_model(saved)
    assert (found.kind, found.dtype, found.image_size) == ("callable", "float32", SIZE)
    np.testing.assert_array_equal(answers(saved, found), answers(model_dir, spec, input_range))


def test_training_is_handed_on(saved_model: SavedModel) -> None:
    model = load(saved_model("training_required"))
    np.testing.assert_allclose(model(gray(0.5)), np.full((2, 3), 0.5), atol=1e-6)
    np.testing.assert_allclose(model(gray(0.5), training=True), np.full((2, 3), 1.5), atol=1e-6)


@pytest.mark.parametrize("name", ["mean_color", "keras_export", "signature_only"])
def test_a_model_that_knows_no_training_answers_the_same(
    saved_model: SavedModel, name: str
) -> None:
    model = load(saved_model(name))
    np.testing.assert_array_equal(model(gray(0.5), training=True), model(gray(0.5)))


@pytest.mark.parametrize(
    ("name", "variables", "trainable", "losses"),
    [
        ("mean_color", 1, 1, 0),
        ("dynamic_module", 1, 1, 1),  # has no lists of variables
        ("keras_export", 2, 2, 0),
        ("keras_wrapped", 3, 2, 0),  # with the state of the dropout, used in training
        ("tf_keras_saved", 2, 2, 0),
        ("signature_only", 1, 0, 0),
    ],
)
def test_lists_of_variables_and_losses_are_the_originals(
    saved_model: SavedModel,
    tmp_path: pathlib.Path,
    name: str,
    variables: int,
    trainable: int,
    losses: int,
) -> None:
    model = load(saved_model(name))
    save_reusable(model, str(tmp_path / "reusable"), SIZE)
    for found in (model, tf.saved_model.load(str(tmp_path / "reusable"))):
        assert len(found.variables) == variables
        assert len(found.trainable_variables) == trainable
        assert len(found.regularization_losses) == losses
        assert {id(item) for item in found.trainable_variables} <= set(map(id, found.variables))
        for loss in found.regularization_losses:
            assert float(loss()) == 0.5


class _Whole(tf.Module):  # type: ignore[misc]
    trainable_variables: Sequence[tf.Variable] = ()

    def __init__(self) -> None:
        super().__init__()
        self.trainable_variables = [tf.Variable(2.0), tf.Variable(3.0)]

    @tf.function(input_signature=[images_of(SIZE)])
    def front(self, images: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(images, axis=[1, 2]) * self.trainable_variables[0]


def test_a_part_brings_only_what_it_uses(saved_model: SavedModel, tmp_path: pathlib.Path) -> None:
    nested = load(saved_model("nested"), signature="front")
    assert len(nested.trainable_variables) == len(nested.regularization_losses) == 1
    # Of a whole that lists the variables of all its parts.
    whole = _Whole()
    tf.saved_model.save(whole, str(tmp_path / "whole"))
    (only,) = load(str(tmp_path / "whole"), signature="front").trainable_variables
    assert float(only) == 2


@pytest.mark.parametrize("name", ["keras_export", "tf_keras_saved", "fixed_batch"])
def test_gradients_reach_the_variables_from_within_another_function(
    saved_model: SavedModel, name: str
) -> None:
    body = load(saved_model(name))

    @tf.function
    def loss(images: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(body(images, training=False))

    with tf.GradientTape() as tape:
        value = loss(gray(0.5))
    gradients = tape.gradient(value, list(body.trainable_variables))
    assert gradients
    assert all(float(tf.norm(gradient)) > 0 for gradient in gradients)


@pytest.mark.parametrize("count", [0, 1, 4, 6])
def test_a_fixed_batch_becomes_any(
    saved_model: SavedModel, tmp_path: pathlib.Path, count: int
) -> None:
    saved = str(tmp_path / "reusable")
    save_reusable(load(saved_model("fixed_batch")), saved, SIZE)
    pixels = np.random.default_rng(0).random((count, *SIZE, 3), np.float32)
    outputs = tf.saved_model.load(saved)(tf.constant(pixels))
    np.testing.assert_allclose(outputs, pixels.mean(axis=(1, 2)), atol=1e-6)
    assert outputs.shape == (count, 3)


def test_every_size_is_kept_or_one_is_chosen(
    saved_model: SavedModel, tmp_path: pathlib.Path
) -> None:
    model_dir = saved_model("several_sizes")
    spec = inspect_saved_model(model_dir)
    sizes = {}
    for name, image_size in (("every", None), ("one", (32, 16))):
        model = load_reusable(model_dir, spec, image_size=image_size)
        save_reusable(model, str(tmp_path / name), (32, 16))
        sizes[name] = inspect_saved_model(str(tmp_path / name)).image_sizes
    assert sizes == {"every": ((24, 24), (32, 16)), "one": ((32, 16),)}
    with pytest.raises(ModelError, match="--image_size 20x20 does not fit the model"):
        load_reusable(model_dir, spec, image_size=(20, 20))


@pytest.mark.parametrize("name", ["rank_4_output", "map_of_one"])
def test_the_signature_is_what_the_call_gives(
    saved_model: SavedModel, tmp_path: pathlib.Path, name: str
) -> None:
    saved = str(tmp_path / "reusable")
    save_reusable(load(saved_model(name), input_range="-1,1"), saved, SIZE)
    restored = tf.saved_model.load(saved)
    (outputs,) = restored.signatures["serving_default"](images=gray(0.75)).values()
    np.testing.assert_allclose(outputs, np.full((2, 3), 0.5), atol=1e-6)
    np.testing.assert_array_equal(outputs, restored(gray(0.75)))


def test_a_part_written_is_not_left_behind(saved_model: SavedModel, tmp_path: pathlib.Path) -> None:
    seen = []

    def refuse(directory: str) -> None:
        seen.append(sorted(os.listdir(directory)))
        raise ModelError("differs")

    with pytest.raises(ModelError, match="differs"):
        save_reusable(load(saved_model("mean_color")), str(tmp_path / "new"), SIZE, check=refuse)
    assert "saved_model.pb" in seen[0]
    assert list(tmp_path.iterdir()) == []


def test_only_a_new_or_empty_local_directory_is_written(
    saved_model: SavedModel, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    (tmp_path / "empty").mkdir()
    model = load(saved_model("mean_color"))
    for name in ("full", "full/precious"):
        with pytest.raises(OutputError, match="is there already; choose an empty or new"):
            save_reusable(model, str(tmp_path / name), SIZE)
    with pytest.raises(OutputError, match=r"cannot write .*precious/model: "):
        save_reusable(model, str(tmp_path / "full/precious/model"), SIZE)
    with pytest.raises(OutputError, match="gs://bucket/model is not on this machine"):
        check_new_directory("gs://bucket/model")
    save_reusable(model, f"{tmp_path}/empty/", SIZE)
    assert (tmp_path / "empty" / "saved_model.pb").is_file()


def test_what_is_taken_is_float32_of_any_batch() -> None:
    assert images_of((24, None)) == tf.TensorSpec([None, 24, None, 3], tf.float32, "images")
