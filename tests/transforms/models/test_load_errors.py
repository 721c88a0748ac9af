import pathlib
import shutil
from collections.abc import Callable

import keras
import pytest
import tensorflow as tf

from transforms.errors import ModelError
from transforms.models.changed_variables import SAVE_IT_RIGHT, refuse_changes
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.load_errors import as_model_error, cause

RESTORE = """Graph execution error:

Detected at node save/RestoreV2 defined at (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main

  File "/home/me/pipelines/inspect_model.py", line 141, in <module>

Read less bytes than requested
\t [[{{node save/RestoreV2}}]] [Op:__inference_pruned_30]
"""
IN_CODE = """in user code:

    File "/home/me/model.py", line 7, in call  *
        return self.head(images)

    ValueError: no head
"""


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (RESTORE, "Read less bytes than requested"),
        (IN_CODE, "ValueError: no head"),
        ("plain words", "plain words"),
    ],
)
def test_a_cause_is_told_without_a_stack(text: str, kept: str) -> None:
    assert cause(ValueError(text)) == kept


@pytest.mark.parametrize(
    "error", [IndexError("cut"), AssertionError(), tf.errors.DataLossError(None, None, "cut")]
)
def test_whatever_is_raised_becomes_one_sentence(error: Exception) -> None:
    with pytest.raises(ModelError, match=r"^cannot load: \w"), as_model_error("cannot load"):
        raise error


def test_damage_that_shows_only_as_it_loads_is_one_sentence_without_a_stack(
    tmp_path: pathlib.Path, saved_model: Callable[[str], str]
) -> None:
    model_dir = str(shutil.copytree(saved_model("tf1_serving"), tmp_path / "model"))
    data = tmp_path / "model" / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(b"x" * data.stat().st_size)
    with pytest.raises(ModelError, match=r"^the model is not whole: .*Checksum does not") as error:
        ImageModel(model_dir, inspect_saved_model(model_dir), image_size=(24, 24))
    assert "File " not in str(error.value)


def _random_layers() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            layers.RandomFlip(),
            layers.Conv2D(4, 3),
            layers.GlobalMaxPooling2D(),
        ]
    )


def test_a_model_whose_call_changes_it_is_refused_with_what_saves_it_right(
    tmp_path: pathlib.Path,
) -> None:
    model, directory = _random_layers(), str(tmp_path / "right")
    model.export(str(tmp_path / "wrong"), verbose=False)
    spec = inspect_saved_model(str(tmp_path / "wrong"))
    with pytest.raises(ModelError, match="changes its own variables when it is called") as error:
        ImageModel(str(tmp_path / "wrong"), spec, image_size=(24, 24))
    assert str(error.value).endswith(SAVE_IT_RIGHT)
    exec(SAVE_IT_RIGHT, {"keras": keras, "model": model, "directory": directory})
    assert (
        ImageModel(directory, inspect_saved_model(directory), image_size=(24, 24)).output_dim == 4
    )


def test_a_counter_in_the_call_is_refused_too(tmp_path: pathlib.Path) -> None:
    counter = tf.Variable(0.0)
    module = tf.Module()
    module.counter = counter

    @tf.function(input_signature=[tf.TensorSpec([None, 24, 24, 3], tf.float32, "images")])
    def call(images: tf.Tensor) -> tf.Tensor:
        counter.assign_add(1.0)
        return tf.reduce_mean(images, [1, 2]) + counter

    module.__call__ = call
    tf.saved_model.save(module, str(tmp_path), signatures=call)
    with pytest.raises(ModelError, match="changes its own variables"):
        ImageModel(str(tmp_path), inspect_saved_model(str(tmp_path)), image_size=(24, 24))


def test_a_change_in_a_branch_that_never_runs_is_let_pass() -> None:
    counter = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)])
    def call(values: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            tf.reduce_sum(values) < 0, lambda: counter.assign_add(1.0), lambda: counter + 0.0
        )

    refuse_changes(call.get_concrete_function())
