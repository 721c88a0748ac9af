"""Decides how to call an ONNX model on images, from its graph and the files beside it."""

import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from transforms.errors import ModelError
from transforms.images.policy import INPUT_DTYPES
from transforms.machine.openvino_runtime import import_openvino
from transforms.models.endpoint import Endpoint, Trace
from transforms.models.image_processor import ImageProcessor, read_image_processor
from transforms.models.label_files import find_labels
from transforms.models.onnx_model import CLASS_TOKEN, DTYPES, output_names, read_onnx, sides
from transforms.models.onnx_proto import written_by
from transforms.models.outputs import choose_output, output_shape, usable_outputs
from transforms.models.refusals import refusal
from transforms.models.spec import EndpointKind, ModelSpec, Training
from transforms.models.tensor_info import TensorInfo

if TYPE_CHECKING:  # An extra.
    from openvino import Model, Output

_CHANNELS = ((1, 3), (3, 3), (1, 1), (3, 1))
"""Axis of the channels, and their number, the likeliest first."""

_OTHER_DTYPES = {"boolean": "bool", "i64": "int64", "i32": "int32", "i8": "int8", "i16": "int16"}

_STRANGE = 5
"""Channels that no graph of these layouts takes."""


def inspect_onnx(
    path: str, *, signature: str | None = None, output_key: str | None = None
) -> ModelSpec:
    """Decides how to call an ONNX model.

    Args:
        path: The ONNX file.
        signature: Must be None: a graph has no parts to choose from.
        output_key: The output to use, or None to choose.

    Raises:
        ModelError: If OpenVINO is not installed or cannot read it, or there is no one way to give
            it images and get vectors or logits. Lists what was found.
    """
    if signature is not None:
        raise ModelError(f"--signature {signature}: {path} is ONNX, which has none; leave it out")
    graph = read_onnx(path)
    processor = read_image_processor(path)
    endpoint = _endpoint(graph, os.path.basename(path), processor, output_key)
    if not endpoint.traces:
        raise ModelError(f"the model {refusal([endpoint])}. Found: {endpoint}")
    (trace,) = endpoint.traces
    images = trace.images
    if images.dtype not in INPUT_DTYPES or images.shape is None or images.layout is None:
        raise ModelError(f"{endpoint} takes none of {', '.join(INPUT_DTYPES)}")
    chosen, rank, dim = _choose_output(endpoint, trace.outputs, output_key)
    scales = images.dtype != "uint8"
    return ModelSpec(
        kind=endpoint.kind,
        endpoint=endpoint.name,
        input_name=images.name,
        dtype=images.dtype,
        image_size=_size(images.image_size, processor.image_size),
        image_sizes=(images.image_size,),
        batch_size=images.shape[0],
        training=Training.ABSENT,
        trains=False,
        hyperparameters=(),
        output_keys=usable_outputs(trace.outputs),
        output_key=chosen,
        output_rank=rank,
        output_dim=dim,
        signatures=(),
        sub_callables=(),
        tags=(),
        hub_module=False,
        tensorflow_version="",
        labels=find_labels(path),
        files=(),
        layout=images.layout,
        written_by=written_by(path),
        pixel_scale=processor.scale if scales else (),
        pixel_shift=processor.shift if scales else (),
        is_bgr=processor.is_bgr,
    )


def _endpoint(graph: "Model", name: str, processor: ImageProcessor, key: str | None) -> Endpoint:
    """Returns what can be called: the graph, on its one input if that can be images."""
    inputs = tuple(_tensor(_name(port), port) for port in graph.inputs)
    images = _with_channels(graph, inputs[0]) if len(inputs) == 1 else None
    traces: tuple[Trace, ...] = ()
    if images is not None:
        inputs = (images,)
        _fix_sides(graph, images, processor.image_size)
        traces = (Trace(images, _outputs(graph, key)),)
    return Endpoint(
        EndpointKind.GRAPH,
        name,
        inputs=(", ".join(map(str, inputs)),),
        traces=traces,
        tensors=(inputs,),
    )


