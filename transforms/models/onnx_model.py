"""An ONNX model loaded by OpenVINO, with what makes its images of the pipeline's put before it.

    [N, 224, 224, 3] --> Multiply, Add --> Gather --> Transpose --> pixel_values [N, 3, 224, 224]
                         mean, deviation   BGR        channels first

What is before is compiled with the graph, and costs about nothing.
"""

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transforms.errors import ModelError
from transforms.machine.openvino_runtime import import_openvino, openvino_cause
from transforms.models.onnx_files import check_onnx_files
from transforms.models.outputs import is_map_of_one
from transforms.models.spec import ModelSpec
from transforms.models.tensor_info import LUMA

if TYPE_CHECKING:  # An extra.
    from openvino import Model, Node, Output, Type

CLASS_TOKEN = ".class_token"
"""What the name of an output, [N, tokens, D], has at its end where the first of them is meant."""

DTYPES = {"f32": "float32", "f16": "float16", "f64": "float64", "bf16": "bfloat16", "u8": "uint8"}
"""OpenVINO's types of numbers that images and vectors have, and NumPy's names."""


class OnnxModel(NamedTuple):
    """An ONNX graph that takes images as the pipeline has them.

    Attributes:
        model: Graph: [batch, height, width, 3] of the spec's dtype in, one output of float32.
        num_variables: Number of its tensors of weights.
        num_parameters: Number of floats in them.
        num_trainable_variables: 0: there is no fine-tuning.
        num_regularization_losses: 0.
    """

    model: "Model"
    num_variables: int
    num_parameters: int
    num_trainable_variables: int = 0
    num_regularization_losses: int = 0

    @property
    def batch_size(self) -> int | None:
        """Images in every call, or None for any number."""
        return sides(self.model.inputs[0])[0]

    @property
    def sample_shape(self) -> list[int]:
        """Shape of the fewest images that a call takes."""
        return [side or 1 for side in sides(self.model.inputs[0])]

    @property
    def dtype(self) -> str:
        """NumPy name of the images' dtype."""
        return DTYPES[self.model.inputs[0].element_type.get_type_name()]


def read_onnx(path: str) -> "Model":
    """Reads a graph as it is.

    Raises:
        ModelError: If OpenVINO is not installed or cannot, or the file is no ONNX or not whole.
    """
    openvino = import_openvino()
    check_onnx_files(path)
    try:
        # Absolute: weights outside of the graph are looked for from there.
        return openvino.Core().read_model(os.path.abspath(path))
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot read {path}: {openvino_cause(error)}") from error


def load_onnx(
    path: str,
    spec: ModelSpec,
    image_size: tuple[int, int],
    joined_keys: Sequence[str] = (),
) -> OnnxModel:
    """Reads a graph, and puts before it what makes its images of the pipeline's.

    Args:
        path: The ONNX file.
        spec: Contract of the call.
        image_size: (height, width) in pixels.
        joined_keys: Names of outputs to give side by side in place of the spec's one, or none.

    Raises:
        ModelError: If OpenVINO cannot.
    """
    graph = read_onnx(path)
    openvino = import_openvino()
    batch = -1 if spec.batch_size is None else spec.batch_size
    channels = 1 if spec.layout.is_gray else 3
    wanted = [batch, *image_size, channels]
    if spec.layout.is_channels_first:
        wanted = [batch, channels, *image_size]
    try:
        graph.reshape(openvino.PartialShape(wanted))
        images, pixels = _images(spec, batch, image_size)
        placeholder = graph.inputs[0].node
        for reader in placeholder.output(0).get_target_inputs():
            reader.replace_source_output(pixels)
        outputs = [_float_output(output_named(graph, key)) for key in joined_keys]
        output = (
            _side_by_side(outputs)
            if outputs
            else _float_output(output_named(graph, spec.output_key))
        )
        model = openvino.Model([openvino.opset13.result(output)], [images], spec.endpoint)
    except RuntimeError as error:
        raise ModelError(
            f"{path} does not take images of {image_size[0]}x{image_size[1]}: "
            f"{openvino_cause(error)}"
        ) from error
    weights = [
        node.get_output_partial_shape(0).to_shape()
        for node in model.get_ops()
        if node.get_type_name() == "Constant"
        and node.get_output_element_type(0).is_real()
        and len(node.get_output_partial_shape(0)) > 0
    ]
    return OnnxModel(model, len(weights), sum(math.prod(shape) for shape in weights))


