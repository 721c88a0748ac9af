import functools
import pathlib
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.models import save_output
from transforms.errors import ModelError
from transforms.images.policy import INPUT_RANGES
from transforms.images.range_scaling import CAFFE_MEAN, IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION
from transforms.models.first_layer import AssumedRange, FirstLayer, check_assumed_range
from transforms.models.inspection import inspect_saved_model
from transforms.models.loaded_model import load_saved_model
from transforms.models.uniform_images import look_at_first_layer

SIZE = (24, 24)
KERNEL = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
MEAN = np.array(IMAGENET_MEAN, np.float32)
DEVIATION = np.array(IMAGENET_STANDARD_DEVIATION, np.float32)

ONES = np.ones(3, np.float32)
TABLE = np.linspace(0, 1, 256, dtype=np.float32)

Start = Callable[[tf.Tensor], tf.Tensor]


def look(model_dir: str) -> FirstLayer:
    spec = inspect_saved_model(model_dir)
    return look_at_first_layer(load_saved_model(model_dir, spec, spec.image_size or SIZE))


def convolve(images: tf.Tensor) -> tf.Tensor:
    kernel = KERNEL[:, :, : images.shape[-1]]
    return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(images, kernel, 2, "SAME")), axis=[1, 2])


def in_patches(images: tf.Tensor) -> tf.Tensor:
    """A matrix product of each 8x8 patch, as a vision transformer begins."""
    parts = tf.reshape(images, [-1, 3, 8, 3, 8, 3])
    patches = tf.reshape(tf.transpose(parts, [0, 1, 3, 2, 4, 5]), [-1, 9, 192])
    return tf.reduce_mean(patches @ np.ones((192, 4), np.float32), axis=1)


def channels_first(images: tf.Tensor) -> tf.Tensor:
    """A convolution that no CPU runs; what it is given can be known all the same."""
    turned = tf.transpose(images, [0, 3, 1, 2])
    outputs = tf.nn.conv2d(turned, KERNEL, 2, "SAME", data_format="NCHW")
    return tf.reduce_mean(outputs, axis=[2, 3])


def normalized_by_moments(images: tf.Tensor) -> tf.Tensor:
    mean = np.array([124, 117, 104], np.float32)
    variance = np.array([3400, 3300, 3400], np.float32)
    normal, *_ = tf.compat.v1.nn.fused_batch_norm(
        images, ONES, np.zeros(3, np.float32), mean, variance, is_training=False
    )
    return normal


def scaled_if_large(images: tf.Tensor) -> tf.Tensor:
    is_large = tf.reduce_any(tf.shape(images) > 99)
    return tf.cond(is_large, lambda: images / 255, lambda: images)


STARTS: dict[str, tuple[Start, str | None, str]] = {
    "nothing": (lambda x: x, None, "RGB"),
    "bgr": (lambda x: x[..., ::-1], None, "BGR"),
    "255th": (lambda x: x / 255, "0,255", "RGB"),
    "to -1,1": (lambda x: x / 127.5 - 1, "0,255", "RGB"),
    "128th": (lambda x: (x - 128) / 128, "0,255", "RGB"),
    "from 0,1 to -1,1": (lambda x: x * 2 - 1, "0,1", "RGB"),
    "from 0,1 to 0,255": (lambda x: x * 255, "0,1", "RGB"),
    "from -1,1 to 0,1": (lambda x: (x + 1) / 2, "-1,1", "RGB"),
    "from -1,1 to 0,255": (lambda x: (x + 1) * 127.5, "-1,1", "RGB"),
    "imagenet of 0,1": (lambda x: (x - MEAN) / DEVIATION, "0,1", "RGB"),
    "imagenet of 0,255": (lambda x: (x / 255 - MEAN) / DEVIATION, "0,255", "RGB"),
    "caffe": (lambda x: x[..., ::-1] - CAFFE_MEAN, "0,255", "BGR"),
    "caffe of 0,1": (lambda x: tf.reverse(x * 255, [3]) - CAFFE_MEAN, "0,1", "BGR"),
    "less a mean": (lambda x: x - (123.7, 116.8, 103.9), "0,255", "RGB"),
    "standardized 0,255": (lambda x: (x - 109) / 61, "0,255", "RGB"),
    "standardized 0,1": (lambda x: (x - 0.45) / 0.26, "0,1", "RGB"),
    "less a half": (lambda x: x - 0.5, "0,1", "RGB"),
    "imagenet undone": (lambda x: (x * DEVIATION + MEAN) * 2 - 1, "imagenet", "RGB"),
    "standardized, dark": (lambda x: (x - 0.13) / 0.28, None, "RGB"),
    "standardized a little": (lambda x: (x + 0.1) / 0.95, None, "RGB"),
    "moments": (normalized_by_moments, "0,255", "RGB"),
    "resized": (lambda x: tf.image.resize(x, (31, 17)) / 255, "0,255", "RGB"),
    "filtered": (lambda x: tf.image.resize(x, (9, 9), antialias=True) / 255, "0,255", "RGB"),
    "padded": (lambda x: tf.pad(x / 127.5 - 1, [[0, 0], [9, 9], [9, 9], [0, 0]]), "0,255", "RGB"),
    "padded before": (lambda x: tf.image.resize_with_pad(x, 40, 90) / 127.5 - 1, "0,255", "RGB"),
    "a channel": (lambda x: x[..., :1] / 255, "0,255", ""),
    "gathered": (lambda x: tf.gather(x, [2, 1, 0], axis=3) / 255, "0,255", "BGR"),
    "turned": (lambda x: 1 - x / 255, "0,255", "RGB"),
    "cut off": (lambda x: tf.clip_by_value(x, 0, 1), "0,1", "RGB"),
    "bytes": (lambda x: tf.cast(tf.cast(x, tf.uint8), tf.float32) / 255, "0,255", "RGB"),
    "gray": (lambda x: tf.image.rgb_to_grayscale(x) / 255, "0,255", ""),
    "gray after": (lambda x: tf.image.rgb_to_grayscale(x / 127.5 - 1), "0,255", ""),
    "only gray": (tf.image.rgb_to_grayscale, None, ""),
    "scaled twice": (lambda x: x / 255 / 255, None, "RGB"),
}  # fmt: skip
"""What models do to pixels before their first layer, the range that is right, and the order."""

