"""The widest output of a model, told without TensorFlow."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from tests.support.models import MODELS
from transforms.errors import ModelError
from transforms.models.declared_width import widest_output
from transforms.models.inspection import inspect_saved_model


@pytest.mark.parametrize("name", sorted(MODELS))
def test_no_model_is_wider_than_is_told(saved_model: Callable[[str], str], name: str) -> None:
    directory = saved_model(name)
    try:
        spec = inspect_saved_model(directory)
    except ModelError:
        return
    widest = widest_output(directory)
    assert widest is None or (spec.output_dim is not None and spec.output_dim <= widest)


def test_a_classifier_tells_its_classes(logits: str, mean_color: str) -> None:
    assert widest_output(logits) == 3
    assert widest_output(mean_color) == 3


class Several(tf.Module):  # type: ignore[misc]
    """A model, a part of it, and a signature, of different widths; one output is no vector."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32)])
    def __call__(self, images: tf.Tensor) -> dict[str, list[tf.Tensor]]:
        flat = tf.reshape(images, [-1, 192])
        return {"a": [flat[:, :7], tf.zeros([9])], "b": [tf.strings.as_string(flat)]}

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32)])
    def part(self, images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images, [-1, 192])

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32)])
    def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"x": tf.reshape(images, [-1, 192])[:, :5]}


def test_nests_count_and_parts_only_where_they_are_named(tmp_path: Path) -> None:
    model = Several()
    tf.saved_model.save(model, str(tmp_path), signatures=model.serve)
    assert widest_output(str(tmp_path)) == 7
    assert widest_output(str(tmp_path), "part") == 192


def test_what_is_no_model_tells_nothing(tmp_path: Path) -> None:
    assert widest_output(str(tmp_path)) is None
    for content in (b"", b"\xff\xff\xff", b"\x12\x03\x2a\x01\x99"):
        (tmp_path / "saved_model.pb").write_bytes(content)
        assert widest_output(str(tmp_path)) is None


def test_a_width_that_is_not_declared_is_not_told(tmp_path: Path) -> None:
    class Free(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
        def __call__(self, images: tf.Tensor) -> tf.Tensor:
            return tf.reshape(images, [tf.shape(images)[0], -1])

    tf.saved_model.save(Free(), str(tmp_path))
    assert widest_output(str(tmp_path)) is None
