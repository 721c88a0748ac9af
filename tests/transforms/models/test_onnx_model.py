"""ONNX models answer as onnxruntime says, and as the same network does as a SavedModel."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf2onnx
from onnx import TensorProto

from tests.support.models import save_output
from tests.support.onnx_models import (
    CLIP,
    SIDE,
    Array,
    answers,
    mean_nodes,
    network,
    node,
    write_json,
    write_mean_color,
    write_network,
    write_onnx,
    write_vit,
)
from transforms.errors import FlagError, ModelError
from transforms.machine.cpu import has_bfloat16
from transforms.models.contract import inspect_model
from transforms.models.engine_settings import EngineSettings
from transforms.models.first_layer import AssumedRange
from transforms.models.image_model import ImageModel
from transforms.models.notes import assume_range

LUMA = np.array([0.2989, 0.587, 0.114], np.float32)


def load(path: str, *, output_key: str | None = None, **settings: Any) -> ImageModel:  # noqa: ANN401
    spec = inspect_model(path, output_key=output_key)
    return ImageModel(
        path,
        spec,
        image_size=spec.choose_image_size(None if spec.image_size else (SIDE, SIDE)),
        settings=EngineSettings(engine="openvino", **settings) if settings else None,
    )


def images(count: int = 5) -> Array:
    return np.random.default_rng(1).random((count, SIDE, SIDE, 3), np.float32)


def first(batch: Array) -> Array:
    """Returns images with their channels first."""
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))


def channels_first(path: pathlib.Path) -> tuple[str, Callable[[Array], Array]]:
    return write_network(path), first


def nothing_declared(path: pathlib.Path) -> tuple[str, Callable[[Array], Array]]:
    return write_network(path, ["batch", "channels", "height", "width"]), first


def fixed_batch(path: pathlib.Path) -> tuple[str, Callable[[Array], Array]]:
    nodes, weights = network()
    write_onnx(path, nodes, {"vectors": [5, 8]}, weights, shape=[5, 3, SIDE, SIDE])
    return str(path), first


def channels_last(path: pathlib.Path) -> tuple[str, Callable[[Array], Array]]:
    nodes, weights = network()
    nodes = [node("Transpose", "images", "turned", perm=[0, 3, 1, 2]), *nodes]
    nodes[1].input[0] = "turned"
    shape = ["N", SIDE, SIDE, 3]
    return write_onnx(path, nodes, {"vectors": ["N", 8]}, weights, shape=shape), np.asarray


def gray(path: pathlib.Path) -> tuple[str, Callable[[Array], Array]]:
    nodes, weights = network()
    weights["kernel"] = weights["kernel"][:, :1]
    shape = ["N", 1, SIDE, SIDE]
    write_onnx(path, nodes, {"vectors": ["N", 8]}, weights, shape=shape)
    return str(path), lambda batch: first((batch @ LUMA)[..., None])


def vit(path: pathlib.Path) -> tuple[str, Callable[[Array], Array]]:
    return write_vit(path), first


def clip(path: pathlib.Path) -> tuple[str, Callable[[Array], Array]]:
    write_json(path.parent, "preprocessor_config.json", CLIP)
    mean, deviation = (np.array(CLIP[name], np.float32) for name in ("image_mean", "image_std"))
    return write_network(path), lambda batch: first((batch - mean) / deviation)


def bgr(path: pathlib.Path) -> tuple[str, Callable[[Array], Array]]:
    said = {"do_rescale": True, "do_normalize": False, "do_flip_channel_order": True}
    write_json(path.parent, "preprocessor_config.json", said)
    return write_network(path), lambda batch: first(batch[..., ::-1])


KINDS = [channels_first, nothing_declared, fixed_batch, channels_last, gray, vit, clip, bgr]


@pytest.mark.parametrize("make", KINDS)
def test_answers_are_those_of_onnxruntime(
    tmp_path: pathlib.Path, make: Callable[[pathlib.Path], tuple[str, Callable[[Array], Array]]]
) -> None:
    path, as_the_graph_takes_them = make(tmp_path / "model.onnx")
    model = load(path)
    wanted = answers(
        path, as_the_graph_takes_them(images()), "pooler_output" if make is vit else None
    )
    assert np.abs(wanted).max() > 0.05
    np.testing.assert_allclose(model(images()), wanted, atol=1e-5)


def test_levels_of_uint8_images_stay_what_they_are(tmp_path: pathlib.Path) -> None:
    nodes = [node("Cast", "images", "floats", to=TensorProto.FLOAT), *mean_nodes("floats")]
    path = write_onnx(
        tmp_path / "m.onnx", nodes, {"vectors": ["N", 3]}, dtype=TensorProto.UINT8
    )  # fmt: skip
    levels = (images() * 255).astype(np.uint8)
    np.testing.assert_allclose(load(path)(levels), answers(path, first(levels)), atol=1e-3)


def test_float16_images_are_taken(tmp_path: pathlib.Path) -> None:
    nodes = [node("Cast", "images", "floats", to=TensorProto.FLOAT), *mean_nodes("floats")]
    path = write_onnx(
        tmp_path / "m.onnx", nodes, {"vectors": ["N", 3]}, dtype=TensorProto.FLOAT16
    )  # fmt: skip
    halves = images().astype(np.float16)
    np.testing.assert_allclose(load(path)(halves), answers(path, first(halves)), atol=1e-3)


def test_the_class_token_is_given_where_it_is_asked_for(tmp_path: pathlib.Path) -> None:
    path = write_vit(tmp_path / "model.onnx", has_pooler=False)
    model = load(path, output_key="last_hidden_state.class_token")
    wanted = answers(path, first(images()), "last_hidden_state")[:, 0]
    np.testing.assert_allclose(model(images()), wanted, atol=1e-5)


@pytest.mark.parametrize("is_channels_first", [True, False])
def test_a_network_answers_as_its_saved_model(
    tmp_path: pathlib.Path, is_channels_first: bool
) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8)).astype(np.float32) / 5

    def call(batch: tf.Tensor) -> tf.Tensor:
        features = tf.nn.relu6(tf.nn.conv2d(batch * 2 - 1, kernel, 2, "SAME"))
        return tf.reduce_mean(tf.nn.max_pool2d(features, 2, 2, "SAME"), axis=[1, 2])

    signature = [tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "images")]
    path = str(tmp_path / "model.onnx")
    tf2onnx.convert.from_function(
        tf.function(call, input_signature=signature),
        input_signature=signature,
        inputs_as_nchw=["images:0", "images"] if is_channels_first else None,
        output_path=path,
    )
    declared = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert (declared[1].dim_value == 3) is is_channels_first
    directory = save_output(tmp_path / "saved", call)
    saved = ImageModel(directory, inspect_model(directory), image_size=(SIDE, SIDE))
    np.testing.assert_allclose(load(path)(images()), saved(images()), atol=1e-5)


@pytest.mark.skipif(not has_bfloat16(), reason="this CPU computes in float32 alone")
def test_bfloat16_is_measured_by_openvino_in_float32(tmp_path: pathlib.Path) -> None:
    path = write_network(tmp_path / "model.onnx")
    exact, fast = load(path), load(path, precision="bfloat16")
    assert (exact.report.engine, exact.report.min_cosine) == ("openvino", None)
    assert fast.report.min_cosine is not None
    assert 0.999 < fast.report.min_cosine <= 1
    found = fast(images())
    assert 0 < np.abs(found - exact(images())).max() < 0.05


def test_the_tensorflow_engine_is_refused_with_the_cure(tmp_path: pathlib.Path) -> None:
    path = write_network(tmp_path / "model.onnx")
    with pytest.raises(FlagError, match=r"--engine tensorflow runs SavedModels, .* leave --engine"):
        ImageModel(path, inspect_model(path), image_size=(SIDE, SIDE), settings=EngineSettings())


def test_one_output_is_told_to_be_a_probability_by_what_computes_it(
    tmp_path: pathlib.Path,
) -> None:
    head = [node("ReduceMean", "images axes", "logit", keepdims=0)]
    head += [node("Unsqueeze", "logit last", "row")]
    weights = {"axes": np.array([1, 2, 3]), "last": np.array([1])}
    nodes = [*head, node("Sigmoid", "row", "vectors")]
    model = load(write_onnx(tmp_path / "a.onnx", nodes, {"vectors": ["N", 1]}, weights))
    assert model.outputs_are_probabilities
    nodes = [*mean_nodes(), node("MatMul", "vectors head", "logits")]
    weights = {"head": np.full((3, 1), 0.3, np.float32)}
    model = load(write_onnx(tmp_path / "b.onnx", nodes, {"logits": ["N", 1]}, weights))
    assert not model.outputs_are_probabilities


def write_scaling(path: pathlib.Path) -> str:
    """Writes a network that takes 0..255: Mul, Sub, and the layers."""
    nodes, weights = network()
    nodes = [node("Mul", "images by", "scaled"), node("Sub", "scaled one", "centred"), *nodes]
    nodes[2].input[0] = "centred"
    weights |= {"by": np.array(1 / 127.5, np.float32), "one": np.array(1, np.float32)}
    return write_onnx(path, nodes, {"vectors": ["N", 8]}, weights)


def test_the_right_range_of_a_model_that_scales_is_told(tmp_path: pathlib.Path) -> None:
    path = write_scaling(tmp_path / "model.onnx")
    assert load(path).first_layer.wanted == "0,255"
    spec = inspect_model(path)
    with pytest.raises(ModelError, match=r"the model scales pixels itself: .* 0,255"):
        ImageModel(path, spec, image_size=(SIDE, SIDE), assumed_range=AssumedRange("0,1"))


def test_a_mean_and_deviation_before_a_model_that_scales_are_refused(
    tmp_path: pathlib.Path,
) -> None:
    write_json(tmp_path, "preprocessor_config.json", CLIP)
    path = write_scaling(tmp_path / "model.onnx")
    spec = inspect_model(path)
    assert spec.pixel_scale
    assumed = assume_range(path, "0,1")
    wanted = (
        r"of --input_range 0,1, as preprocessor_config.json says, .* next to nothing; "
        r"give --input_range 0,255, of which it sees -1 to 1 \(or"
    )
    with pytest.raises(ModelError, match=wanted):
        ImageModel(path, spec, image_size=(SIDE, SIDE), assumed_range=assumed)


def test_a_graph_that_draws_random_numbers_is_refused(tmp_path: pathlib.Path) -> None:
    nodes, weights = network()
    noise = [
        node("RandomNormalLike", "vectors", "noise", scale=1e-3),
        node("Add", "vectors noise", "noisy"),
    ]
    path = write_onnx(tmp_path / "model.onnx", [*nodes, *noise], {"noisy": ["N", 8]}, weights)
    with pytest.raises(ModelError, match=r"same image differs from call to call: .*\(Random"):
        load(path)


def test_the_order_of_channels_is_told(tmp_path: pathlib.Path) -> None:
    nodes, weights = network()
    nodes = [node("Gather", "images turned", "bgr", axis=1), *nodes]
    nodes[1].input[0] = "bgr"
    weights["turned"] = np.array([2, 1, 0])
    path = write_onnx(tmp_path / "model.onnx", nodes, {"vectors": ["N", 8]}, weights)
    assert load(path).first_layer.order == "BGR"


def test_a_mean_over_the_image_hides_what_the_first_layer_sees(tmp_path: pathlib.Path) -> None:
    nodes, weights = network()
    nodes = [
        node("ReduceMean", "images axes", "mean"),
        node("Sub", "images mean", "centred"),
        *nodes,
    ]
    nodes[2].input[0] = "centred"
    weights["axes"] = np.array([2, 3])
    path = write_onnx(tmp_path / "model.onnx", nodes, {"vectors": ["N", 8]}, weights)
    layer = load(path).first_layer
    assert layer.obstacle == "ReduceMean comes before its first layer"
    assert load(write_mean_color(tmp_path / "b.onnx")).first_layer.obstacle.startswith("it has no")


def test_stored_moments_speak_against_a_wrong_range(tmp_path: pathlib.Path) -> None:
    nodes, weights = network()
    batch = images(16)
    probe = write_onnx(tmp_path / "probe.onnx", nodes[:1], {"one": ["N", 16, 12, 12]}, weights)
    seen = answers(probe, first(batch * 2 - 1))
    weights |= {
        "gain": np.ones(16, np.float32), "shift": np.zeros(16, np.float32),
        "mean": seen.mean((0, 2, 3)), "variance": seen.var((0, 2, 3)),
    }  # fmt: skip
    normalized = node("BatchNormalization", "one gain shift mean variance", "normal")
    nodes = [nodes[0], normalized, *nodes[1:]]
    nodes[2].input[0] = "normal"
    path = write_onnx(tmp_path / "model.onnx", nodes, {"vectors": ["N", 8]}, weights)
    right, wrong = load(path, input_range="-1,1"), load(path, input_range="0,1")
    right.range_doubt.look_at(batch * 2 - 1)
    wrong.range_doubt.look_at(batch)
    assert right.range_doubt.sentence == ""
    assert "--input_range 0,1 looks wrong" in wrong.range_doubt.sentence
    assert "--input_range -1,1 (" in wrong.range_doubt.sentence