HIDDEN: dict[str, tuple[Start, str]] = {
    "by itself": (tf.image.per_image_standardization, "Mean"),
    "by its maximum": (lambda x: x / tf.reduce_max(x, axis=[1, 2, 3], keepdims=True), "Max"),
    "a branch": (scaled_if_large, "StatelessIf"),
    "a loop": (lambda x: tf.map_fn(lambda image: image / 255, x), "TensorList"),
    "a table": (lambda x: tf.gather(TABLE, tf.cast(x, tf.int32)), "Gather"),
    "less its neighbours": (lambda x: x - tf.nn.avg_pool2d(x, 3, 1, "SAME"), "Sub"),
    "a gamma": (lambda x: (x / 255) ** 0.45, "Pow"),
    "of its batch": (lambda x: tf.compat.v1.nn.fused_batch_norm(x, ONES, ONES)[0], "Fused"),
}  # fmt: skip


@pytest.mark.parametrize("name", STARTS)
def test_the_right_range_is_told(tmp_path: pathlib.Path, name: str) -> None:
    start, wanted, order = STARTS[name]
    layer = look(save_output(tmp_path, lambda images: convolve(start(images))))
    assert (layer.obstacle, layer.wanted, layer.order) == ("", wanted, order)
    assert tuple(layer.seen) == INPUT_RANGES


@pytest.mark.parametrize("name", HIDDEN)
def test_what_hides_the_images_is_named(tmp_path: pathlib.Path, name: str) -> None:
    start, blocked_by = HIDDEN[name]
    layer = look(save_output(tmp_path, lambda images: convolve(start(images))))
    assert layer.obstacle.startswith(blocked_by)
    assert layer.obstacle.endswith("comes before its first layer")
    assert (layer.wanted, layer.seen) == (None, {})


@pytest.mark.parametrize("layers", [in_patches, channels_first])
def test_layers_of_other_layouts_are_read(tmp_path: pathlib.Path, layers: Start) -> None:
    layer = look(save_output(tmp_path, lambda x: layers(x[..., ::-1] - CAFFE_MEAN)))
    assert (layer.wanted, layer.order) == ("0,255", "BGR")
    assert layer.seen["0,255"].is_close_to(layer.given["caffe"])


def test_a_dense_layer_is_a_first_layer(tmp_path: pathlib.Path) -> None:
    flat = np.ones((24 * 24 * 3, 2), np.float32)
    layer = look(save_output(tmp_path, lambda x: tf.reshape(x / 255, [-1, 1728]) @ flat))
    assert (layer.kind, layer.wanted) == ("matrix product", "0,255")