def _outputs(graph: "Model", key: str | None) -> dict[str, TensorInfo]:
    """Returns the outputs by name; with them a class token, if that is asked for."""
    found = {
        name: _tensor(name, port)
        for name, port in zip(output_names(graph), graph.outputs, strict=True)
    }
    tokens = found.get(key.removesuffix(CLASS_TOKEN)) if key is not None else None
    if key is not None and key not in found and tokens is not None and _has_tokens(tokens):
        assert tokens.shape is not None
        found[key] = TensorInfo(key, tokens.dtype, (tokens.shape[0], tokens.shape[2]))
    return found


def _has_tokens(output: TensorInfo) -> bool:
    """Whether an output can be [N, tokens, D]."""
    return output.dtype in DTYPES.values() and output.shape is not None and len(output.shape) == 3


def _choose_output(
    endpoint: Endpoint, outputs: Mapping[str, TensorInfo], key: str | None
) -> tuple[str, int | None, int | None]:
    """Returns the output to use, its rank and its width.

    Raises:
        ModelError: As choose_output and output_shape do; names the class token, where there may be
            one.
    """
    try:
        chosen = choose_output(endpoint, outputs, key)
        return chosen, *output_shape(endpoint, outputs[chosen])
    except ModelError as error:
        tokens = [name for name, output in outputs.items() if _has_tokens(output)]
        if not tokens or key not in (None, *tokens):
            raise
        raise ModelError(
            f"{error}; --output_key {key or tokens[0]}{CLASS_TOKEN} takes the first of each "
            "image's tokens, a ViT's class token"
        ) from error


def _with_channels(graph: "Model", given: TensorInfo) -> TensorInfo | None:
    """Returns the images with what is known of their channels; None if they are no images.

    Exporters of transformers' models declare [batch, channels, height, width] with no number at
    all. The graph knows: it takes another number of channels on every axis but theirs.
    """
    if given.shape is None or len(given.shape) != 4:
        return None
    is_declared = any(given.shape[axis] == count for axis, count in _CHANNELS)
    for axis, count in _CHANNELS:
        size = given.shape[axis]
        is_right = size == count or (
            size is None
            and not is_declared
            and _takes(graph, axis, count)
            and not _takes(graph, axis, _STRANGE)
        )
        if is_right:
            shape = (*given.shape[:axis], count, *given.shape[axis + 1 :])
            images = TensorInfo(given.name, given.dtype, shape)
            return images if images.holds_images else None
    return None


def _takes(graph: "Model", axis: int, size: int) -> bool:
    """Whether a graph can be given images that are so large on an axis."""
    openvino, copy = import_openvino(), graph.clone()
    shape = copy.inputs[0].get_partial_shape()
    shape[axis] = size
    try:
        copy.reshape(openvino.PartialShape(shape))
    except RuntimeError:
        return False
    return True


def _fix_sides(graph: "Model", images: TensorInfo, image_size: tuple[int, int] | None) -> None:
    """Gives a graph the sides that its images will have, which tells the shape of its outputs."""
    shape = list(images.shape or ())
    for axis, side in enumerate(image_size or (), start=images.height_axis):
        shape[axis] = shape[axis] or side
    openvino = import_openvino()
    with contextlib.suppress(RuntimeError):  # Loading says what is wrong, with the size in use.
        graph.reshape(openvino.PartialShape([-1 if side is None else side for side in shape]))


def _size(
    declared: tuple[int | None, int | None], noted: tuple[int, int] | None
) -> tuple[int, int] | None:
    height, width = declared
    if height and width:
        return height, width
    if noted is None or not all(
        its in (None, own) for its, own in zip(declared, noted, strict=True)
    ):
        return None
    return noted


def _name(port: "Output") -> str:
    return port.get_node().get_friendly_name()


def _tensor(name: str, port: "Output") -> TensorInfo:
    kind = port.get_element_type().get_type_name()
    dtype = DTYPES.get(kind) or _OTHER_DTYPES.get(kind, kind)
    return TensorInfo(
        name, dtype, None if port.get_partial_shape().rank.is_dynamic else sides(port)
    )