def output_named(graph: "Model", key: str) -> "Output":
    """Returns an output by its name; of "x.class_token" the first token of each image of x.

    Raises:
        KeyError: If there is none of this name.
    """
    ops = import_openvino().opset13
    outputs = dict(zip(output_names(graph), graph.outputs, strict=True))
    name = key if key in outputs else key.removesuffix(CLASS_TOKEN)
    source = outputs[name].node.input_value(0)
    if name == key:
        return source
    return ops.gather(source, np.int64(0), np.int64(1)).output(0)


def output_names(graph: "Model") -> tuple[str, ...]:
    """Returns the names of a graph's outputs, in order."""
    return tuple(
        result.get_friendly_name().removesuffix("/sink_port_0") for result in graph.get_results()
    )


def sides(port: "Output") -> tuple[int | None, ...]:
    """Returns the shape of an input or output whose rank is known; None for what is not."""
    return tuple(
        None if side.is_dynamic else side.get_length() for side in port.get_partial_shape()
    )


def _images(spec: ModelSpec, batch: int, image_size: tuple[int, int]) -> tuple["Node", "Output"]:
    """Returns the placeholder of images, and what becomes of them for the graph."""
    ops = import_openvino().opset13
    given = next(name for name, dtype in DTYPES.items() if dtype == spec.dtype)
    images = ops.parameter([batch, *image_size, 3], _type(given), spec.input_name)
    images.output(0).get_tensor().set_names({spec.input_name})
    pixels = images
    if spec.pixel_scale:
        scale, shift = (_constant(it, given) for it in (spec.pixel_scale, spec.pixel_shift))
        pixels = ops.add(ops.multiply(pixels, scale), shift)
    if spec.is_bgr:
        pixels = ops.gather(pixels, np.array([2, 1, 0], np.int64), np.int64(3))
    if spec.layout.is_gray:
        levels = ops.convert(pixels, "f32") if given == "u8" else pixels
        luma = ops.constant(np.array(LUMA).reshape(3, 1), levels.get_element_type())
        pixels = ops.matmul(levels, luma, False, False)
        if given == "u8":
            pixels = ops.convert(ops.round(pixels, "half_to_even"), "u8")
    if spec.layout.is_channels_first:
        pixels = ops.transpose(pixels, np.array([0, 3, 1, 2], np.int64))
    return images, pixels.output(0)


def _type(given: str) -> "Type":
    return getattr(import_openvino().Type, given)


def _constant(values: Sequence[float], given: str) -> "Node":
    """Returns a value for each channel."""
    return import_openvino().opset13.constant(np.array(values), _type(given))


def _float_output(output: "Output") -> "Output":
    """Returns an output as float32; a map of one place, [batch, output_dim, 1, 1], as a row."""
    ops = import_openvino().opset13
    if output.get_element_type().get_type_name() != "f32":
        output = ops.convert(output, "f32").output(0)
    if not output.get_partial_shape().rank.is_dynamic and is_map_of_one(sides(output)):
        output = ops.squeeze(output, np.array([2, 3], np.int64)).output(0)
    return output


def _side_by_side(outputs: Sequence["Output"]) -> "Output":
    """Returns outputs as one: of [batch, 2] and [batch, 1, 1, 3] it is [batch, 5]."""
    ops = import_openvino().opset13
    each_row = np.array([0, -1], np.int64)
    rows = [ops.reshape(output, each_row, special_zero=True) for output in outputs]
    return ops.concat(rows, 1).output(0)
