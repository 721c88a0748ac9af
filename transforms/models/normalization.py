"""The batch normalization that follows a model's first convolution, and its stored moments.

As TensorFlow fuses it, and as Keras 3 and TensorFlow 1 compute it:

    images --> Conv2D --> FusedBatchNormV3 (mean, variance)

    images --> Conv2D ------------------------> Mul --> AddV2
                    variance + epsilon --> Rsqrt --> Mul (gamma) --^
                                                         v
                                            mean --> Mul --> Sub (from beta) --^
"""

import collections
from typing import NamedTuple

from tensorflow.core.framework import graph_pb2, node_def_pb2

from transforms.models.clear_way import LayerInput
from transforms.models.graph_nodes import data_inputs, full_name, source
from transforms.models.image_path import MOMENTS, is_training

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
_BETWEEN = ("Add", "AddV2", "BiasAdd", "Cast", "Identity")
"""Operations that may lie between a convolution and its normalization: the bias."""

_RESHAPED = ("Cast", "ExpandDims", "Identity", "Reshape")
"""Operations that make a vector fit the layout of the images."""

_Readers = dict[str, list[tuple[node_def_pb2.NodeDef, int]]]


class Normalization(NamedTuple):
    """Tensors of a batch normalization that goes by stored moments.

    Attributes:
        inputs: Name of what it normalizes.
        mean: Name of the stored mean of each channel.
        variance: Name of the stored variance of each channel, or of that and a small constant.
        channel_axis: Axis of the inputs that has the channels: 1 or the last, -1.
    """

    inputs: str
    mean: str
    variance: str
    channel_axis: int


def find_normalization(graph: graph_pb2.GraphDef, layer: LayerInput) -> Normalization | None:
    """Finds the normalization right behind a model's first convolution.

    Args:
        graph: The graph, with calls of functions inlined.
        layer: What that convolution is given.

    Returns:
        The normalization; None if there is another layer or none, or it goes by the moments of its
        batch.
    """
    nodes = {node.name: node for node in graph.node}
    readers: _Readers = collections.defaultdict(list)
    for node in graph.node:
        for slot, tensor in enumerate(data_inputs(node)):
            readers[source(tensor)].append((node, slot))
    first = [
        node
        for node, slot in readers[source(layer.tensor)]
        if slot == 0 and full_name(node.input[0]) == layer.tensor
    ]
    if [node.op in _CONVOLUTIONS for node in first] != [True]:
        return None
    place = first[0].name
    while len(readers[place]) == 1:
        ((node, slot),) = readers[place]
        if node.op in MOMENTS and slot == 0 and not is_training(node):
            found: tuple[str, str] | None = (node.input[3], node.input[4])
        elif node.op == "Mul":
            found = _moments_of(node, node.input[1 - slot], nodes, readers)
        elif node.op in _BETWEEN:
            place = node.name
            continue
        else:
            return None
        if found is None:
            return None
        mean, variance = map(full_name, found)
        return Normalization(full_name(node.input[slot]), mean, variance, layer.channel_axis)
    return None


def _moments_of(
    product: node_def_pb2.NodeDef,
    scale: str,
    nodes: dict[str, node_def_pb2.NodeDef],
    readers: _Readers,
) -> tuple[str, str] | None:
    """Returns the mean and the variance of a normalization that is not fused.

    Args:
        product: The product of what is normalized and a scale.
        scale: The tensor of that scale, gamma / sqrt(variance + epsilon).
        nodes: Nodes by name.
        readers: What reads a node, by its name, and as which input.
    """
    factor = _unshaped(scale, nodes)
    parts = [_unshaped(tensor, nodes) for tensor in data_inputs(factor)]
    roots = [node for node in (factor, *parts) if node.op == "Rsqrt"]
    if len(roots) != 1 or (factor.op != "Mul" and roots != [factor]):
        return None
    # beta - mean * scale
    means = [
        node.input[1 - slot]
        for node, slot in _readers_of(factor.name, readers)
        if node.op == "Mul" and node.name != product.name
        for reader, place in _readers_of(node.name, readers)
        if reader.op == "Sub" and place == 1
    ]
    return (means[0], roots[0].input[0]) if len(means) == 1 else None


def _unshaped(tensor: str, nodes: dict[str, node_def_pb2.NodeDef]) -> node_def_pb2.NodeDef:
    """Returns the node that made a tensor before it was reshaped."""
    node = nodes[source(tensor)]
    while node.op in _RESHAPED:
        node = nodes[source(node.input[0])]
    return node


def _readers_of(name: str, readers: _Readers) -> list[tuple[node_def_pb2.NodeDef, int]]:
    """Returns what reads a node, reshaped or as it is."""
    found = []
    for node, slot in readers[name]:
        found += _readers_of(node.name, readers) if node.op in _RESHAPED else [(node, slot)]
    return found
