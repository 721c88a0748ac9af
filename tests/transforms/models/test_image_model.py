import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from tests.support.models import save_output
from transforms.errors import ModelError
from transforms.models import freeze
from transforms.models.engine_settings import ENGINES, EngineSettings
from transforms.models.first_layer import AssumedRange
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.isolation import predict_isolating
from transforms.models.made_up_pixels import darken
from transforms.models.tensorflow_engine import TensorFlowEngine

SavedModel = Callable[[str], str]


def load(
    model_dir: str,
    image_size: tuple[int, int] | None = None,
    *,
    signature: str | None = None,
    output_key: str | None = None,
    **settings: Any,  # noqa: ANN401
) -> ImageModel:
    spec = inspect_saved_model(model_dir, signature=signature, output_key=output_key)
    return ImageModel(
        model_dir,
        spec,
        image_size=spec.choose_image_size(image_size),
        settings=EngineSettings(**settings),
    )


def plain_images(*colors: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Images of one colour each, [n, 24, 24, 3]."""
    return np.broadcast_to(np.array(colors, np.float32)[:, None, None], (len(colors), 24, 24, 3))


UNCONVERTIBLE = ("loop_and_table",)
"""OpenVINO knows no tables in functions."""

RED, GREEN, GRAY = (1.0, 0.0, 0.0), (0.0, 0.5, 0.0), (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    "name",
    [
        "mean_color",
        "dynamic_module",
        "training_required",
        "fixed_batch",
        "several_sizes",
        "rank_4_output",
        "map_of_one",
        "ragged_output",
        "float16_output",
        "loop_and_table",
        "signature_only",
        "keras_export",
        "keras_export_archive",
        "keras_saved",
        "keras_wrapped",
        "tf_keras_saved",
        "tf_keras_export",
        "tf1_serving",
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_kind_of_model_gives_its_answer_in_inference_mode(
    saved_model: SavedModel, name: str, engine: str
) -> None:
    if engine == "openvino" and name in UNCONVERTIBLE:
        pytest.skip("refused, as test_engines.py checks")
    model = load(saved_model(name), (24, 24), engine=engine)
    outputs = model(plain_images(RED, GREEN, GRAY, RED, GRAY))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, [RED, GREEN, GRAY, RED, GRAY], atol=1e-6)
    assert model.output_dim == 3
    assert not model.outputs_are_probabilities
    assert model.warnings == ()


def test_a_tf1_hub_module_takes_the_size_that_it_declares(saved_model: SavedModel) -> None:
    model = load(saved_model("tf1_hub"))
    pixels = np.zeros((2, 24, 32, 3), np.float32)
    pixels[1, :12] = 1
    np.testing.assert_allclose(model(pixels), [[0.0] * 3, [0.5] * 3], atol=1e-6)


def test_a_chosen_part_and_a_chosen_output_are_used(saved_model: SavedModel) -> None:
    np.testing.assert_allclose(
        load(saved_model("nested"), signature="front")(plain_images(GREEN)), [GREEN], atol=1e-6
    )
    for name, key in (("tuple_output", "0"), ("features_and_logits", "feature_vector")):
        np.testing.assert_allclose(
            load(saved_model(name), output_key=key)(plain_images(GREEN)), [GREEN], atol=1e-6
        )


def test_a_model_of_bytes_takes_bytes(saved_model: SavedModel) -> None:
    model = load(saved_model("uint8"))
    pixels = np.full((1, 24, 24, 3), 200, np.uint8)
    np.testing.assert_allclose(model(pixels), [[200, 200, 200]])


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_a_fixed_batch_is_padded_and_the_padding_dropped(
    saved_model: SavedModel, count: int
) -> None:
    pixels = np.random.default_rng(0).random((count, 24, 24, 3), np.float32)
    outputs = load(saved_model("fixed_batch"))(pixels)
    np.testing.assert_allclose(outputs, pixels.mean(axis=(1, 2)), atol=1e-6)


@pytest.mark.parametrize("name", ["mean_color", "fixed_batch"])
def test_no_images_give_no_rows(saved_model: SavedModel, name: str) -> None:
    outputs = load(saved_model(name))(np.empty((0, 24, 24, 3), np.float32))
    assert outputs.shape == (0, 3)
    assert outputs.dtype == np.float32


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 24, 24, 3), np.uint8),
        np.zeros((1, 24, 24, 3), np.float64),
        np.zeros((1, 24, 25, 3), np.float32),
        np.zeros((1, 24, 24, 1), np.float32),
        np.zeros((24, 24, 3), np.float32),
    ],
    ids=["uint8", "float64", "width", "channels", "rank"],
)
@pytest.mark.parametrize("name", ["mean_color", "signature_only"])
def test_pixels_that_tensorflow_would_cast_in_silence_are_refused(
    saved_model: SavedModel, name: str, pixels: npt.NDArray[np.generic]
) -> None:
    with pytest.raises(ValueError, match=r"model takes float32 \[n, 24, 24, 3\], got "):
        load(saved_model(name))(pixels)


def test_ragged_batches_do_not_trace_again(saved_model: SavedModel) -> None:
    model = load(saved_model("mean_color"))
    for count in (1, 2, 5, 32, 31):
        assert model(np.zeros((count, 24, 24, 3), np.float32)).shape == (count, 3)
    assert isinstance(model._engine, TensorFlowEngine)
    assert isinstance(model._engine._function, tf.types.experimental.ConcreteFunction)
    assert model._engine._function.captured_inputs == []


def test_variables_too_large_for_a_graph_stay_variables(
    saved_model: SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freeze, "MAX_FROZEN_BYTES", 3)
    model = load(saved_model("mean_color"))
    assert isinstance(model._engine, TensorFlowEngine)
    assert len(model._engine._function.captured_inputs) == 1
    np.testing.assert_allclose(model(plain_images(GREEN)), [GREEN])


def test_threads_may_share_a_model(saved_model: SavedModel) -> None:
    model = load(saved_model("mean_color"))
    batches = np.random.default_rng(0).random((8, 16, 24, 24, 3), np.float32)
    outputs: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * 8

    def predict(index: int) -> None:
        for _ in range(10):
            outputs[index] = model(batches[index])

    threads = [threading.Thread(target=predict, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(np.stack(outputs), batches.mean(axis=(2, 3)), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("not_finite", "values that are not finite"),
        ("dependent_rows", "depends on the rest of the batch"),
        ("one_row", r"returns \[1, 3\] for 2 images"),
    ],
)
def test_a_model_whose_answers_make_no_sense_is_refused_at_load(
    saved_model: SavedModel, name: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load(saved_model(name))


def test_a_model_that_scales_by_the_batch_is_refused_at_load(tmp_path: pathlib.Path) -> None:
    model_dir = save_output(
        tmp_path, lambda images: tf.reduce_mean(images / tf.reduce_max(images), axis=[1, 2])
    )
    with pytest.raises(ModelError, match="depends on the rest of the batch"):
        load(model_dir)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_images_are_darkened_towards_black(dtype: str) -> None:
    images = np.array([[0, 40, 200], [0, 120, 80]], dtype)
    darkened = darken(images)
    assert darkened.dtype == images.dtype
    np.testing.assert_array_equal(darkened, images / 4)
    np.testing.assert_array_equal(darken(np.array([-1.0, 1.0])), [-1, -0.5])


def plain_module(path: pathlib.Path, offset: float, *, is_hub: bool = False) -> str:
    """Writes a network that adds to pixels and scales them itself."""

    class Module(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 24, 24, 3], tf.float32)])
        def __call__(self, images: tf.Tensor) -> tf.Tensor:
            seen = (images + offset) / (1 + offset)
            kernel = np.ones((3, 3, 3, 4), np.float32)
            return tf.reduce_mean(tf.nn.conv2d(seen, kernel, 1, "SAME"), [1, 2])

    module = Module()
    if is_hub:
        module.regularization_losses = [tf.function(lambda: 0.0, input_signature=[])]
    tf.saved_model.save(module, str(path))
    return str(path)


@pytest.mark.parametrize(
    ("offset", "told"),
    [(0, "does not tell which it wants; look up"), (1, "convolution sees the model wants -1,1")],
)
def test_a_range_that_nobody_chose_and_that_may_be_wrong_is_warned_of(
    tmp_path: pathlib.Path, offset: float, told: str
) -> None:
    model_dir = plain_module(tmp_path, offset)
    spec = inspect_saved_model(model_dir)

    def warnings(assumed: AssumedRange | None) -> str:
        model = ImageModel(model_dir, spec, image_size=(24, 24), assumed_range=assumed)
        return " ".join(model.warnings)

    assert "nobody said --input_range, and 0,1 was given; " in warnings(AssumedRange("0,1"))
    assert told in warnings(AssumedRange("0,1"))
    assert warnings(AssumedRange("0,1", "preprocessor_config.json")) == ""
    assert warnings(None) == ""


def test_of_the_form_of_tf_hub_the_range_is_known(tmp_path: pathlib.Path) -> None:
    model_dir = plain_module(tmp_path, 0, is_hub=True)
    spec = inspect_saved_model(model_dir)
    assumed = AssumedRange("0,1")
    assert ImageModel(model_dir, spec, image_size=(24, 24), assumed_range=assumed).warnings == ()


def pinned(images: tf.Tensor) -> tf.Tensor:
    """The right edge, which a flip changes."""
    return tf.reduce_mean(images[:, :, -4:], axis=[1, 2])


def flipped_in_a_branch(images: tf.Tensor) -> tf.Tensor:
    is_flipped = tf.random.uniform([]) < 0.5
    return pinned(tf.cond(is_flipped, lambda: tf.reverse(images, [2]), lambda: images))


def faintly_noisy(images: tf.Tensor) -> tf.Tensor:
    return pinned(images) * tf.random.normal([], mean=1, stddev=1e-3)


@pytest.mark.parametrize(
    "answer",
    [
        lambda images: pinned(tf.image.random_flip_left_right(images)),
        flipped_in_a_branch,
        faintly_noisy,
    ],
    ids=["flip", "flip in a branch", "faint noise"],
)
def test_a_model_that_draws_random_numbers_is_refused_at_load(
    tmp_path: pathlib.Path, answer: Callable[[tf.Tensor], tf.Tensor]
) -> None:
    with pytest.raises(ModelError, match=r"same image differs from call to call: .*\(Random"):
        load(save_output(tmp_path, answer))


def test_a_model_that_draws_random_numbers_and_does_without_them_is_loaded(
    tmp_path: pathlib.Path,
) -> None:
    def answer(images: tf.Tensor) -> tf.Tensor:
        is_training = tf.reduce_max(images) > 1e6
        kept = tf.cond(is_training, lambda: tf.nn.dropout(images, 0.5), lambda: images)
        return tf.reduce_mean(kept, axis=[1, 2])

    model = load(save_output(tmp_path, answer))
    np.testing.assert_allclose(model(plain_images(RED)), [RED], atol=1e-6)


@pytest.mark.parametrize("declared", [None, [None, None, None, 3]])
def test_a_feature_map_of_undeclared_shape_is_refused_at_load(
    tmp_path: pathlib.Path, declared: list[int | None] | None
) -> None:
    model_dir = save_output(
        tmp_path, lambda images: tf.raw_ops.PlaceholderWithDefault(input=images, shape=declared)
    )
    with pytest.raises(ModelError, match=r"returns \[2, 24, 24, 3\] for 2 images"):
        load(model_dir)


def test_a_model_without_its_variables_is_refused_at_load(tmp_path: pathlib.Path) -> None:
    model_dir = save_output(tmp_path, lambda images: tf.reduce_mean(images, axis=[1, 2]))
    os.remove(tmp_path / "variables" / "variables.index")
    with pytest.raises(ModelError, match=r"variables\.index is not there"):
        load(model_dir)


def test_a_signature_that_does_not_take_the_chosen_size_is_refused_at_load(
    tmp_path: pathlib.Path,
) -> None:
    weights = np.ones((24 * 24 * 3, 2), np.float32)
    model_dir = save_output(
        tmp_path,
        lambda images: tf.matmul(tf.reshape(images, [-1, weights.shape[0]]), weights),
        tf.TensorSpec([None, None, None, 3], tf.float32),
    )
    assert load(model_dir, (24, 24)).output_dim == 2
    with pytest.raises(ModelError, match="the model fails on random images: ") as caught:
        load(model_dir, (25, 24))
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("softmax", None, True),
        ("dict_output", "probabilities", True),
        ("dict_output", "logits", False),
    ],
)
def test_probabilities_are_told_from_logits(
    saved_model: SavedModel, name: str, key: str | None, expected: bool
) -> None:
    model = load(saved_model(name), output_key=key)
    assert model.outputs_are_probabilities is expected


def test_a_model_that_ignores_its_images_is_worth_a_warning(saved_model: SavedModel) -> None:
    assert load(saved_model("constant")).warnings == (
        "the model gives the same output for four different images",
    )


def test_its_variables_are_counted(saved_model: SavedModel) -> None:
    model = load(saved_model("dynamic_module"), (24, 24))
    assert (model.num_variables, model.num_parameters) == (1, 1)
    assert (model.num_trainable_variables, model.num_regularization_losses) == (1, 1)
    assert load(saved_model("tf_keras_saved")).num_parameters == 12


@pytest.mark.parametrize("bad", [(), (0,), (6,), (2, 3), (0, 3, 6), tuple(range(7))])
@pytest.mark.parametrize(
    ("pixel", "message"), [(2.0, "the model fails: "), (-1.0, "not finite"), (np.nan, "not finite")]
)
def test_only_the_images_that_the_model_fails_on_are_lost(
    saved_model: SavedModel, bad: tuple[int, ...], pixel: float, message: str
) -> None:
    model = load(saved_model("fails_beyond_one"))
    pixels = np.random.default_rng(0).random((7, 24, 24, 3), np.float32)
    pixels[list(bad)] = pixel
    good = [row for row in range(7) if row not in bad]
    outputs, errors = predict_isolating(model, pixels)
    np.testing.assert_allclose(outputs, pixels[good].mean(axis=(1, 2)), atol=1e-6)
    assert list(errors) == list(bad)
    assert all(message in str(error) for error in errors.values())
    assert all(len(str(error)) < 700 for error in errors.values())


def test_an_image_that_fails_in_two_ways_beside_it_costs_nothing_else(
    saved_model: SavedModel,
) -> None:
    pixels = np.full((4, 24, 24, 3), 0.5, np.float32)
    pixels[1], pixels[2] = 2, -1
    outputs, errors = predict_isolating(load(saved_model("fails_beyond_one")), pixels)
    np.testing.assert_allclose(outputs, [[0.5] * 3] * 2)
    assert [(row, error.error_type) for row, error in errors.items()] == [
        (1, "ModelCall"),
        (2, "ModelCall"),
    ]


def test_a_failing_fixed_batch_is_bisected_too(tmp_path: pathlib.Path) -> None:
    def fail_beyond_one(images: tf.Tensor) -> tf.Tensor:
        worst = tf.cast(tf.reduce_max(images) > 1, tf.int32)
        return tf.reduce_mean(images, axis=[1, 2]) * tf.gather(tf.ones([1]), worst)

    spec = tf.TensorSpec([4, 24, 24, 3], tf.float32)
    model = load(save_output(tmp_path, fail_beyond_one, spec))
    pixels = np.full((6, 24, 24, 3), 0.5, np.float32)
    pixels[4] = 2
    outputs, errors = predict_isolating(model, pixels)
    assert (outputs.shape, list(errors)) == ((5, 3), [4])


def test_a_batch_too_large_for_memory_is_halved_from_then_on(saved_model: SavedModel) -> None:
    model = load(saved_model("out_of_memory"))
    pixels = np.random.default_rng(0).random((9, 24, 24, 3), np.float32)
    outputs, errors = predict_isolating(model, pixels)
    np.testing.assert_allclose(outputs, pixels.mean(axis=(1, 2)), atol=1e-6)
    assert errors == {}
    assert model.report.batch_size == 2
    np.testing.assert_allclose(model(pixels), outputs, atol=1e-6)  # without a failure


def test_no_images_isolate_nothing(saved_model: SavedModel) -> None:
    outputs, errors = predict_isolating(
        load(saved_model("mean_color")), np.empty((0, 24, 24, 3), np.float32)
    )
    assert (outputs.shape, errors) == ((0, 3), {})


def test_the_number_of_threads_is_set_through_the_environment() -> None:
    program = """
import os
from transforms.machine.tensorflow_runtime import configure_tensorflow
configure_tensorflow(16)
import tensorflow as tf
before = len(os.listdir("/proc/self/task"))
tf.linalg.matmul(tf.ones([600, 600]), tf.ones([600, 600])).numpy()
print(len(os.listdir("/proc/self/task")) - before)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    completed = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert int(completed.stdout) >= 16


@pytest.mark.parametrize("kind", ["classification", "feature_vector"])
def test_a_real_model_gives_the_reference_answers(shared_data: pathlib.Path, kind: str) -> None:
    golden = np.load(shared_data / "golden" / "squeezenet_raccoon.npz")
    names = golden["files"][:8]
    pixels = np.stack(
        [
            tf.image.resize(
                tf.image.convert_image_dtype(
                    tf.io.decode_image(
                        (shared_data / "photos" / "raccoon" / "images" / str(name)).read_bytes(),
                        channels=3,
                        expand_animations=False,
                    ),
                    tf.float32,
                ),
                [227, 227],
            ).numpy()
            for name in names
        ]
    )
    model = load(str(shared_data / "models" / f"squeezenet_{kind}"))
    expected = golden[kind][:8]
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-4, atol=1e-4 * expected.max())