@pytest.mark.parametrize("is_channels_first", [False, True])
@pytest.mark.parametrize(("scale", "wanted"), [(1, None), (1 / 255, "0,255"), (255, "0,1")])
def test_gray_models_are_seen_through_the_luma(
    tmp_path: pathlib.Path, *, is_channels_first: bool, scale: float, wanted: str | None
) -> None:
    shape = [None, 1, *SIZE] if is_channels_first else [None, *SIZE, 1]

    def call(x: tf.Tensor) -> tf.Tensor:
        return convolve((tf.transpose(x, [0, 2, 3, 1]) if is_channels_first else x) * scale)

    layer = look(save_output(tmp_path, call, tf.TensorSpec(shape, tf.float32)))
    assert (layer.obstacle, layer.kind, layer.wanted) == ("", "convolution", wanted)
    assert layer.seen["0,1"].bounds == pytest.approx((0, scale), rel=1e-3)
    assert layer.sees_all_as_given == (wanted is None)


def test_other_products_of_channels_are_layers(tmp_path: pathlib.Path) -> None:
    weights = np.array([[0.3], [0.6], [0.1]], np.float32)
    layer = look(save_output(tmp_path, lambda x: convolve(x @ weights / 255)))
    assert (layer.kind, layer.wanted) == ("matrix product", None)


def test_several_first_layers_must_see_the_same(tmp_path: pathlib.Path) -> None:
    def same(x: tf.Tensor) -> tf.Tensor:
        return convolve(x / 255) + in_patches(x / 255)

    def different(x: tf.Tensor) -> tf.Tensor:
        return convolve(x / 255) + in_patches(x)

    def half_hidden(x: tf.Tensor) -> tf.Tensor:
        return convolve(x / 255) + convolve(tf.image.per_image_standardization(x))

    layer = look(save_output(tmp_path / "same", same))
    assert (layer.kind, layer.wanted) == ("convolution and matrix product", "0,255")
    layer = look(save_output(tmp_path / "different", different))
    assert layer.obstacle == "it has several first layers, which see images differently"
    assert look(save_output(tmp_path / "half", half_hidden)).obstacle.startswith(
        "Mean comes before"
    )


def test_what_is_behind_a_first_layer_does_not_matter(tmp_path: pathlib.Path) -> None:
    def squeezed(x: tf.Tensor) -> tf.Tensor:
        scaled = x / 127.5 - 1
        features = tf.nn.conv2d(scaled, KERNEL, 1, "SAME")
        joined = tf.concat([features, scaled], -1) * tf.nn.sigmoid(
            tf.reduce_mean(features, axis=[1, 2, 3], keepdims=True)
        )
        return convolve(joined[..., :3])

    assert look(save_output(tmp_path, squeezed)).wanted == "0,255"


@pytest.mark.parametrize(
    ("name", "obstacle"),
    [
        ("mean_color", "it has no convolution"),
        ("logits", "Mean comes before"),
        ("tf1_hub", "it has no convolution"),
        ("loop_and_table", "it has no convolution"),
        ("keras_export", "Mean comes before"),
    ],
)
def test_models_without_a_first_layer_cannot_be_told(
    saved_model: Callable[[str], str], name: str, obstacle: str
) -> None:
    assert look(saved_model(name)).obstacle.startswith(obstacle)


def test_bytes_have_one_range(tmp_path: pathlib.Path) -> None:
    spec = tf.TensorSpec([None, *SIZE, 3], tf.uint8)

    def call(images: tf.Tensor) -> tf.Tensor:
        return convolve(tf.image.convert_image_dtype(images, tf.float32))

    model = tf.Module()
    model.call = tf.function(lambda images: {"a": call(images)}, input_signature=[spec])
    tf.saved_model.save(model, tmp_path, signatures=model.call)
    layer = look(str(tmp_path))
    assert list(layer.seen) == ["0,255"]
    assert layer.seen["0,255"].bounds == pytest.approx((0, 1))
    assert layer.wanted is None


def test_a_model_that_xla_compiles_is_a_call_that_cannot_be_seen_through(
    tmp_path: pathlib.Path,
) -> None:
    compiled = tf.function(lambda x: convolve(x / 255), jit_compile=True)
    assert "PartitionedCall comes before" in look(save_output(tmp_path, compiled)).obstacle


def test_looking_changes_nothing(tmp_path: pathlib.Path) -> None:
    model_dir = save_output(tmp_path, in_patches)
    loaded = load_saved_model(model_dir, inspect_saved_model(model_dir), SIZE)
    before = loaded.graph.SerializeToString(deterministic=True)
    look_at_first_layer(loaded)
    assert loaded.graph.SerializeToString(deterministic=True) == before


