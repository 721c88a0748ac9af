"""Tiny ONNX models, written by onnx itself; onnxruntime says what they answer."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]

SIDE = 24
CHANNELS_FIRST = ("N", 3, SIDE, SIDE)

CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": SIDE},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def write_onnx(
    path: pathlib.Path,
    nodes: Sequence[onnx.NodeProto],
    outputs: Mapping[str, Sequence[Any]],
    weights: Mapping[str, Array] = {},
    *,
    shape: Sequence[Any] = CHANNELS_FIRST,
    dtype: int = TensorProto.FLOAT,
    more_inputs: Sequence[onnx.ValueInfoProto] = (),
    domains: Sequence[str] = (),
) -> str:
    """Writes a graph of images, "images", and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = helper.make_tensor_value_info("images", dtype, shape)
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [images, *more_inputs],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, it)
            for name, it in outputs.items()
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(name, 1) for name in domains)]
    model = helper.make_model(
        graph, opset_imports=opsets, producer_name="test", producer_version="7", ir_version=9
    )
    onnx.save(model, os.fspath(path))
    return os.fspath(path)


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:  # noqa: ANN401
    """Returns an operation; its inputs and outputs are words."""
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def mean_nodes(images: str = "images", *, channels_last: bool = False) -> list[onnx.NodeProto]:
    """Returns what makes the mean of each channel, "vectors", of images."""
    transposed = [node("Transpose", images, "first", perm=[0, 3, 1, 2])] if channels_last else []
    pooled = node("GlobalAveragePool", "first" if channels_last else images, "pooled")
    return [*transposed, pooled, node("Flatten", "pooled", "vectors")]


def write_mean_color(path: pathlib.Path, shape: Sequence[Any] = CHANNELS_FIRST) -> str:
    """Writes a feature vector: the mean of each channel."""
    return write_onnx(path, mean_nodes(), {"vectors": ["N", 3]}, shape=shape)


def network(width: int = 8) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Returns a network of two convolutions, from "images" to "vectors"."""
    random = np.random.default_rng(0)
    kernel = random.normal(size=(16, 3, 3, 3)).astype(np.float32) / 5
    second = random.normal(size=(width, 16, 3, 3)).astype(np.float32) / 12
    nodes = [
        node("Conv", "images kernel", "one", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", "one", "two"),
        node("Conv", "two second", "three", strides=[2, 2]),
        *mean_nodes("three"),
    ]
    return nodes, {"kernel": kernel, "second": second}


def write_network(path: pathlib.Path, shape: Sequence[Any] = CHANNELS_FIRST) -> str:
    """Writes that network."""
    nodes, weights = network()
    return write_onnx(path, nodes, {"vectors": ["N", 8]}, weights, shape=shape)


def write_vit(path: pathlib.Path, *, has_pooler: bool = True) -> str:
    """Writes a vision transformer of one block: a class token before 16 patches, and a pooler."""
    random = np.random.default_rng(0)
    width = 12

    def draw(*shape: int) -> Array:
        return (random.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)

    weights = {
        "patch": draw(width, 3, 6, 6), "token": draw(1, 1, width), "places": draw(1, 17, width),
        "query": draw(width, width), "key": draw(width, width), "value": draw(width, width),
        "gain": np.ones(width, np.float32), "dense": draw(width, width),
        "flat": np.array([0, width, -1]), "of_token": np.array([1, width]), "zero": np.array(0),
    }  # fmt: skip
    nodes = [
        node("Conv", "images patch", "patches", strides=[6, 6]),
        node("Reshape", "patches flat", "columns"),
        node("Transpose", "columns", "rows", perm=[0, 2, 1]),
        node("Shape", "images", "batch", start=0, end=1),
        node("Concat", "batch of_token", "sizes", axis=0),
        node("Expand", "token sizes", "tokens"),
        node("Concat", "tokens rows", "sequence", axis=1),
        node("Add", "sequence places", "placed"),
        node("MatMul", "placed query", "queries"),
        node("MatMul", "placed key", "keys"),
        node("MatMul", "placed value", "values"),
        node("Transpose", "keys", "turned", perm=[0, 2, 1]),
        node("MatMul", "queries turned", "scores"),
        node("Softmax", "scores", "shares", axis=-1),
        node("MatMul", "shares values", "mixed"),
        node("Add", "placed mixed", "sum"),
        node("LayerNormalization", "sum gain", "last_hidden_state"),
        node("Gather", "last_hidden_state zero", "first", axis=1),
        node("MatMul", "first dense", "projected"),
        node("Tanh", "projected", "pooler_output"),
    ]
    outputs: dict[str, Sequence[Any]] = {"last_hidden_state": ["N", 17, width]}
    if has_pooler:
        outputs["pooler_output"] = ["N", width]
    return write_onnx(path, nodes, outputs, weights)


def answers(path: str, images: Array, output: str | None = None) -> Array:
    """Returns what onnxruntime answers to images, in the form that the graph takes."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run([output or session.get_outputs()[0].name], {"images": images})
    return np.asarray(found)


def write_json(directory: pathlib.Path, name: str, content: object) -> None:
    """Writes a JSON file beside a model."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(json.dumps(content))
