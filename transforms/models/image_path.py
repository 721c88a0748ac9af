"""The operations of a TensorFlow graph, as the way of the images goes by them; see clear_way.

The luma of RGB, by `tf.image.rgb_to_grayscale`, is a matrix product and no layer.
"""

import collections
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from transforms.models.clear_way import ImagePath, Nature, Operation, follow
from transforms.models.graph_nodes import calls_functions, data_inputs, full_name, source
from transforms.models.tensor_info import LUMA

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
    "Abs", "Add", "AddN", "AddV2", "BiasAdd", "Cast", "Ceil", "CheckNumerics", "ClipByValue", "Div",
    "DivNoNan", "EnsureShape", "Equal", "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel", "Floor", "FloorDiv", "FloorMod", "FusedBatchNorm",
    "FusedBatchNormV2", "FusedBatchNormV3", "Greater", "GreaterEqual", "Identity", "IdentityN",
    "Less", "LessEqual", "LogicalAnd", "LogicalNot", "LogicalOr", "Maximum", "Minimum", "Mul",
    "MulNoNan", "Neg", "NotEqual", "PlaceholderWithDefault", "PreventGradient", "RealDiv", "Relu",
    "Relu6", "Rint", "Round", "Select", "SelectV2", "Sigmoid", "Snapshot", "Square", "StopGradient",
    "Sub", "Tanh",
}  # fmt: skip
"""Operations that do the same to every pixel, each for itself."""

_SHAPES = {"Shape", "ShapeN", "Rank", "Size"}
"""Operations that are told how large images are, and nothing of their pixels."""

MOMENTS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")

_NATURES = {
    **dict.fromkeys(_LAYERS, Nature.LAYER),
    **dict.fromkeys(_MOVES, Nature.MOVE),
    **dict.fromkeys(_JOINS, Nature.JOIN),
    **dict.fromkeys(_ELEMENTWISE, Nature.ELEMENTWISE),
    **dict.fromkeys(_SHAPES, Nature.SHAPE),
}


def trace_images(graph: graph_pb2.GraphDef, images: str) -> ImagePath:
    """Follows the images from their placeholder to the first layers.

    Args:
        graph: The graph, with calls of functions inlined.
        images: Name of the placeholder's node.
    """
    nodes = {node.name: node for node in graph.node}
    return follow((_operation(node, nodes) for node in _in_order(graph)), images)


def _operation(node: node_def_pb2.NodeDef, nodes: Mapping[str, node_def_pb2.NodeDef]) -> Operation:
    nature = _NATURES.get(node.op, Nature.OTHER)
    if nature is Nature.LAYER and _is_luma(node, nodes):
        nature = Nature.JOIN
    if node.op in MOMENTS and is_training(node):
        nature = Nature.OTHER
    # An attribute that is not there must not be read: protocol buffers would make an empty one.
    layout = node.attr["data_format"].s.decode() if "data_format" in node.attr else ""
    return Operation(
        name=node.name,
        kind=node.op,
        nature=nature,
        inputs=[full_name(tensor) for tensor in data_inputs(node)],
        moved=1 if node.op == "Split" else 0,  # Its first input is an axis.
        layer=_LAYERS.get(node.op, ""),
        channel_axis=1 if layout.startswith("NC") else -1,
        hides=calls_functions(node),
    )


def _is_luma(node: node_def_pb2.NodeDef, nodes: Mapping[str, node_def_pb2.NodeDef]) -> bool:
    """Whether a matrix product makes one gray channel of three, and has no weights of its own."""
    if node.op != "MatMul":
        return False
    factor = nodes[source(data_inputs(node)[1])]
    while factor.op in ("Identity", "Reshape"):
        factor = nodes[source(data_inputs(factor)[0])]
    return factor.op == "Const" and np.array_equal(
        tf.make_ndarray(factor.attr["value"].tensor).reshape(-1), np.array(LUMA, np.float32)
    )


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
