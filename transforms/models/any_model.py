"""A model of either format: a SavedModel, or an ONNX file.

What is asked of both is asked here; how each answers is in the files of its name.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from transforms.models.clear_way import ImagePath, LayerInput
from transforms.models.graph_nodes import part_of
from transforms.models.graph_part import GraphPart
from transforms.models.image_path import trace_images
from transforms.models.loaded_model import LoadedModel, load_saved_model
from transforms.models.normalization import Normalization, find_normalization
from transforms.models.onnx_files import is_onnx
from transforms.models.onnx_model import OnnxModel, load_onnx
from transforms.models.onnx_part import OnnxPart
from transforms.models.onnx_path import find_onnx_normalization, last_of_onnx, trace_onnx
from transforms.models.probabilities import last_operation
from transforms.models.spec import ModelSpec

AnyModel: TypeAlias = LoadedModel | OnnxModel

Part: TypeAlias = Callable[[npt.NDArray[np.generic]], list[npt.NDArray[np.float32]]]
"""Images in, some tensors of the graph out; raises tf.errors.OpError or ValueError if it fails."""


def load_model(
    model_dir: str,
    spec: ModelSpec,
    image_size: tuple[int, int],
    joined_keys: Sequence[str] = (),
) -> AnyModel:
    """Loads a model.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.
        spec: Contract of the call.
        image_size: (height, width) in pixels.
        joined_keys: Names of outputs to give side by side in place of the spec's one, or none.

    Raises:
        ModelError: If it cannot be loaded.
    """
    load = load_onnx if is_onnx(model_dir) else load_saved_model
    return load(model_dir, spec, image_size, joined_keys)


def trace(loaded: AnyModel) -> ImagePath:
    """Follows the images to the first layers of a model."""
    if isinstance(loaded, OnnxModel):
        return trace_onnx(loaded.model)
    return trace_images(loaded.graph, loaded.function.inputs[0].op.name)


def take_part(loaded: AnyModel, tensors: Sequence[str]) -> Part:
    """Returns what computes some tensors of a model's graph.

    Raises:
        ValueError: If the part does not run by itself.
    """
    if isinstance(loaded, OnnxModel):
        return OnnxPart(loaded, tensors)
    return GraphPart(loaded, tensors)


def normalization_behind(loaded: AnyModel, layer: LayerInput) -> Normalization | None:
    """Finds the batch normalization, by stored moments, right behind a model's first layer."""
    if isinstance(loaded, OnnxModel):
        return find_onnx_normalization(loaded.model, layer)
    found = find_normalization(loaded.graph, layer)
    if found is None:
        return None
    moments = part_of(loaded.graph, [found.mean, found.variance])
    is_of_batch = loaded.function.inputs[0].op.name in {node.name for node in moments.node}
    return None if is_of_batch else found


def last_kind(loaded: AnyModel) -> str:
    """Returns the type of the operation that computes a model's output, such as "Sigmoid"."""
    if isinstance(loaded, OnnxModel):
        return last_of_onnx(loaded.model)
    return last_operation(loaded.function)
