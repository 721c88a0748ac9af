"""The way of the images through a model's graph, to the first layers that see them.

    images --> Mul --> Sub --> Conv2D --> Relu --> Conv2D --> ...
               clear   clear   first layer         behind it

An operation is on a clear way if it does the same to every pixel, or only moves pixels: then images
of one colour tell all that happens to the others. A mean over the image, a branch or a loop is not:
what a layer sees behind these is not known, and `blocked_by` has them.

What an operation is, the graph's own kind knows: image_path of TensorFlow's, onnx_path of ONNX.
"""

import enum
from collections.abc import Iterable
from typing import NamedTuple


class Nature(enum.Enum):
    """What an operation does to images."""

    LAYER = enum.auto()  # Has weights; an attention's first operation is one of these.
    MOVE = enum.auto()  # Moves or copies pixels, or averages neighbours: one colour stays one.
    JOIN = enum.auto()  # Lays several parts of an image side by side, or makes gray of them.
    ELEMENTWISE = enum.auto()  # Does the same to every pixel, each for itself.
    SHAPE = enum.auto()  # Is told how large images are, and nothing of their pixels.
    OTHER = enum.auto()


class Operation(NamedTuple):
    """An operation of a graph.

    Attributes:
        name: Name of the operation; those of its outputs are "name:0", "name:1".
        kind: Word for it, such as "Mean".
        nature: What it does to images.
        inputs: Names of the tensors that it is given.
        moved: Place, among its inputs, of what a MOVE moves.
        layer: Words for a LAYER, such as "convolution".
        channel_axis: Axis of a LAYER's images that has the channels: 1 or the last, -1.
        hides: Whether a layer may be inside of it, as in a branch.
    """

    name: str
    kind: str
    nature: Nature
    inputs: list[str]
    moved: int = 0
    layer: str = ""
    channel_axis: int = -1
    hides: bool = False


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


def follow(operations: Iterable[Operation], images: str) -> ImagePath:
    """Follows images from their placeholder to the first layers.

    Args:
        operations: Operations of the graph, each after those that it gets its inputs from.
        images: Name of the placeholder.
    """
    # Of every operation that depends on the images: how they come to it, or what hides it.
    ways: dict[str, _Way | str] = {images: _Way.IN_PLACE}
    layers: list[LayerInput] = []
    blocked: list[str] = []
    for operation in operations:
        tensors = [tensor for tensor in operation.inputs if source(tensor) in ways]
        if not tensors or operation.nature is Nature.SHAPE or operation.name == images:
            continue
        found = [ways[source(tensor)] for tensor in tensors]
        blocks = [way for way in found if isinstance(way, str)]
        if _Way.BEHIND in found:
            ways[operation.name] = _Way.BEHIND
        elif operation.nature is Nature.LAYER:
            ways[operation.name] = _Way.BEHIND
            blocked += blocks
            layers += [] if blocks else [_layer(operation, tensor) for tensor in tensors]
        elif blocks:
            ways[operation.name] = blocks[0]
        else:
            ways[operation.name] = _way_on(operation, tensors, found)
            if operation.hides:  # Its first layer may be in there.
                blocked.append(operation.kind)
    return ImagePath(tuple(dict.fromkeys(layers)), tuple(dict.fromkeys(blocked)))


def source(tensor: str) -> str:
    """Returns the operation that a tensor comes from: of "add:0" it is "add"."""
    return tensor.rpartition(":")[0]


def _layer(operation: Operation, tensor: str) -> LayerInput:
    return LayerInput(operation.layer, tensor, operation.channel_axis)


def _way_on(operation: Operation, images: list[str], ways: list[_Way | str]) -> _Way | str:
    """Returns how images come on from an operation that has them by clear ways."""
    if operation.nature is Nature.JOIN:
        return _Way.MOVED
    if operation.nature is Nature.MOVE:
        return _Way.MOVED if images == [operation.inputs[operation.moved]] else operation.kind
    if operation.nature is not Nature.ELEMENTWISE:
        return operation.kind
    # A pixel less its neighbours is nothing in images of one colour, and much in others.
    if len(images) > 1 and _Way.MOVED in ways:
        return operation.kind
    return _Way.MOVED if _Way.MOVED in ways else _Way.IN_PLACE
