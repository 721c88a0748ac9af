"""The way of the images through a model's graph, to the first layers that see them.

    images --> Mul --> Sub --> Conv2D --> Relu --> Conv2D --> ...
               clear   clear   first layer         behind it

An operation is on a clear way if it does the same to every pixel, or only moves pixels: then images
of one colour tell all that happens to the others. A mean over the image, a branch or a loop is not:
what a layer sees behind these is not known, and `blocked_by` has them.

The luma of RGB, by `tf.image.rgb_to_grayscale`, is a matrix product and no layer.
"""

import collections
import enum
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from transforms.models.graph_nodes import calls_functions, data_inputs, full_name, source

_LAYERS = {
    "Conv2D": "convolution",
    "Conv3D": "convolution",
    "Conv": "convolution",
    "DepthwiseConv2dNative": "convolution",
    "MatMul": "matrix product",
    "BatchMatMul": "matrix product",
    "BatchMatMulV2": "matrix product",
    "BatchMatMulV3": "matrix product",
    "Einsum": "matrix product",
}
"""Operations with weights. An attention's first operation is one of these."""

_MOVES = {
    "AvgPool", "BatchToSpaceND", "BroadcastTo", "CropAndResize", "DepthToSpace", "ExpandDims",
    "ExtractImagePatches", "Gather", "GatherNd", "GatherV2", "MaxPool", "MaxPoolV2", "MirrorPad",
    "Pad", "PadV2", "Reshape", "ResizeArea", "ResizeBicubic", "ResizeBilinear",
    "ResizeNearestNeighbor", "Reverse", "ReverseV2", "ScaleAndTranslate", "Slice", "SpaceToBatch",
    "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "Squeeze", "StridedSlice", "Tile",
    "Transpose", "Unpack",
}  # fmt: skip
"""Operations that move or copy pixels, or average neighbours: one colour stays one colour."""

_JOINS = {"Concat", "ConcatV2", "Pack", "ParallelConcat"}
"""Operations that lay several parts of an image side by side."""

_ELEMENTWISE = {
    "Add", "AddN", "AddV2", "BiasAdd", "Cast", "CheckNumerics", "ClipByValue", "Div", "DivNoNan",
    "EnsureShape", "Equal", "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel", "Floor", "FusedBatchNorm", "FusedBatchNormV2",
    "FusedBatchNormV3", "Greater", "GreaterEqual", "Identity", "IdentityN", "Less", "LessEqual",
    "LogicalAnd", "LogicalNot", "LogicalOr", "Maximum", "Minimum", "Mul", "MulNoNan", "Neg",
    "NotEqual", "PlaceholderWithDefault", "PreventGradient", "RealDiv", "Relu", "Relu6", "Rint",
    "Round", "Select", "SelectV2", "Snapshot", "StopGradient", "Sub",
}  # fmt: skip
"""Operations that do the same to every pixel, each for itself."""

_SHAPES = {"Shape", "ShapeN", "Rank", "Size"}
"""Operations that are told how large images are, and nothing of their pixels."""

_LUMA = np.array((0.2989, 0.587, 0.114), np.float32)
"""What `tf.image.rgb_to_grayscale` multiplies red, green and blue with (TensorFlow 2.21)."""

MOMENTS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")


class _Way(enum.Enum):
    """How images come to an operation."""

    IN_PLACE = enum.auto()  # Every pixel where it was.
    MOVED = enum.auto()
    BEHIND = enum.auto()  # By a layer.


class LayerInput(NamedTuple):
    """What a layer is given that images reach before any other.

    Attributes:
        kind: Words for the layer, such as "convolution".
        tensor: Name of the tensor, such as "model/sub:0".
        channel_axis: Axis of that tensor that has the channels: 1 or the last, -1.
    """

    kind: str
    tensor: str
    channel_axis: int


class ImagePath(NamedTuple):
    """Where images go in a graph.

    Attributes:
        layers: First layers that they reach by a clear way.
        blocked_by: Operations that hide from a layer what images become, such as "Mean".
    """

    layers: tuple[LayerInput, ...]
    blocked_by: tuple[str, ...]