def test_a_fixed_batch(tmp_path: pathlib.Path) -> None:
    spec = tf.TensorSpec([4, *SIZE, 3], tf.float32)
    layer = look(save_output(tmp_path, lambda x: convolve(x / 255), spec))
    assert layer.wanted == "0,255"


def keras_models(keras: types.ModuleType) -> dict[str, tuple[Any, str | None]]:
    layers = keras.layers
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3)).astype(np.float32))
    starts = {
        "adapted": ([adapted], "0,255"),
        "resized and scaled": ([layers.Resizing(20, 20), layers.Rescaling(1 / 127.5, -1)], "0,255"),
        "lambda": ([layers.Lambda(lambda x: x[..., ::-1] * 2 - 1)], "0,1"),
        "plain": ([layers.ZeroPadding2D(3)], None),
    }
    return {
        name: (
            keras.Sequential(
                [
                    keras.Input((*SIZE, 3)),
                    *start,
                    layers.Conv2D(4, 3),
                    layers.BatchNormalization(),
                    layers.GlobalAveragePooling2D(),
                ]
            ),
            wanted,
        )
        for name, (start, wanted) in starts.items()
    }


def test_keras_exports(tmp_path: pathlib.Path) -> None:
    import keras

    for name, (model, wanted) in keras_models(keras).items():
        # model.export traces Resizing, and with it all of a model, in training mode.
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint("serve", functools.partial(model, training=False), model.inputs)
        archive.write_out(tmp_path / name, verbose=False)
        layer = look(str(tmp_path / name))
        assert (name, layer.obstacle, layer.wanted) == (name, "", wanted)


def test_tf_keras_saves(tmp_path: pathlib.Path) -> None:
    import tf_keras

    for name, (model, wanted) in keras_models(tf_keras).items():
        model.save(tmp_path / name, save_format="tf")
        layer = look(str(tmp_path / name))
        assert (name, layer.obstacle, layer.wanted) == (name, "", wanted)


def test_tf1_graphs_with_reference_variables(tmp_path: pathlib.Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32, [None, *SIZE, 3], "images")
        mean = tf.compat.v1.get_variable("mean", initializer=[127.5] * 3, use_resource=False)
        outputs = convolve((images - mean) / 127.5)
        session.run(mean.initializer)
        signature = tf.compat.v1.saved_model.predict_signature_def(
            {"images": images}, {"vectors": outputs}
        )
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    assert look(str(tmp_path / "model")).wanted == "0,255"


def test_the_shared_networks_take_what_their_page_says(shared_data: pathlib.Path) -> None:
    for name in ("squeezenet_classification", "squeezenet_feature_vector"):
        layer = look(str(shared_data / "models" / name))
        assert (layer.wanted, layer.order) == ("0,1", "BGR")


def test_a_range_that_nobody_chose_is_refused_where_another_is_right(
    tmp_path: pathlib.Path,
) -> None:
    layer = look(save_output(tmp_path / "scaled", lambda x: convolve(x / 127.5 - 1)))
    for assumed in ("0,1", "-1,1", "imagenet"):
        with pytest.raises(ModelError, match=r"--input_range 0,255, of which it sees -1 to 1 \(or"):
            check_assumed_range(layer, AssumedRange(assumed))
    with pytest.raises(ModelError, match=r"convolution sees -1\.000 to -0\.992, next to nothing;"):
        check_assumed_range(layer, AssumedRange("0,1"))
    check_assumed_range(layer, AssumedRange("0,255"))
    twice = look(save_output(tmp_path / "twice", lambda x: convolve(x / 255 / 255)))
    assert twice.seen["0,1"].is_degenerate
    check_assumed_range(twice, AssumedRange("0,1"))
    unclear = FirstLayer(obstacle="Mean comes before its first layer")
    check_assumed_range(unclear, AssumedRange("0,1"))


UNCLEAR: dict[str, Start] = {
    "digits on black": lambda x: (x - 33.3) / 78.5,
    "clothes on black": lambda x: (x - 72.9) / 90.0,
    "bright pages": lambda x: (x - 200) / 40,
    "to eight": lambda x: x / 32,
    "rounded": lambda x: x // 16 / 16,
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_range_that_nobody_chose_is_refused_where_the_right_one_cannot_be_told(
    tmp_path: pathlib.Path, name: str
) -> None:
    layer = look(save_output(tmp_path, lambda images: convolve(UNCLEAR[name](images))))
    assert (layer.obstacle, layer.wanted) == ("", None)
    with pytest.raises(ModelError, match=r"next to nothing; look up .*--input_range 0,255, of"):
        check_assumed_range(layer, AssumedRange("0,1"))
    check_assumed_range(layer, AssumedRange("0,255"))
