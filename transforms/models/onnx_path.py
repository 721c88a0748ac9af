"""The operations of an ONNX graph as OpenVINO reads it; see clear_way."""

from typing import TYPE_CHECKING

from transforms.models.clear_way import ImagePath, LayerInput, Nature, Operation, follow
from transforms.models.normalization import Normalization

if TYPE_CHECKING:  # An extra.
    from openvino import Model, Node, Output

_LAYERS = {
    "Convolution": "convolution",
    "GroupConvolution": "convolution",
    "MatMul": "matrix product",
    "Einsum": "matrix product",
}
_NATURES = {
    **dict.fromkeys(_LAYERS, Nature.LAYER),
    **dict.fromkeys(
        (
            "AvgPool", "BatchToSpace", "Broadcast", "DepthToSpace", "ExtractImagePatches", "Gather",
            "GatherElements", "GatherND", "Interpolate", "MaxPool", "Pad", "Reshape", "Reverse",
            "ShuffleChannels", "Slice", "SpaceToBatch", "SpaceToDepth", "Split", "Squeeze",
            "StridedSlice", "Tile", "Transpose", "Unsqueeze", "VariadicSplit",
        ),
        Nature.MOVE,
    ),
    "Concat": Nature.JOIN,
    **dict.fromkeys(
        (
            "Abs", "Add", "BatchNormInference", "Ceiling", "Clamp", "Convert", "ConvertLike",
            "Divide", "Equal", "FakeConvert", "FakeQuantize", "Floor", "FloorMod", "Greater",
            "GreaterEqual", "Identity", "Less", "LessEqual", "LogicalAnd", "LogicalNot",
            "LogicalOr", "Maximum", "Minimum", "Multiply", "Negative", "NotEqual", "Relu", "Round",
            "Select", "Sigmoid", "Subtract", "Tanh",
        ),
        Nature.ELEMENTWISE,
    ),
    "ShapeOf": Nature.SHAPE,
}  # fmt: skip
_HIDE = ("If", "Loop", "TensorIterator")
"""Operations that hold graphs of their own."""

_PASS_ON = ("Convert", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def trace_onnx(model: "Model") -> ImagePath:
    """Follows the images from their placeholder to the first layers."""
    ordered = model.get_ordered_ops()
    return follow(map(_operation, ordered), model.inputs[0].get_node().get_name())


def find_onnx_normalization(model: "Model", layer: LayerInput) -> Normalization | None:
    """Finds the normalization right behind a model's first convolution, as find_normalization."""
    readers = list(tensor(model, layer.tensor).get_target_inputs())
    place = 0
    while len(readers) == 1:
        node = readers[0].get_node()
        match node.get_type_name():
            case "BatchNormInference" if place > 0:
                data, _, _, mean, variance = map(name_of, node.input_values())
                return Normalization(data, mean, variance, channel_axis=1)
            case "Convolution" | "GroupConvolution" if place == 0:
                pass
            case "Add" | "Convert" if place > 0:  # The bias.
                pass
            case _:
                return None
        place += 1
        readers = list(node.output(0).get_target_inputs())
    return None


def last_of_onnx(model: "Model") -> str:
    """Returns the type of the operation that computes a graph's output, such as "Sigmoid"."""
    node = model.get_results()[0].input_value(0).get_node()
    while node.get_type_name() in _PASS_ON:
        node = node.input_value(0).get_node()
    return str(node.get_type_name())


def tensor(model: "Model", name: str) -> "Output":
    """Returns a tensor by its name, such as "Add_12:0"."""
    operation, _, index = name.rpartition(":")
    node = next(it for it in model.get_ops() if it.get_name() == operation)
    return node.output(int(index))


def name_of(port: "Output") -> str:
    """Returns the name of a tensor."""
    return f"{port.get_node().get_name()}:{port.get_index()}"


def _operation(node: "Node") -> Operation:
    kind = node.get_type_name()
    return Operation(
        name=node.get_name(),
        kind=kind,
        nature=_NATURES.get(kind, Nature.OTHER),
        inputs=[name_of(port) for port in node.input_values()],
        layer=_LAYERS.get(kind, ""),
        channel_axis=1 if _LAYERS.get(kind) == "convolution" else -1,
        hides=kind in _HIDE,
    )