def trace_images(graph: graph_pb2.GraphDef, images: str) -> ImagePath:
    """Follows the images from their placeholder to the first layers.

    Args:
        graph: The graph, with calls of functions inlined.
        images: Name of the placeholder's node.
    """
    # Of every node that depends on the images: how they come to it, or the operation that hides it.
    ways: dict[str, _Way | str] = {images: _Way.IN_PLACE}
    layers: list[LayerInput] = []
    blocked: list[str] = []
    nodes = {node.name: node for node in graph.node}
    for node in _in_order(graph):
        tensors = [tensor for tensor in data_inputs(node) if source(tensor) in ways]
        if not tensors or node.op in _SHAPES or node.name == images:
            continue
        found = [ways[source(tensor)] for tensor in tensors]
        blocks = [way for way in found if isinstance(way, str)]
        if _Way.BEHIND in found:
            ways[node.name] = _Way.BEHIND
        elif node.op in _LAYERS and not _is_luma(node, nodes):
            ways[node.name] = _Way.BEHIND
            blocked += blocks
            layers += [] if blocks else [_layer(node, tensor) for tensor in tensors]
        elif blocks:
            ways[node.name] = blocks[0]
        else:
            ways[node.name] = _way_on(node, tensors, found)
            if calls_functions(node):  # Its first layer may be in there.
                blocked.append(node.op)
    return ImagePath(tuple(dict.fromkeys(layers)), tuple(dict.fromkeys(blocked)))


def _way_on(node: node_def_pb2.NodeDef, images: list[str], ways: list[_Way | str]) -> _Way | str:
    """Returns how images come on from an operation that has them by clear ways."""
    inputs = data_inputs(node)
    if node.op in _JOINS or node.op in _LAYERS:  # Of these luma alone comes here.
        return _Way.MOVED
    if node.op in _MOVES:
        # What is moved is the first input; the axis of Split is.
        is_moved = images == [inputs[1 if node.op == "Split" else 0]]
        return _Way.MOVED if is_moved else node.op
    if node.op not in _ELEMENTWISE or (node.op in MOMENTS and is_training(node)):
        return node.op
    # A pixel less its neighbours is nothing in images of one colour, and much in others.
    if len(images) > 1 and _Way.MOVED in ways:
        return node.op
    return _Way.MOVED if _Way.MOVED in ways else _Way.IN_PLACE


def _is_luma(node: node_def_pb2.NodeDef, nodes: Mapping[str, node_def_pb2.NodeDef]) -> bool:
    """Whether a matrix product makes one gray channel of three, and has no weights of its own."""
    if node.op != "MatMul":
        return False
    factor = nodes[source(data_inputs(node)[1])]
    while factor.op in ("Identity", "Reshape"):
        factor = nodes[source(data_inputs(factor)[0])]
    return factor.op == "Const" and np.array_equal(
        tf.make_ndarray(factor.attr["value"].tensor).reshape(-1), _LUMA
    )


def _layer(node: node_def_pb2.NodeDef, tensor: str) -> LayerInput:
    # An attribute that is not there must not be read: protocol buffers would make an empty one.
    layout = node.attr["data_format"].s.decode() if "data_format" in node.attr else ""
    channel_axis = 1 if layout.startswith("NC") else -1
    return LayerInput(_LAYERS[node.op], full_name(tensor), channel_axis)


def is_training(node: node_def_pb2.NodeDef) -> bool:
    """Whether a batch normalization takes the moments of the batch, as it does by default."""
    return "is_training" not in node.attr or node.attr["is_training"].b


def _in_order(graph: graph_pb2.GraphDef) -> list[node_def_pb2.NodeDef]:
    """Returns the nodes so that each comes after its inputs."""
    nodes = {node.name: node for node in graph.node}
    waits = {node.name: len(set(map(source, node.input))) for node in graph.node}
    readers = collections.defaultdict(list)
    for node in graph.node:
        for name in set(map(source, node.input)):
            readers[name].append(node.name)
    ready = collections.deque(name for name, count in waits.items() if not count)
    ordered = []
    while ready:
        name = ready.popleft()
        ordered.append(nodes[name])
        for reader in readers[name]:
            waits[reader] -= 1
            if not waits[reader]:
                ready.append(reader)
    return ordered
